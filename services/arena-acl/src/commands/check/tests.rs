use domain::delivery::Class;

use super::*;

fn examined() -> Examined {
    Examined {
        server: 16,
        least_server: 14,
        applied: 4,
        pending: Vec::new(),
        foreign: Vec::new(),
        broken: Vec::new(),
        may_create: true,
        refused: Vec::new(),
    }
}

fn seen() -> Seen {
    let topic = |name: &str, partitions| (name.to_owned(), partitions);
    Seen {
        brokers: Ok(3),
        topics: vec![topic("courses", Ok(1)), topic("amt", Err(ProbeError::NoTopic))],
        group: Ok(()),
    }
}

#[test]
fn what_is_missing_is_told_with_what_to_do() {
    let mut lines = about_database(&Ok(Examined { server: 12, pending: vec![3, 4], may_create: false, ..examined() }));
    lines.extend(about_database(&Ok(Examined { refused: vec!["deltaker".into(), "outbox".into()], ..examined() })));
    lines.extend(about_kafka(&seen()));
    lines.push(about_token(&("amt-tiltak", Err(TokenError::Assertion))));
    let refused = CallError { host: "tiltak".into(), problem: Problem::Status(403) };
    lines.push(about_neighbour(&("amt-tiltak", Err(refused))));
    lines.push(about_identity(&Err(FetchError::NoIssuer)));
    insta::assert_snapshot!(table(&lines));
}

#[test]
fn a_newer_schema_and_one_that_broke_off_will_not_do_and_a_pending_one_will() {
    let schema =
        |examined| about_database(&Ok(examined)).into_iter().find(|line| line.what == "database schema").unwrap();
    assert!(!schema(Examined { foreign: vec![99], ..examined() }).ok);
    assert!(!schema(Examined { broken: vec![4], ..examined() }).ok);
    assert!(schema(Examined { pending: vec![4], ..examined() }).ok);
}

#[test]
fn who_does_not_answer_at_all_is_told_once() {
    let error = StoreError { what: "connecting: refused".into(), class: Class::Fatal, outage: true };
    assert_eq!(about_database(&Err(error)).len(), 1);
    let seen = Seen { brokers: Err(ProbeError::Unreachable), ..seen() };
    assert_eq!(about_kafka(&seen).len(), 1);
}
