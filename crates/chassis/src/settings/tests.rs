use std::{net::SocketAddr, num::NonZeroUsize, path::PathBuf};

use secrecy::ExposeSecret as _;
use serde_json::json;
use url::Url;

use super::*;

#[derive(Debug)]
struct Settings {
    brokers: Vec<String>,
    database: SecretString,
    pause: Duration,
    workers: NonZeroUsize,
    neighbour: Option<Url>,
}

fn declare(table: &mut Table) -> Slot<Settings> {
    table.prefix("SYNC_");
    let brokers = table.list("BROKERS", "brokers").required();
    let database = table.secret("DATABASE", "database, with user and password").alias("DATABASE_URL").required();
    let pause = table.millis("SYNC_PAUSE_MILLIS", "pause").or("500");
    let workers = table.value::<NonZeroUsize>("SYNC_WORKERS", "workers").alias("WORKERS").or("4");
    let neighbour = table.value::<Url>("NEIGHBOUR_URL", "neighbour").optional();
    table.rule(
        workers.get().zip(neighbour.get()),
        |(workers, neighbour)| neighbour.is_some() || workers.get() < 100,
        "SYNC_WORKERS of 100 or above needs NEIGHBOUR_URL",
    );
    table.all(|ok| Settings {
        brokers: ok.take(brokers),
        database: ok.take(database),
        pause: ok.take(pause),
        workers: ok.take(workers),
        neighbour: ok.take(neighbour),
    })
}

const COMPLETE: [(&str, &str); 2] = [("BROKERS", "a:1, b:2"), ("DATABASE", "postgres://canary")];

fn with(pairs: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    [COMPLETE.as_slice(), pairs].concat()
}

fn lines(problems: &Problems) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn problems(pairs: &[(&'static str, &'static str)]) -> Vec<String> {
    lines(&read(with(pairs), declare).unwrap_err())
}

/// A directory of its own, gone with the value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("settings-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn what_is_not_set_has_its_default() {
    let settings = read(COMPLETE, declare).unwrap();
    assert_eq!(settings.brokers, ["a:1", "b:2"]);
    assert_eq!(settings.database.expose_secret(), "postgres://canary");
    assert_eq!(settings.pause, Duration::from_millis(500));
    assert_eq!(settings.workers.get(), 4);
    assert_eq!(settings.neighbour, None);
}

#[test]
fn every_problem_is_reported_at_once_and_none_has_a_value() {
    let canary = [
        ("BROKERS", "canary,,canary"),
        ("SYNC_PAUSE_MILLIS", "canary"),
        ("SYNC_WORKERS", "0"),
        ("NEIGHBOUR_URL", "ftp://canary"),
        ("SYNC_WORKER", "canary"),
    ];
    let problems = read(canary, declare).unwrap_err();
    let expected = "BROKERS is not a list separated by commas, each item a text\n\
        DATABASE is missing: a secret is expected\n\
        SYNC_PAUSE_MILLIS is not a whole number of milliseconds\n\
        SYNC_WORKERS is not a whole number, 1 or above\n\
        NEIGHBOUR_URL is not an absolute http or https URL with a host\n\
        SYNC_WORKER is not a setting";
    assert_eq!(problems.to_string(), expected);
    assert!(!format!("{problems:?}").contains("canary"));
}

#[test]
fn empty_is_not_set() {
    let settings =
        read(with(&[("SYNC_WORKERS", ""), ("NEIGHBOUR_URL", ""), ("DATABASE_FILE", ""), ("SYNC_OTHER", "")]), declare)
            .unwrap();
    assert_eq!((settings.workers.get(), settings.neighbour), (4, None));
    assert_eq!(problems(&[("DATABASE", "")]), ["DATABASE is missing: a secret is expected"]);
}

#[test]
fn blank_is_set_and_not_a_text() {
    let declare = |table: &mut Table| table.value::<String>("TOPIC", "topic").required();
    assert_eq!(lines(&read([("TOPIC", "  ")], declare).unwrap_err()), ["TOPIC is not a text"]);
    assert_eq!(read([("TOPIC", " topic\n")], declare).unwrap(), "topic");
}

#[test]
fn an_alias_is_read_and_two_names_at_once_are_refused() {
    assert_eq!(read(with(&[("WORKERS", "7")]), declare).unwrap().workers.get(), 7);
    assert_eq!(problems(&[("WORKERS", "x")]), ["WORKERS is not a whole number, 1 or above"]);
    assert_eq!(
        problems(&[("WORKERS", "7"), ("SYNC_WORKERS", "7")]),
        ["SYNC_WORKERS and WORKERS are set, but only one of them may be"]
    );
}

#[test]
fn a_broken_rule_is_named_and_one_over_a_broken_setting_is_not_asked() {
    assert_eq!(problems(&[("WORKERS", "100")]), ["SYNC_WORKERS of 100 or above needs NEIGHBOUR_URL"]);
    assert!(read(with(&[("WORKERS", "100"), ("NEIGHBOUR_URL", "http://n")]), declare).is_ok());
    assert_eq!(problems(&[("WORKERS", "100"), ("NEIGHBOUR_URL", "n")]).len(), 1);
}

#[test]
fn a_secret_may_stand_in_a_file_and_loses_one_line_end() {
    let folder = Folder::new();
    for (content, secret) in
        [("canary", "canary"), ("canary\n", "canary"), ("canary\r\n", "canary"), (" canary\n\n", " canary\n")]
    {
        for name in ["DATABASE_FILE", "DATABASE_URL_FILE"] {
            let file = folder.file("secret", content);
            let settings = read([("BROKERS", "a:1"), (name, &file)], declare).unwrap();
            assert_eq!(settings.database.expose_secret(), secret);
        }
    }
}

