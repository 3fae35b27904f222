//! Whether the index is what a run would write now, as far as the collections tell (14.6 no. 27). Trainee data cannot be read anywhere; of it only
//! persons that stand on two documents are seen.
//!
//! What is under way while it reads looks like a difference: whoever looks again finds it gone.

mod repair;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use chrono::NaiveDate;
use domain::reval_sync::{Document, GmcNumber, Slots};
use search::engine::{Engine, Query};
use serde::Serialize;

use self::repair::Repairs;
use crate::{
    afresh::{self, Afresh, differences},
    index::{self, MASTER},
    shared::{Ports, Shared},
    sources::{Collection, Cursor as _, Sources as _},
    trouble::Trouble,
    wire,
};

/// Documents that are compared together.
const PAGE: usize = 500;
/// Documents of one answer when numbers are looked up.
const HITS: usize = 10_000;

/// Something in which the index is not what a run would write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Found {
    /// As `explain` takes it; an id where the document has neither number nor person.
    pub(crate) key: String,
    /// The document, if there is one.
    pub(crate) document: Option<String>,
    /// What is wrong.
    pub(crate) kind: Kind,
    /// The fields that differ, by name.
    pub(crate) fields: Vec<&'static str>,
    /// What is done about it.
    pub(crate) mending: Mending,
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Fields are not what the sources say.
    Differs,
    /// The GMC knows a doctor of whom there is no document.
    Missing,
    /// A person stands on two documents.
    PersonTwice,
    /// A document is none of ours; nothing is compared.
    Unreadable,
}

/// What is done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mending {
    /// No message can: a run does.
    ByRun,
    /// Messages would, or for a part of it.
    Possible,
    /// Messages are sent.
    Sent,
}

/// What was seen in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub(crate) struct Totals {
    /// Documents of the index and of `doctorsForDB`.
    pub(crate) seen: u64,
    /// What is not true.
    pub(crate) differences: u64,
    /// Of these, those about which messages are sent.
    pub(crate) sent: u64,
}

/// Who is told what is found, and how far it is.
pub(crate) trait Listener: Send {
    /// A pass begins, over about so many documents.
    fn begins(&mut self, pass: &'static str, about: u64);
    /// So many more were looked at.
    fn seen(&mut self, more: u64);
    /// Something is not true.
    fn found(&mut self, found: &Found);
}

/// Compares the live index with the collections; with `mend`, sends what repairs it on the ordinary path.
///
/// # Errors
/// What could not be asked or sent, in the moment; a repeat is safe.
pub(crate) async fn verify<P: Ports>(
    shared: &Shared<P>,
    mend: bool,
    listener: &mut impl Listener,
) -> Result<Totals, Trouble> {
    let index = shared.engine.indices(MASTER).await?.into_iter().next().ok_or(Trouble::NoLive)?.name;
    shared.engine.refresh(&index).await?;
    let today = shared.today();
    let mut look = Look { shared, index, today, mend, listener, totals: Totals::default() };
    look.documents().await?;
    look.doctors().await?;
    Ok(look.totals)
}

struct Look<'a, P: Ports, L> {
    shared: &'a Shared<P>,
    index: String,
    today: NaiveDate,
    mend: bool,
    listener: &'a mut L,
    totals: Totals,
}

