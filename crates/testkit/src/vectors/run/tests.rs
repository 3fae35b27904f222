use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::vectors::{Mismatch, object};

/// Cases that do what their body says.
#[derive(Default)]
struct Sayings {
    finished: Arc<AtomicUsize>,
}

impl Harness for Sayings {
    fn cases(&self, file: &Path, json: Value) -> Result<Vec<Case>, BadFile> {
        let members = object("file", &json, &["format", "cases"], &[])?;
        if members["format"] != 1 {
            return Err(BadFile::new(format!("unknown format {}", members["format"])));
        }
        let cases = members["cases"].as_object().unwrap().iter().map(|(name, does)| Case {
            file: file.to_owned(),
            name: name.clone(),
            kind: "saying".to_owned(),
            body: does.clone(),
        });
        Ok(cases.collect())
    }

    async fn run_case(&self, case: &Case, _mode: Mode, _stress: Stress) -> Result<Verdict, BadCase> {
        match case.body.as_str().unwrap_or_default() {
            "pass" => Ok(Verdict::Passed),
            "fail" => Ok(Verdict::Failed(vec![Mismatch::new("then.n", 1, 2), Mismatch::new("then.m", 3, 4)])),
            "elsewhere" => Ok(Verdict::NotHere("no other address")),
            "panic" => panic!("a bug"),
            "sleep" => {
                tokio::time::sleep(Duration::from_secs(3600)).await;
                Ok(Verdict::Passed)
            }
            "spin" => loop {
                tokio::task::yield_now().await;
            },
            "block" => loop {
                thread::sleep(Duration::from_secs(1));
            },
            other => Err(BadCase::new(format!("unknown step {other:?}"))),
        }
    }

    async fn finish(&self) {
        self.finished.fetch_add(1, Ordering::SeqCst);
    }
}

