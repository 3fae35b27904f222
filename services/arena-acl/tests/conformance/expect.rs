//! Comparison of `then` with the end of a case, and the rules that always hold (docs/spec/arena-acl/README.md 2.4).

use std::collections::BTreeSet;

use chrono::NaiveDateTime;
use serde_json::{Value, json};
use testkit::vectors::{BadCase, Compare, Mismatch, Played, Verdict, list};
use uuid::Uuid;

/// What the case came to.
pub(crate) fn compare(then: &Value, played: &Played) -> Result<Verdict, BadCase> {
    let end = &played.end;
    let mut compare = Compare::with(played.bindings.clone());
    // translations first: there each placeholder finds its value beyond doubt
    for name in ["id_translation", "hist_id_translation", "gjennomforing", "deltaker", "quarantine"] {
        compare.set(name, list(name, &then[name])?, list(name, &end[name])?, &Compare::equal);
    }
    compare.set("arena_data", list("then", &then["arena_data"])?, list("end", &end["arena_data"])?, &change);
    for name in ["amt_tiltak", "enkeltplass"] {
        let rule = if name == "amt_tiltak" { Compare::has } else { Compare::equal };
        compare.sequences(name, "key", list(name, &then[name])?, list(name, &end[name])?, &rule);
    }
    if let Some(expected) = then.get("responses") {
        responses(&mut compare, list("responses", expected)?, &played.answers);
    }
    let mut found = match compare.verdict() {
        Verdict::Failed(found) => found,
        _ => Vec::new(),
    };
    always(end, &mut found);
    Ok(if found.is_empty() { Verdict::Passed } else { Verdict::Failed(found) })
}

/// A row of `arena_data`: the named members, and what was asked about its note and its image.
fn change(compare: &mut Compare, path: &str, expected: &Value, actual: &Value) {
    let mut named = expected.clone();
    let mut take = |name: &str| named.as_object_mut().and_then(|members| members.remove(name));
    if let Some(part) = take("note_contains") {
        compare.contains(&format!("{path}.note"), &part, &actual["note"]);
    }
    if let Some(members) = take("after_has") {
        compare.has(&format!("{path}.after"), &members, &actual["after"]);
    }
    compare.has(path, &named, actual);
}

/// What the steps answered, in step order; a body that is not named does not count.
fn responses(compare: &mut Compare, expected: &[Value], answers: &[Value]) {
    let answers: Vec<&Value> = answers.iter().filter(|answer| !answer.is_null()).collect();
    for at in 0..expected.len().max(answers.len()) {
        let path = format!("responses[{at}]");
        match (expected.get(at), answers.get(at)) {
            (Some(expected), Some(answer)) => {
                let mut answer = (*answer).clone();
                if let (None, Value::Object(members)) = (expected.get("body"), &mut answer) {
                    members.remove("body");
                }
                compare.equal(&path, expected, &answer);
            }
            (expected, answer) => compare.differs(&path, expected, answer.copied()),
        }
    }
}

fn always(end: &Value, found: &mut Vec<Mismatch>) {
    let mut ids = BTreeSet::new();
    for (at, message) in end["amt_tiltak"].as_array().into_iter().flatten().enumerate() {
        let path = format!("amt_tiltak[{at}]");
        let text = |name: &str| message[name].as_str().unwrap_or_default();
        let mut check = |name: &str, holds: bool, expected: &str| {
            if !holds {
                found.push(Mismatch::new(format!("{path}.{name}"), expected, &message[name]));
            }
        };
        let id = text("transactionId");
        check("transactionId", Uuid::try_parse(id).is_ok(), "a UUID");
        check("transactionId", ids.insert(id.to_owned()), "another one than every other message has");
        check("source", text("source") == "AMT_ARENA_ACL", "AMT_ARENA_ACL");
        check("type", text("type") == "DELTAKER", "DELTAKER");
        check("timestamp", text("timestamp").parse::<NaiveDateTime>().is_ok(), "an ISO local date-time");
        check("key", message["key"] == message["payload"]["id"], "the id in the payload");
        let known = ["key", "transactionId", "source", "type", "timestamp", "operation", "payload"];
        for name in message.as_object().into_iter().flat_map(serde_json::Map::keys) {
            check(name, known.contains(&name.as_str()), "no such member");
        }
    }
    for (at, row) in end["arena_data"].as_array().into_iter().flatten().enumerate() {
        for name in ["before", "after"] {
            if has_nul(&row[name]) {
                found.push(Mismatch::new(format!("arena_data[{at}].{name}"), "no U+0000", json!("one")));
            }
        }
    }
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(members) => members.iter().any(|(name, member)| name.contains('\0') || has_nul(member)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