impl<P: Ports, L: Listener> Look<'_, P, L> {
    /// Each document against the sources of its number.
    async fn documents(&mut self) -> Result<(), Trouble> {
        let engine = &*self.shared.engine;
        self.listener.begins("documents", engine.count(&self.index, &Query::All).await?);
        let (mut after, mut before) = (None, None::<Document>);
        loop {
            // by person, so that two documents of one stand together
            let page = engine.search(&self.index, &Query::All, "tcsPersonId", PAGE, after.as_deref()).await?;
            let seen = page.documents.len();
            let read: Vec<_> = page
                .documents
                .into_iter()
                .map(|found| (wire::from_source(&found.id, &found.source), found.id))
                .collect();
            let numbers: BTreeSet<String> =
                read.iter().filter_map(|(read, _)| Some(afresh::spellings(&read.as_ref().ok()?.0))).flatten().collect();
            let afresh = Afresh::read(&*self.shared.sources, &Vec::from_iter(numbers)).await?;
            let (mut found, mut repairs) = (Vec::new(), Repairs::default());
            for (read, id) in read {
                let Ok((document, _)) = read else {
                    let (key, document) = (id.clone(), Some(id));
                    let (kind, mending) = (Kind::Unreadable, Mending::ByRun);
                    found.push(Found { key, document, kind, fields: Vec::new(), mending });
                    continue;
                };
                found.extend(before.as_ref().and_then(|before| twice(before, &document, &mut repairs)));
                found.extend(self.differing(&document, &afresh, &mut repairs));
                before = Some(document);
            }
            self.tell(seen, found, repairs).await?;
            after = page.after;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    fn differing(&self, document: &Document, afresh: &Afresh, repairs: &mut Repairs) -> Option<Found> {
        let wanted = afresh.of(document, self.today);
        let fields: Vec<_> = differences(document, &wanted).into_iter().map(|found| found.field).collect();
        if fields.is_empty() {
            return None;
        }
        let changes = document.usable_number().map(|number| afresh.changes(&number, self.today)).unwrap_or_default();
        // what messages would make of it
        let mut slots = Slots::default();
        let slot = slots.load(document.clone());
        for change in &changes {
            change.apply(&mut slots).unwrap_or_default(); // each was checked when it was read
        }
        let helps = slots.get(slot).is_some_and(|mended| !differences(document, mended).is_empty());
        if helps {
            repairs.changes.extend(changes);
        }
        Some(Found {
            key: key(document),
            document: document.id.as_deref().map(str::to_owned),
            kind: Kind::Differs,
            fields,
            mending: if helps { Mending::Possible } else { Mending::ByRun },
        })
    }

    /// Each doctor of the GMC: whether there is a document.
    async fn doctors(&mut self) -> Result<(), Trouble> {
        let sources = &*self.shared.sources;
        self.listener.begins("doctors of the GMC", sources.count(Collection::Doctors).await?);
        let mut missing = BTreeSet::new();
        let mut cursor = sources.read(Collection::Doctors).await?;
        loop {
            let documents = cursor.next().await?;
            if documents.is_empty() {
                break;
            }
            // what cannot be read is a dead letter of every run
            let doctors = documents.iter().filter_map(|document| wire::doctor(document).ok());
            let numbers: BTreeSet<GmcNumber> =
                doctors.filter_map(|doctor| GmcNumber::usable(doctor.number.as_deref())).collect();
            let known = self.known(&numbers).await?;
            missing.extend(numbers.difference(&known).cloned());
            self.tell(documents.len(), Vec::new(), Repairs::default()).await?;
        }
        drop(cursor); // a store has few of them
        for numbers in Vec::from_iter(missing).chunks(PAGE) {
            let written: Vec<String> = numbers.iter().flat_map(afresh::written).collect();
            let afresh = Afresh::read(sources, &written).await?;
            let (mut found, mut repairs) = (Vec::new(), Repairs::default());
            for number in numbers {
                if afresh.missing(number, self.today).is_some() {
                    repairs.changes.extend(afresh.changes(number, self.today));
                    let key = format!("doctor {}", number.as_str());
                    let (kind, mending) = (Kind::Missing, Mending::Possible);
                    found.push(Found { key, document: None, kind, fields: Vec::new(), mending });
                }
            }
            self.tell(0, found, repairs).await?;
        }
        Ok(())
    }

    /// Those of the numbers that have a document.
    async fn known(&self, numbers: &BTreeSet<GmcNumber>) -> Result<BTreeSet<GmcNumber>, Trouble> {
        let query = index::with_numbers(&numbers.iter().map(|number| number.as_str().to_owned()).collect::<Vec<_>>());
        let (mut known, mut after) = (BTreeSet::new(), None);
        loop {
            let page = self.shared.engine.search(&self.index, &query, "tcsPersonId", HITS, after.as_deref()).await?;
            let texts =
                page.documents.iter().filter_map(|found| wire::key_text(found.source.get("gmcReferenceNumber")?));
            known.extend(texts.filter_map(|text| GmcNumber::usable(Some(&text))));
            after = page.after;
            if after.is_none() {
                return Ok(known);
            }
        }
    }

    /// Sends what repairs, then tells what was found.
    async fn tell(&mut self, seen: usize, found: Vec<Found>, repairs: Repairs) -> Result<(), Trouble> {
        if self.mend {
            repairs.send(self.shared).await?;
        }
        for mut found in found {
            if self.mend && found.mending == Mending::Possible {
                found.mending = Mending::Sent;
                self.totals.sent += 1;
            }
            self.totals.differences += 1;
            self.listener.found(&found);
        }
        let seen = u64::try_from(seen).unwrap_or(u64::MAX);
        self.totals.seen += seen;
        self.listener.seen(seen);
        Ok(())
    }
}

/// A person with two numbers: the trainee service tells which is right.
fn twice(one: &Document, other: &Document, repairs: &mut Repairs) -> Option<Found> {
    let person = other.tis.person.filter(|person| one.tis.person == Some(*person) && one.id != other.id)?;
    let helps = one.usable_number() != other.usable_number();
    repairs.persons.extend(helps.then_some(person));
    Some(Found {
        key: format!("person {person}"),
        document: other.id.as_deref().map(str::to_owned),
        kind: Kind::PersonTwice,
        fields: Vec::new(),
        mending: if helps { Mending::Possible } else { Mending::ByRun },
    })
}

fn key(document: &Document) -> String {
    match (document.usable_number(), document.tis.person) {
        (Some(number), _) => format!("doctor {}", number.as_str()),
        (None, Some(person)) => format!("person {person}"),
        (None, None) => document.id.as_deref().unwrap_or_default().to_owned(),
    }
}
