use serde_json::Value;

use super::*;
use crate::{child::child, settings};

#[test]
fn a_filter_and_a_format_are_refused_by_name() {
    let problems =
        settings::read([("LOG_LEVEL", "chassis=loud"), ("LOG_FORMAT", "xml")], Settings::declare).unwrap_err();
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert!(lines[0].starts_with("LOG_LEVEL is not a level"), "{lines:?}");
    assert_eq!(lines[1], "LOG_FORMAT is not json or text");
    assert_eq!(lines.len(), 2);
}

#[test]
fn without_settings_the_lines_are_json() {
    let settings = settings::read([("", ""); 0], Settings::declare).unwrap();
    assert_eq!(settings.format, Format::Json);
    let expected = serde_json::json!({
        "LOG_LEVEL": "info", "LOG_FORMAT": "json", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_TRACES_SAMPLER_ARG": "1",
    });
    assert_eq!(settings.in_force.to_json(), expected);
}

#[test]
fn closing_keeps_how_the_process_ended() {
    let telemetry = || Telemetry { traces: None };
    assert!(matches!(telemetry().close(Ok::<_, exit::Error>(Done::InPart)), Ok(Done::InPart)));
    let failed = exit::Error::failed(std::fmt::Error);
    assert!(matches!(telemetry().close(Err(failed)), Err(exit::Error::Logged(1))));
    let refused = exit::Error::refused(std::fmt::Error);
    assert!(matches!(telemetry().close(Err(refused)), Err(exit::Error::Logged(78))));
}

#[test]
#[ignore = "run in a process of its own by the test below"]
fn the_child_starts_panics_and_fails() {
    let pairs = [("LOG_LEVEL", "info,chassis::telemetry::tests=debug"), ("TOKEN", "canary")];
    let settings = settings::read(pairs, |table| {
        drop(table.secret("TOKEN", "token").required());
        Settings::declare(table)
    });
    let telemetry = init(&settings.unwrap(), "arena-acl", "0.1.0");
    let again = init(&settings::read([("", ""); 0], Settings::declare).unwrap(), "other", "0.2.0");
    tracing::debug!("said because the filter says so");
    panic::catch_unwind(|| panic!("a literal")).unwrap_err();
    let data = std::hint::black_box("canary");
    panic::catch_unwind(|| panic!("{data}")).unwrap_err();
    drop(again);
    telemetry.close(Err(exit::Error::failed(std::fmt::Error))).unwrap_err();
}

#[test]
fn a_process_tells_its_start_its_panics_and_its_end_and_no_data() {
    let output = child("telemetry::tests::the_child_starts_panics_and_fails").output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(!text.contains("canary"), "{text}");
    let lines: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let told: Vec<_> =
        lines.iter().map(|line| (line["level"].as_str().unwrap(), line["message"].as_str().unwrap())).collect();
    let expected = [
        ("INFO", "arena-acl 0.1.0 starts"),
        ("DEBUG", "said because the filter says so"),
        ("ERROR", "panicked: a literal"),
        ("ERROR", "panicked: its message may quote data"),
        ("ERROR", "failed: an error occurred when formatting an argument"),
    ];
    assert_eq!(told, expected);
    assert!(lines[0]["settings"].as_str().unwrap().contains(r#""TOKEN":"redacted""#));
    assert!(lines[3]["location"].as_str().unwrap().contains("telemetry/tests.rs:"));
}
