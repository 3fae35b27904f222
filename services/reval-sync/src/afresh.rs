//! What a run would make now of doctors, from the collections of others as they are at this moment.

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;
use domain::reval_sync::{Document, Gmc, GmcNumber, Slots, connection, doctor, hidden};
use serde::Serialize;
use serde_json::Value;

use crate::{
    doctors::{Latest, LatestLogs},
    sources::{Collection, Sources, StoreError},
    wire::{self, Change, MASTER_FIELDS, Meta, Unreadable},
};

/// What is read of each doctor.
const READ: [Collection; 4] =
    [Collection::Recommendations, Collection::Doctors, Collection::ConnectionLogs, Collection::HiddenDiscrepancies];

/// What the collections hold of some doctors.
#[derive(Debug, Default)]
pub(crate) struct Afresh {
    doctors: HashMap<GmcNumber, doctor::Summary>,
    latest: Latest,
    logs: LatestLogs,
    hidden: HashMap<GmcNumber, Vec<hidden::Hidden>>,
    /// Documents that were read, by collection.
    pub(crate) read: BTreeMap<&'static str, u64>,
    /// Documents that cannot be read: a run leaves them out and keeps them as dead letters.
    pub(crate) unreadable: Vec<Left>,
}

/// A document of a collection that cannot be read.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Left {
    /// Of which collection.
    pub(crate) collection: &'static str,
    /// Its `_id`.
    pub(crate) key: String,
    /// Why, without any value.
    pub(crate) why: String,
}

/// A field that is one thing in the index and another by the sources.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Difference {
    /// Its name in the document.
    pub(crate) field: &'static str,
    /// As the index has it; `None` where it is absent.
    pub(crate) index: Option<Value>,
    /// As a run would write it now; `None` where it would leave it out.
    pub(crate) sources: Option<Value>,
}

impl Afresh {
    /// Reads what the collections hold of these numbers, one question for each collection. Numbers are compared as they are: every way in which one may
    /// be written has to be named.
    pub(crate) async fn read(sources: &impl Sources, numbers: &[String]) -> Result<Self, StoreError> {
        let mut afresh = Self::default();
        for collection in READ {
            let mut documents =
                if numbers.is_empty() { Vec::new() } else { sources.of_numbers(collection, numbers).await? };
            // an entry for the same body counts once, and that is the first by key, as in a run
            documents.sort_by_key(|document| document.get("_id").and_then(wire::key_text));
            afresh.read.insert(collection.name(), u64::try_from(documents.len()).unwrap_or(u64::MAX));
            for document in &documents {
                if let Err(why) = afresh.add(collection, document) {
                    let key = document.get("_id").and_then(wire::key_text).unwrap_or_default().to_string();
                    afresh.unreadable.push(Left { collection: collection.name(), key, why: why.to_string() });
                }
            }
        }
        Ok(afresh)
    }

    /// Takes a document of a collection.
    pub(crate) fn add(&mut self, collection: Collection, document: &Value) -> Result<(), Unreadable> {
        match collection {
            Collection::Recommendations => self.latest.add(document)?,
            Collection::ConnectionLogs => self.logs.add(document)?,
            Collection::Doctors => {
                let summary = wire::doctor(document)?;
                Change::Doctor(Box::new(summary.clone()), doctor::Outcome::Told).check()?;
                if let Some(number) = GmcNumber::usable(summary.number.as_deref()) {
                    self.doctors.insert(number, summary);
                }
            }
            Collection::HiddenDiscrepancies => {
                let entry = wire::hidden_discrepancy(document)?;
                if let Some(number) = GmcNumber::usable(entry.number.as_deref()) {
                    self.hidden.entry(number).or_default().push(entry);
                }
            }
            Collection::ExceptionLogs => {}
        }
        Ok(())
    }

    /// The keys of the hidden discrepancies.
    pub(crate) fn hidden_keys(&self) -> impl Iterator<Item = String> + '_ {
        self.hidden.values().flatten().filter_map(|entry| Some(entry.id.as_deref()?.to_owned()))
    }

    /// What the stages of a run would apply to a doctor, in their order.
    pub(crate) fn changes(&self, number: &GmcNumber, today: NaiveDate) -> Vec<Change> {
        let doctor = self.doctors.get(number).map(|summary| {
            let mut summary = summary.clone();
            summary.gmc.outcome = self.latest.outcome(&summary, today).map(|outcome| outcome.label().into());
            Change::Doctor(Box::new(summary), doctor::Outcome::Told)
        });
        let log: Option<&connection::Log> = self.logs.of(number);
        let hidden = self.hidden.get(number).into_iter().flatten();
        doctor
            .into_iter()
            .chain(log.map(|log| Change::Connection(log.clone())))
            .chain(hidden.map(|entry| Change::Hide(Box::new(entry.clone()))))
            .collect()
    }

    /// A document as a run would write it now, its trainee data left as it is. A doctor that only the trainee service knows keeps body and submission
    /// date, which may be the trainee service's.
    pub(crate) fn of(&self, document: &Document, today: NaiveDate) -> Document {
        let Some(number) = document.usable_number() else { return document.clone() };
        let mut base = Document { updated_by: None, last_connection: None, hidden: Vec::new(), ..document.clone() };
        let gmc = std::mem::take(&mut base.gmc);
        if !self.doctors.contains_key(&number) {
            base.gmc = Gmc { body: gmc.body, submission: gmc.submission, ..Gmc::default() };
        }
        let mut slots = Slots::default();
        let slot = slots.load(base);
        self.apply(&mut slots, &number, today);
        slots.get(slot).unwrap_or(document).clone()
    }

    /// The document that a run would make of a number that the index has not; `None` where it would make none.
    pub(crate) fn missing(&self, number: &GmcNumber, today: NaiveDate) -> Option<Document> {
        let mut slots = Slots::default();
        self.apply(&mut slots, number, today);
        slots.iter().next().cloned()
    }

    fn apply(&self, slots: &mut Slots, number: &GmcNumber, today: NaiveDate) {
        for change in self.changes(number, today) {
            // each was checked when it was read
            change.apply(slots).unwrap_or_default();
        }
    }
}

