//! What the journal says of a doctor.

use chrono::{DateTime, SecondsFormat, Utc};
use domain::reval_sync::{Document, GmcNumber, Slots, Text, Tis, run::Stage};
use search::engine::Source;
use serde::Serialize;

use super::Names;
use crate::{
    live::JOURNAL,
    run_store::Logs,
    sources::StoreError,
    wire::{self, Change, Entry, Event, Kind, Meta},
};

/// Pages of the journal that are read together.
const PAGES: usize = 16;

/// An entry of the journal.
#[derive(Debug, Serialize)]
pub(crate) struct Told {
    /// When it was applied (UTC).
    pub(super) at: String,
    /// Its page in the journal.
    pub(super) page: u64,
    /// What it was.
    pub(super) what: String,
    /// The order token of an event.
    pub(super) token: Option<String>,
    /// The fields that it names, as the document has them; one that is absent was told to be absent, or not told.
    pub(super) said: Source,
    /// What it says beside fields.
    pub(super) note: Option<String>,
}

/// The entries about what `names` says, in order. `names` learns the keys of hidden discrepancies on the way.
pub(super) async fn told(store: &impl Logs, names: &mut Names) -> Result<Vec<Told>, StoreError> {
    let (mut told, mut from) = (Vec::new(), 0);
    loop {
        let pages = store.pages(JOURNAL, from, PAGES).await?;
        let Some(last) = pages.last() else { return Ok(told) };
        from = last.sequence + 1;
        for page in &pages {
            for entry in page.entries.iter().filter_map(Entry::read) {
                // what cannot be read by this version is not replayed either
                let Ok(Some((change, event))) = entry.change() else { continue };
                if names.are_in(&change) {
                    told.push(Told::new(page.sequence, page.at, entry.kind, &change, event.as_ref()));
                }
            }
        }
    }
}

impl Names {
    fn are_in(&mut self, change: &Change) -> bool {
        let of_number = change.number().is_some_and(|number| self.numbers.contains(&number));
        let of_person = change.person().is_some_and(|person| self.persons.contains(&person));
        match change {
            Change::Hide(entry) if of_number => self.hidden.extend(entry.id.as_deref().map(str::to_owned)),
            Change::Unhide(key) => return self.hidden.contains(&**key),
            _ => {}
        }
        of_number || of_person
    }
}

impl Told {
    fn new(page: u64, at: DateTime<Utc>, kind: Kind, change: &Change, event: Option<&Event>) -> Self {
        Self {
            at: at.to_rfc3339_opts(SecondsFormat::Secs, true),
            page,
            what: what(kind, event),
            token: event.and_then(|event| event.token.clone()),
            said: said(change),
            note: note(change),
        }
    }
}

fn what(kind: Kind, event: Option<&Event>) -> String {
    match kind {
        Kind::Data(Stage::Tcs) => "trainee of an extract, late".to_owned(),
        Kind::Data(Stage::Gmc) => "doctor of an export, late".to_owned(),
        Kind::Data(Stage::ConnectionLogs) => "connection log of an export, late".to_owned(),
        Kind::Data(Stage::HiddenDiscrepancies) => "hidden discrepancy of an export, late".to_owned(),
        Kind::Marker(_) => "end of an export".to_owned(),
        Kind::Update => "trainee update".to_owned(),
        Kind::Event(collection) => {
            let key = event.and_then(|event| event.key.as_deref());
            format!("event of {}{}", collection.name(), key.map_or_else(String::new, |key| format!("/{key}")))
        }
    }
}

/// What a change makes of a document that has nothing but the number.
fn said(change: &Change) -> Source {
    let mut slots = Slots::default();
    let number = change.number().map(|number| Text::from(number.as_str()));
    slots.load(Document { number, tis: Tis { person: change.person(), ..Tis::default() }, ..Document::default() });
    change.apply(&mut slots).unwrap_or_default(); // it was applied before
    let document = slots.iter().next();
    document.map(|document| wire::to_source(document, &Meta::default())).unwrap_or_default()
}

fn note(change: &Change) -> Option<String> {
    match change {
        Change::Unhide(key) => Some(format!("hidden discrepancy {key} ends")),
        Change::Update(trainee) if GmcNumber::usable(trainee.number.as_deref()).is_none() => {
            Some("no usable number: the documents of the person lose its trainee data".to_owned())
        }
        _ => None,
    }
}
