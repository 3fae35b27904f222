//! Dead letters about a doctor.

use chassis::dead_letters::{Filter, Show};
use chrono::SecondsFormat;
use domain::reval_sync::GmcNumber;
use serde::Serialize;
use serde_json::Value;

use super::Names;
use crate::{run_store::Letters, sources::StoreError, wire};

/// Letters that are read together.
const PAGE: usize = 200;
/// Where messages, events and documents have a number; `_id` is that of a doctor.
const NUMBERS: [&str; 4] = ["gmcReferenceNumber", "gmcNumber", "gmcId", "_id"];

/// An open dead letter.
#[derive(Debug, Serialize)]
pub(crate) struct Told {
    /// As `dead-letters` knows it.
    pub(super) id: String,
    /// Where its message came from.
    pub(super) source: String,
    /// Why it was given up.
    pub(super) reason: String,
    /// For people.
    pub(super) detail: String,
    /// When it was given up (UTC).
    pub(super) at: Option<String>,
    /// How often it was redriven.
    pub(super) replays: u32,
}

/// The open letters whose bytes are JSON that names the doctor.
pub(super) async fn told(store: &impl Letters, names: &Names) -> Result<Vec<Told>, StoreError> {
    let (mut told, mut after) = (Vec::new(), None);
    loop {
        let page = store.open(&Filter::default(), after, PAGE, Show::Contents).await?;
        let Some(last) = page.last() else { return Ok(told) };
        after = Some(last.id);
        for letter in page {
            let payload = letter.contents.as_ref().and_then(|contents| contents.payload.as_deref());
            let value = payload.and_then(|payload| serde_json::from_slice::<Value>(payload).ok());
            if value.is_some_and(|value| names.stand_in(&value)) {
                told.push(Told {
                    id: letter.id.to_string(),
                    source: letter.source,
                    reason: letter.reason,
                    detail: letter.detail,
                    at: letter.first_at.map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true)),
                    replays: letter.replay_count,
                });
            }
        }
    }
}

impl Names {
    fn stand_in(&self, value: &Value) -> bool {
        match value {
            Value::Array(items) => items.iter().any(|item| self.stand_in(item)),
            Value::Object(members) => members.iter().any(|(name, value)| {
                let text = wire::key_text(value);
                let text = text.as_deref();
                let is_number = || GmcNumber::usable(text).is_some_and(|number| self.numbers.contains(&number));
                let is_person = || {
                    text.and_then(|text| text.trim().parse().ok()).is_some_and(|person| self.persons.contains(&person))
                };
                (NUMBERS.contains(&name.as_str()) && is_number())
                    || (name == "tcsPersonId" && is_person())
                    || (name == "_id" && text.is_some_and(|text| self.hidden.contains(text)))
                    || self.stand_in(value)
            }),
            _ => false,
        }
    }
}