/// The ways in which the number of a document may be written.
pub(crate) fn spellings(document: &Document) -> Vec<String> {
    let Some(number) = document.usable_number() else { return Vec::new() };
    written(&number).into_iter().chain(document.number.as_deref().map(str::to_owned)).collect()
}

/// The ways in which a number may be written.
pub(crate) fn written(number: &GmcNumber) -> [String; 2] {
    [number.as_str().to_owned(), number.as_str().to_uppercase()]
}

/// Where two documents differ. The order of hidden discrepancies does not count.
pub(crate) fn differences(index: &Document, sources: &Document) -> Vec<Difference> {
    let fields = |document: &Document| {
        let mut document = document.clone();
        document.hidden.sort_by(|one, other| (&one.id, &one.for_body).cmp(&(&other.id, &other.for_body)));
        wire::to_source(&document, &Meta::default())
    };
    let (mut index, mut sources) = (fields(index), fields(sources));
    let pair = |field: &'static str| Difference { field, index: index.remove(field), sources: sources.remove(field) };
    MASTER_FIELDS.into_iter().map(pair).filter(|pair| pair.index != pair.sources).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn today() -> NaiveDate {
        "2025-06-16".parse().unwrap()
    }

    fn document() -> Document {
        let source = json!({"tcsPersonId": 41001, "gmcReferenceNumber": "7012345", "programmeName": "Surgery",
            "designatedBody": "1-1RSSQ05", "existsInGmc": true, "updatedBy": "one",
            "hiddenDiscrepancies": [{"id": "b", "gmcId": "7012345"}, {"id": "a", "gmcId": "7012345", "hiddenForDesignatedBodyCode": "x"}]});
        wire::from_source("t41001", source.as_object().unwrap()).unwrap().0
    }

    fn filled(documents: &[(Collection, Value)]) -> Afresh {
        let mut afresh = Afresh::default();
        documents.iter().for_each(|(collection, document)| afresh.add(*collection, document).unwrap());
        afresh
    }

    #[test]
    fn what_the_sources_say_replaces_what_was_theirs_and_trainee_data_stays() {
        let afresh = filled(&[
            (Collection::Doctors, json!({"_id": "7012345", "designatedBodyCode": "1-1RUZUTF"})),
            (
                Collection::HiddenDiscrepancies,
                json!({"_id": "a", "gmcId": "7012345", "hiddenForDesignatedBodyCode": "x"}),
            ),
            (Collection::HiddenDiscrepancies, json!({"_id": "b", "gmcId": "7012345"})),
        ]);
        let found = differences(&document(), &afresh.of(&document(), today()));
        let told: Vec<_> =
            found.iter().map(|found| (found.field, found.index.clone(), found.sources.clone())).collect();
        assert_eq!(
            told,
            [
                ("designatedBody", Some(json!("1-1RSSQ05")), Some(json!("1-1RUZUTF"))),
                ("updatedBy", Some(json!("one")), None),
            ]
        );
    }

    #[test]
    fn a_doctor_that_only_the_trainee_service_knows_keeps_the_body_that_it_told() {
        let found = differences(&document(), &Afresh::default().of(&document(), today()));
        let fields: Vec<_> = found.iter().map(|found| found.field).collect();
        assert_eq!(fields, ["existsInGmc", "updatedBy", "hiddenDiscrepancies"]);
    }

    #[test]
    fn a_doctor_of_the_gmc_is_missing_where_the_index_has_none_and_a_log_alone_makes_nobody() {
        let number = GmcNumber::usable(Some("7012345")).unwrap();
        let log = (Collection::ConnectionLogs, json!({"_id": "l", "gmcId": "7012345", "updatedBy": "one"}));
        assert_eq!(filled(std::slice::from_ref(&log)).missing(&number, today()), None);
        let both = filled(&[log, (Collection::Doctors, json!({"_id": "7012345"}))]);
        assert_eq!(both.missing(&number, today()).unwrap().updated_by.as_deref(), Some("one"));
    }
}
