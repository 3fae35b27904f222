//! Comparison as the README of the vectors has it.

use serde_json::{Map, Value, json};
use testkit::vectors::{BadCase, Compare, Mismatch, Played, Verdict, list, object};

/// What the case came to.
pub(crate) fn verdict(then: &Value, played: &Played) -> Result<Verdict, BadCase> {
    let known = ["indices", "published", "run", "runsStarted", "deadLettered"];
    let expected = object("then", then, &[], &known)?;
    let end = &played.end;
    let mut compare = Compare::default();
    for (name, value) in expected {
        match name.as_str() {
            "indices" => indices(&mut compare, "indices", value, &end["indices"])?,
            "published" => {
                let read =
                    |value: &Value| Ok::<_, BadCase>(list("published", value)?.iter().map(message).collect::<Vec<_>>());
                compare.equal("published", &Value::Array(read(value)?), &Value::Array(read(&end["published"])?));
            }
            "run" => {
                object("run", value, &[], &["state", "reason"])?;
                compare.has("run", value, &end["run"]);
            }
            _ => compare.equal(name, value, &end[name.as_str()]),
        }
    }
    let mut found = compare.mismatches().to_vec();
    for problem in end["problems"].as_array().into_iter().flatten() {
        let part = |name: &str| problem[name].as_str().unwrap_or_default();
        found.push(Mismatch::new(part("path"), part("expected"), part("actual")));
    }
    Ok(if found.is_empty() { Verdict::Passed } else { Verdict::Failed(found) })
}

/// Compares what readers see under each name as multisets.
pub(crate) fn indices(compare: &mut Compare, path: &str, expected: &Value, actual: &Value) -> Result<(), BadCase> {
    let names = expected.as_object().ok_or_else(|| BadCase::new(format!("{path} is not an object")))?;
    for (name, documents) in names {
        let none = json!([]);
        let there = actual.get(name).unwrap_or(&none);
        let read = |value| Ok::<_, BadCase>(list(name, value)?.iter().map(document).collect::<Vec<_>>());
        compare.set(&format!("{path}.{name}"), &read(documents)?, &read(there)?, &Compare::equal);
    }
    Ok(())
}

/// A document without what does not count.
fn document(value: &Value) -> Value {
    let Value::Object(members) = without_nulls(value) else { return value.clone() };
    let counts = |name: &String, value: &Value| {
        !name.starts_with('_')
            && !["id", "syncMeta"].contains(&name.as_str())
            && !(name == "hiddenDiscrepancies" && value.as_array().is_some_and(Vec::is_empty))
    };
    Value::Object(members.into_iter().filter(|(name, value)| counts(name, value)).collect())
}

/// A message with its items by GMC number; an empty payload is none.
fn message(value: &Value) -> Value {
    let mut message = without_nulls(value);
    if let Some(Value::Object(body)) = message.get_mut("body") {
        if let Some(Value::Array(items)) = body.get_mut("payload") {
            items.sort_by_key(|item| {
                let number = [&item["doctor"]["gmcReferenceNumber"], &item["gmcId"]];
                number.into_iter().find_map(Value::as_str).unwrap_or_default().to_owned()
            });
        }
        body.retain(|name, value| !(name == "payload" && value.as_array().is_some_and(Vec::is_empty)));
    }
    message
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(name, value)| (name.clone(), without_nulls(value))).collect::<Map<_, _>>())
        }
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}