/// A folder of its own below the system's one, gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn with(files: &[(&str, &str)]) -> Self {
        let folder = Self(std::env::temp_dir().join(format!("vectors-{}", uuid::Uuid::new_v4())));
        for (name, text) in files {
            let file = folder.0.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        folder
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

fn cases(body: &str) -> String {
    format!(r#"{{"format": 1, "cases": {{{body}}}}}"#)
}

fn run_with(asked: &Asked, files: &[(&str, &str)]) -> (Tally, String) {
    let folder = Folder::with(files);
    let asked = Asked {
        dir: asked.dir.clone(),
        mode: asked.mode,
        stress: asked.stress,
        only: asked.only.clone(),
        not_yet: asked.not_yet.as_ref().map(|list| folder.0.join(list)),
        nothing: asked.nothing,
    };
    let mut out = Vec::new();
    let tally = run(Sayings::default(), &folder.0, &asked, Duration::from_millis(500), &mut out).unwrap();
    (tally, String::from_utf8(out).unwrap().replace(&folder.0.display().to_string(), "DIR"))
}

fn run_cases(body: &str) -> (Tally, String) {
    run_with(&Asked::default(), &[("a.json", &cases(body))])
}

fn counts(passed: usize, not_yet: usize, not_here: usize, failed: usize) -> Tally {
    Tally { passed, not_yet, not_here, failed }
}

#[test]
fn a_case_that_fails_is_named_with_what_is_wrong() {
    let (tally, text) = run_cases(r#""good": "pass", "bad": "fail""#);
    assert_eq!(tally, counts(1, 0, 0, 1));
    let expected = "FAILED a/bad\n  then.n\n    expected 1\n    actual   2\n  then.m\n    expected 3\n    actual   4\n\
                    a.json: 1 passed, 1 failed\n1 passed, 1 failed\n";
    assert_eq!(text, expected);
}

#[test]
fn an_unknown_step_is_a_failure_never_a_skip() {
    let (tally, text) = run_cases(r#""odd": "danse""#);
    assert_eq!(tally, counts(0, 0, 0, 1));
    assert!(text.contains("FAILED a/odd\n  unknown step \"danse\"\n"), "{text}");
}

#[test]
fn a_panic_costs_its_own_case_only() {
    let (tally, text) = run_cases(r#""a": "pass", "b": "panic", "c": "pass""#);
    assert_eq!(tally, counts(2, 0, 0, 1));
    assert!(text.contains("FAILED a/b\n  it panicked: a bug\n"), "{text}");
}

#[test]
fn a_case_that_hangs_fails_and_the_others_run() {
    let (tally, text) = run_cases(r#""a": "spin", "b": "block", "c": "pass""#);
    assert_eq!(tally, counts(1, 0, 0, 2));
    assert!(text.contains("FAILED a/a\n  it did not end within 500ms\n"), "{text}");
    assert!(text.contains("FAILED a/b\n  it did not end within 500ms\n"), "{text}");
}

#[test]
fn sleep_costs_no_time_in_memory() {
    assert_eq!(run_cases(r#""a": "sleep""#).0, counts(1, 0, 0, 0));
}

#[test]
fn live_cases_share_a_runtime_and_real_time() {
    let asked = Asked { mode: Mode::Live, ..Asked::default() };
    let body = cases(r#""a": "pass", "b": "panic", "c": "sleep", "d": "fail", "e": "elsewhere""#);
    let (tally, text) = run_with(&asked, &[("a.json", &body)]);
    assert_eq!(tally, counts(1, 0, 1, 3));
    assert!(text.contains("it panicked: a bug") && text.contains("it did not end within 500ms"), "{text}");
    assert!(text.contains("not runnable here a/e: no other address\n"), "{text}");
    assert!(text.ends_with("1 passed, 1 not runnable here, 3 failed\n1 passed, 3 failed\n"), "{text}");
}

#[test]
fn what_live_cases_shared_is_ended_once() {
    let harness = Sayings::default();
    let finished = Arc::clone(&harness.finished);
    let folder = Folder::with(&[("a.json", &cases(r#""a": "pass", "b": "fail""#))]);
    let asked = Asked { mode: Mode::Live, ..Asked::default() };
    run(harness, &folder.0, &asked, Duration::from_secs(5), &mut Vec::new()).unwrap();
    assert_eq!(finished.load(Ordering::SeqCst), 1);
}

#[test]
fn not_here_is_no_excuse_in_memory() {
    assert_eq!(run_cases(r#""a": "elsewhere""#).0, counts(0, 0, 0, 1));
}

#[test]
fn a_file_that_cannot_be_read_is_a_failure_under_its_name() {
    let good = cases(r#""good": "pass""#);
    let files = [
        ("a/format.json", r#"{"format": 2, "cases": {"x": "pass"}}"#),
        ("a/member.json", r#"{"format": 1, "cases": {"x": "pass"}, "fixture": 1}"#),
        ("a/none.json", r#"{"format": 1, "cases": {}}"#),
        ("a/text.json", "{"),
        ("b.json", &good),
        ("b.txt", "not a vector"),
    ];
    let (tally, text) = run_with(&Asked::default(), &files);
    assert_eq!(tally, counts(1, 0, 0, 4));
    for line in
        ["FAILED a/format\n  unknown format 2\n", "FAILED a/member\n  file has the unknown member \"fixture\"\n"]
    {
        assert!(text.contains(line), "{text}");
    }
    assert!(text.contains("FAILED a/none\n  it has no case\n") && text.contains("FAILED a/text\n  EOF"), "{text}");
}

#[test]
fn a_run_over_nothing_fails() {
    assert_eq!(run_with(&Asked::default(), &[("read.me", "")]).0, counts(0, 0, 0, 1));
    let asked = Asked { dir: Some("/nowhere/at/all".into()), ..Asked::default() };
    assert_eq!(run_with(&asked, &[]).0, counts(0, 0, 0, 1));
    let asked = Asked { only: Some("z/".to_owned()), ..Asked::default() };
    let (tally, text) = run_with(&asked, &[("a.json", &cases(r#""a": "pass""#))]);
    assert_eq!(tally, counts(0, 0, 0, 1));
    assert!(text.contains("no case with \"z/\" in its name"), "{text}");
}

#[test]
fn a_filter_fits_the_full_name() {
    let body = cases(r#""one": "pass", "two": "fail""#);
    let asked = Asked { only: Some("b/o".to_owned()), ..Asked::default() };
    assert_eq!(run_with(&asked, &[("a.json", &body), ("b.json", &body)]).0, counts(1, 0, 0, 0));
}

#[test]
fn an_exact_list_of_what_does_not_pass_yet_is_no_failure() {
    let asked = Asked { not_yet: Some("list".into()), ..Asked::default() };
    let body = cases(r#""good": "pass", "bad": "fail", "odd": "danse""#);
    let (tally, text) = run_with(&asked, &[("a.json", &body), ("list", "a/bad\na/odd # later\n")]);
    assert_eq!(tally, counts(1, 2, 0, 0));
    assert!(text.contains("not yet a/bad: then.n and 1 more\n"), "{text}");
    assert!(text.ends_with("1 passed, 2 not yet (listed), 0 failed\n1 passed, 0 failed\n"), "{text}");
}

#[test]
fn a_list_that_is_wrong_in_any_way_is_a_failure() {
    let asked = Asked { not_yet: Some("list".into()), ..Asked::default() };
    let body = cases(r#""good": "pass", "bad": "fail", "worse": "fail""#);
    let (tally, text) = run_with(&asked, &[("a.json", &body), ("list", "a/good\na/bad\na/gone")]);
    assert_eq!(tally, counts(0, 1, 0, 3));
    for problem in ["FAILED a/good\n  it passes, but", "FAILED a/gone\n  it is listed", "FAILED a/worse\n  then.n"] {
        assert!(text.contains(problem), "{text}");
    }
    let (tally, _) = run_with(&asked, &[("a.json", &cases(r#""good": "pass""#))]);
    assert_eq!(tally, counts(1, 0, 0, 1), "a list that is not there");
}

#[test]
fn ignored_cases_are_none() {
    let asked = Asked { nothing: true, ..Asked::default() };
    let (tally, text) = run_with(&asked, &[("a.json", &cases(r#""a": "fail""#))]);
    assert_eq!((tally, text.as_str()), (Tally::default(), "0 passed, 0 failed\n"));
}

#[test]
fn the_exit_code_tells_the_truth() {
    let body = cases(r#""good": "pass", "bad": "fail""#);
    let folder = Folder::with(&[("a.json", &body), ("list", "a/bad")]);
    let list = folder.0.join("list").display().to_string();
    let code = |arguments: &[&str]| {
        let arguments = arguments.iter().map(ToString::to_string);
        crate::vectors::code(Sayings::default(), &folder.0, arguments, &mut Vec::new())
    };
    assert_eq!(code(&[]), 1);
    assert_eq!(code(&["--only", "good"]), 0);
    assert_eq!(code(&["--not-yet", &list]), 0);
    assert_eq!(code(&["--ignored"]), 0);
    assert_eq!(code(&["/nowhere/at/all"]), 1);
    assert_eq!(code(&["--liev"]), 64);
}
