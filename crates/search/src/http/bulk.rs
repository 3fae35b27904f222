//! The lines of a bulk request, and what became of each.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::problem::Cause;
use crate::engine::{Error, Operation, Outcome, Version};

/// All of an answer that is looked at, so that nothing else is sent. It counts for the answer of a failure too.
pub(super) const FIELDS: &str = "items.*.status,items.*.error.type,error.type,error.index";

#[derive(Deserialize)]
pub(super) struct Answer {
    #[serde(default)]
    items: Vec<BTreeMap<String, Item>>,
}

#[derive(Deserialize)]
struct Item {
    status: u16,
    #[serde(default)]
    error: Cause,
}

/// One line for each operation, and one more for its document.
pub(super) fn lines(operations: &[Operation]) -> Vec<u8> {
    let mut lines = Vec::new();
    for operation in operations {
        let source = match operation {
            Operation::Index { id, source } => {
                line(&mut lines, &json!({"index": {"_id": id}}));
                source
            }
            Operation::Create { id, source } => {
                line(&mut lines, &json!({"create": {"_id": id}}));
                source
            }
            Operation::Replace { id, version, source } => {
                line(&mut lines, &json!({"index": at(id, Some(*version))}));
                source
            }
            Operation::Delete { id, version } => {
                line(&mut lines, &json!({"delete": at(id, *version)}));
                continue;
            }
        };
        line(&mut lines, source);
    }
    lines
}

fn at(id: &str, version: Option<Version>) -> Value {
    match version {
        None => json!({"_id": id}),
        Some(version) => json!({"_id": id, "if_seq_no": version.seq_no, "if_primary_term": version.primary_term}),
    }
}

/// JSON holds no line break outside of its texts, and there it is escaped.
fn line(lines: &mut Vec<u8>, value: &impl serde::Serialize) {
    // a map of JSON values is always JSON, and memory takes every byte
    serde_json::to_writer(&mut *lines, value).ok();
    lines.push(b'\n');
}

/// One outcome for each operation.
pub(super) fn outcomes(index: &str, operations: &[Operation], answer: Answer) -> Result<Vec<Outcome>, Error> {
    let items: Vec<Item> = answer.items.into_iter().filter_map(|item| item.into_values().next()).collect();
    if items.len() != operations.len() {
        return Err(Error::Unavailable(format!("answered {} of {} lines", items.len(), operations.len())));
    }
    if items.iter().any(|item| item.error.kind == "index_not_found_exception") {
        return Err(Error::NoIndex(index.to_owned()));
    }
    Ok(operations.iter().zip(items).map(|(operation, item)| outcome(operation, &item)).collect())
}

fn outcome(operation: &Operation, item: &Item) -> Outcome {
    match (item.status, operation) {
        (200..300, _) | (404, Operation::Delete { version: None, .. }) => Outcome::Done,
        (409, _) => Outcome::Conflict,
        (403 | 429 | 500.., _) => Outcome::Later,
        (status, _) => Outcome::Refused { status, reason: item.error.kinds() },
    }
}