#[test]
fn a_file_that_gives_no_secret_is_named_without_path_and_content() {
    let folder = Folder::new();
    let missing = format!("{}/canary", folder.0.display());
    let files = [
        (missing, "DATABASE_FILE names a file that cannot be read: entity not found"),
        (folder.file("empty", "\n"), "DATABASE_FILE names a file that is empty"),
        (folder.file("bytes", [0xff]), "DATABASE_FILE names a file that is not UTF-8"),
        (
            folder.file("large", vec![b'x'; 1024 * 1024 + 1]),
            "DATABASE_FILE names a file that has more than 1048576 bytes",
        ),
    ];
    for (file, expected) in files {
        let problems = read([("BROKERS", "a:1"), ("DATABASE_FILE", &file)], declare).unwrap_err();
        assert_eq!(lines(&problems), [expected]);
    }
}

#[test]
fn a_secret_both_set_and_in_a_file_is_refused() {
    assert_eq!(
        problems(&[("DATABASE_FILE", "/x")]),
        ["DATABASE and DATABASE_FILE are set, but only one of them may be"]
    );
}

#[test]
fn a_file_is_read_for_secrets_only() {
    let problems = problems(&[("SYNC_WORKERS_FILE", "/x")]);
    assert_eq!(problems, ["SYNC_WORKERS_FILE is not a setting"]);
}

#[test]
fn what_kubernetes_injects_is_not_unknown() {
    let injected = [
        ("SYNC_SERVICE_HOST", "10.0.0.1"),
        ("SYNC_SERVICE_PORT", "8080"),
        ("SYNC_SERVICE_PORT_HTTP", "8080"),
        ("SYNC_PORT", "tcp://10.0.0.1:8080"),
        ("SYNC_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
        ("SYNC_PORT_8080_TCP_ADDR", "10.0.0.1"),
    ];
    assert!(read(with(&injected), declare).is_ok());
    assert_eq!(problems(&[("SYNC_PORT_NAME", "x")]), ["SYNC_PORT_NAME is not a setting"]);
}

#[test]
fn a_stronger_layer_decides_by_any_of_its_names() {
    let folder = Folder::new();
    let file = folder.file("secret", "from the file");
    let strong = Source::pairs([("WORKERS", "9"), ("DATABASE_FILE", &file)]);
    let weak = Source::pairs([("SYNC_WORKERS", "1"), ("DATABASE", "weak"), ("BROKERS", "a:1")]);
    let settings = Table::reading(strong.over(weak)).finish(declare).unwrap();
    assert_eq!(settings.workers.get(), 9);
    assert_eq!(settings.database.expose_secret(), "from the file");
    assert_eq!(settings.brokers, ["a:1"]);
}

#[test]
fn defaults_are_read_where_the_environment_says_nothing() {
    let settings = overlay(COMPLETE, declare).unwrap();
    assert_eq!(settings.brokers, ["a:1", "b:2"]);
    let path =
        overlay([("PATH", "/nowhere")], |table| table.value::<PathBuf>("PATH", "search path").required()).unwrap();
    assert_ne!(path, PathBuf::from("/nowhere"));
}

#[test]
fn the_settings_in_force_have_no_secret() {
    let in_force = read(with(&[("NEIGHBOUR_URL", "https://user:canary@n:1/x?canary#canary")]), |table| {
        let in_force = table.in_force();
        let settings = declare(table);
        table.all(|ok| (ok.take(settings), in_force))
    });
    let expected = json!({
        "BROKERS": "a:1,b:2", "DATABASE": "redacted", "SYNC_PAUSE_MILLIS": "500", "SYNC_WORKERS": "4", "NEIGHBOUR_URL": "https://n:1/x",
    });
    let (settings, in_force) = in_force.unwrap();
    assert_eq!(in_force.to_json(), expected);
    assert!(!format!("{:?}", settings.database).contains("canary"));
}

#[test]
fn values_read_as_what_they_are() {
    fn one<T: Setting + 'static>(text: &str) -> Option<T> {
        read([("X", text)], |table| table.value::<T>("X", "x").required()).ok()
    }
    assert_eq!(one::<bool>("true"), Some(true));
    assert_eq!(one::<bool>("yes"), None);
    assert_eq!(one::<u16>("65535"), Some(65535));
    assert_eq!(one::<u16>("65536"), None);
    assert_eq!(one::<u64>("-1"), None);
    assert_eq!(one::<SocketAddr>("[::1]:80"), Some(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 80))));
    assert_eq!(one::<SocketAddr>("localhost:80"), None);
    assert_eq!(one::<Url>("http:///"), None);
}

#[test]
fn a_default_is_read_by_the_same_rules() {
    let problems = read([("", ""); 0], |table| table.value::<u16>("PORT", "port").or("many")).unwrap_err();
    assert_eq!(lines(&problems), ["PORT is not a whole number from 0 to 65535"]);
}

#[test]
fn the_declaration_is_the_documentation() {
    insta::assert_snapshot!(markdown(&describe(declare)), @"
    | setting | default | meaning |
    | --- | --- | --- |
    | `BROKERS` | required | brokers: a list separated by commas, each item a text |
    | `DATABASE` or `DATABASE_FILE` or `DATABASE_URL` or `DATABASE_URL_FILE` | required | database, with user and password |
    | `SYNC_PAUSE_MILLIS` | `500` | pause: a whole number of milliseconds |
    | `SYNC_WORKERS` or `WORKERS` | `4` | workers: a whole number, 1 or above |
    | `NEIGHBOUR_URL` | – | neighbour: an absolute http or https URL with a host |
    ");
}
