//! What the service has left against what the model leaves.

use std::collections::{BTreeMap, HashMap};

use arena_acl::memory::State;
use domain::{arena_acl::IngestStatus, delivery::Message};
use serde_json::Value;
use testkit::ledger::{Balance, Ledger};
use uuid::Uuid;

/// The account of one run.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) balance: Balance,
    /// Messages that left more than once; each time they were the same, byte for byte.
    pub(crate) twice: usize,
    pub(crate) superseded: usize,
    /// Rows that differ from the model's, and keys whose last message does.
    pub(crate) differs: Vec<String>,
}

/// Compares tables and topics with those of the model.
pub(crate) fn of(model: &State, left: &State, published: &[Message]) -> Account {
    let mut ledger = Ledger::default();
    let names = names_of(model);
    let mut last: BTreeMap<String, String> = BTreeMap::new();
    for message in &model.outbox {
        let key = named(&names, &message.message_key);
        let text = normalised(message.payload.as_deref().unwrap(), &key);
        ledger.sent(&key, &text);
        last.insert(key, text);
    }
    for letter in &model.quarantine {
        ledger.sent_poison(&format!("{}/{:?} {}", letter.source, letter.position, letter.reason));
    }

    let names = names_of(left);
    let mut account = Account::default();
    let mut seen: HashMap<(&str, &[u8]), ()> = HashMap::new();
    let mut transactions: HashMap<String, &[u8]> = HashMap::new();
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for message in published {
        let bytes = message.payload.as_deref().unwrap_or_default();
        let key = str::from_utf8(message.key.as_deref().unwrap_or_default()).unwrap();
        let name = named(&names, key);
        let text = normalised(str::from_utf8(bytes).unwrap(), &name);
        if let Some(transaction) = transaction(bytes)
            && *transactions.entry(transaction.clone()).or_insert(bytes) != bytes
        {
            account.differs.push(format!("one transaction, two messages: {transaction}"));
        }
        if seen.insert((key, bytes), ()).is_none() {
            ledger.effect(&text);
        } else {
            account.twice += 1;
        }
        found.insert(name, text);
    }
    for letter in &left.quarantine {
        ledger.dead_letter(&format!("{}/{:?} {}", letter.source, letter.position, letter.reason));
    }
    account.balance = ledger.balance();
    account.differs.extend(differences("last message of", &last, &found));
    account.differs.extend(differences("", &lines(model), &lines(left)));
    account.superseded = left
        .arena_data
        .iter()
        .filter(|row| row.note.as_deref().is_some_and(|note| note.starts_with("Superseded")))
        .count();
    account
}

fn differences(what: &str, expected: &BTreeMap<String, String>, found: &BTreeMap<String, String>) -> Vec<String> {
    let nothing = "nothing".to_owned();
    let keys: std::collections::BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
    keys.into_iter()
        .filter_map(|key| {
            let (expected, found) = (expected.get(key).unwrap_or(&nothing), found.get(key).unwrap_or(&nothing));
            (expected != found).then(|| format!("{what} {key}: expected {expected}, found {found}"))
        })
        .collect()
}

fn names_of(state: &State) -> HashMap<Uuid, String> {
    let participants = state.id_translation.iter().map(|row| (row.amt_id, format!("deltaker {}", row.arena_id)));
    let history = state.hist_id_translation.iter().map(|row| (row.amt_id, format!("hist {}", row.arena_hist_id)));
    history.chain(participants).collect()
}

fn named(names: &HashMap<Uuid, String>, key: &str) -> String {
    let known = key.parse().ok().and_then(|id: Uuid| names.get(&id));
    known.cloned().unwrap_or_else(|| format!("stranger {key}"))
}

fn transaction(payload: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(payload).unwrap();
    value["transactionId"].as_str().map(str::to_owned)
}

/// A message without what is different in every run: its transaction, its time, the UUID.
fn normalised(payload: &str, key: &str) -> String {
    let mut value: Value = serde_json::from_str(payload).unwrap();
    let message = value.as_object_mut().unwrap();
    for member in ["transactionId", "timestamp"] {
        message.remove(member);
    }
    match message.get_mut("payload") {
        Some(participant) => participant["id"] = key.into(),
        None => value["id"] = key.into(),
    }
    value.to_string()
}

/// Every row of the tables of data, without ids, times of processing and counts of attempts.
fn lines(state: &State) -> BTreeMap<String, String> {
    let json = |image: &Option<std::sync::Arc<str>>| {
        image.as_deref().map(|image| serde_json::from_str::<Value>(image).unwrap().to_string())
    };
    // the purge takes what is ignored whenever it runs
    let kept = state.arena_data.iter().filter(|row| row.ingest_status != IngestStatus::Ignored);
    let rows = kept.map(|row| {
        (
            format!("{} {} {}", row.arena_table_name.name(), row.operation_pos, row.operation_type.name()),
            format!(
                "{} {} {:?} {:?} {:?} {:?}",
                row.arena_id,
                row.operation_timestamp,
                row.ingest_status,
                row.note,
                json(&row.before),
                json(&row.after)
            ),
        )
    });
    let ids =
        state.id_translation.iter().map(|row| (format!("id {} {}", row.arena_table_name, row.arena_id), String::new()));
    let hist = state
        .hist_id_translation
        .iter()
        .map(|row| (format!("hist {}", row.arena_hist_id), format!("{:?}", row.arena_id)));
    let participants = state.deltaker.iter().map(|row| (format!("deltaker {}", row.arena_id), format!("{row:?}")));
    let courses = state.gjennomforing.iter().map(|row| (format!("course {}", row.arena_id), format!("{row:?}")));
    let mut lines = BTreeMap::new();
    for (mut key, value) in rows.chain(ids).chain(hist).chain(participants).chain(courses) {
        while lines.contains_key(&key) {
            key.push_str(" again");
        }
        lines.insert(key, value);
    }
    lines
}
