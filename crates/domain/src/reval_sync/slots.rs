//! Documents, found by number and by person.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{Document, GmcNumber, Text};

/// The place of a document in its [`Slots`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(usize);

/// Documents that the rules work on: all of them in a run, those that an event can touch otherwise.
#[derive(Debug, Default)]
pub struct Slots {
    documents: Vec<Option<Document>>,
    by_number: HashMap<GmcNumber, BTreeSet<Slot>>,
    by_person: HashMap<i64, BTreeSet<Slot>>,
    changed: BTreeSet<Slot>,
    removed: HashMap<Slot, Text>,
}

impl Slots {
    /// Adds a document that is held already; it does not count as [changed](Self::changed).
    pub fn load(&mut self, document: Document) -> Slot {
        let slot = Slot(self.documents.len());
        self.enter(slot, &document);
        self.documents.push(Some(document));
        slot
    }

    /// What is in the slot; `None` once it was removed.
    #[must_use]
    pub fn get(&self, slot: Slot) -> Option<&Document> {
        self.documents.get(slot.0)?.as_ref()
    }

    /// Every document, in order of arrival.
    pub fn iter(&self) -> impl Iterator<Item = &Document> {
        self.documents.iter().flatten()
    }

    /// The documents with a hidden discrepancy of this key, in order of arrival.
    #[must_use]
    pub fn hiding(&self, id: &str) -> Vec<Slot> {
        let has = |slot: &Slot| {
            self.get(*slot).is_some_and(|document| document.hidden.iter().any(|entry| entry.id.as_deref() == Some(id)))
        };
        self.all().filter(has).collect()
    }

    /// The slots that hold a document, in order of arrival.
    pub fn occupied(&self) -> impl Iterator<Item = Slot> + '_ {
        self.all().filter(|slot| self.get(*slot).is_some())
    }

    /// The id of the document that was removed from the slot, if it had one.
    #[must_use]
    pub fn removed_id(&self, slot: Slot) -> Option<&str> {
        self.removed.get(&slot).map(|id| &**id)
    }

    /// Every slot, also those that are empty.
    pub(super) fn all(&self) -> impl Iterator<Item = Slot> + use<> {
        (0..self.documents.len()).map(Slot)
    }

    /// The slots that were added, changed or removed, in order of arrival.
    pub fn changed(&self) -> impl Iterator<Item = Slot> + '_ {
        self.changed.iter().copied()
    }

    /// The documents with this number, in order of arrival: several persons may share one.
    #[must_use]
    pub fn of_number(&self, number: &GmcNumber) -> Vec<Slot> {
        self.by_number.get(number).map(|slots| slots.iter().copied().collect()).unwrap_or_default()
    }

    /// The documents of this person, in order of arrival.
    #[must_use]
    pub fn of_person(&self, person: i64) -> Vec<Slot> {
        self.by_person.get(&person).map(|slots| slots.iter().copied().collect()).unwrap_or_default()
    }

    /// The slots that were added, changed or removed since the last call, in order of arrival; from now on they count as unchanged.
    pub fn take_changed(&mut self) -> Vec<Slot> {
        std::mem::take(&mut self.changed).into_iter().collect()
    }

    /// Gives every document without an id one (R-ID-3): `t` and the person, else `g` and the number, with `-2`, `-3`… when another document, here or
    /// in `taken`, has that id. Documents that have one keep it.
    pub fn assign_ids(&mut self, taken: &HashSet<Text>) {
        let mut own: HashSet<Text> = self.iter().filter_map(|document| document.id.clone()).collect();
        for document in self.documents.iter_mut().flatten().filter(|document| document.id.is_none()) {
            let base = match document.tis.person {
                Some(person) => format!("t{person}"),
                None => format!("g{}", document.number.as_deref().unwrap_or_default()),
            };
            let mut id: Text = base.as_str().into();
            for suffix in 2_u64.. {
                if !taken.contains(&id) && own.insert(id.clone()) {
                    break;
                }
                id = format!("{base}-{suffix}").into();
            }
            document.id = Some(id);
        }
    }

    /// Takes the ids back from the documents of these slots, so that they can be given others.
    pub fn forget_ids(&mut self, slots: &[Slot]) {
        for slot in slots {
            if let Some(document) = self.documents.get_mut(slot.0).and_then(Option::as_mut) {
                document.id = None;
            }
        }
    }

    pub(super) fn insert(&mut self, document: Document) -> Slot {
        let slot = self.load(document);
        self.changed.insert(slot);
        slot
    }

    /// Changes what is in the slot; it counts as changed only if it is another document afterwards.
    pub(super) fn change(&mut self, slot: Slot, change: impl FnOnce(&mut Document)) {
        let Some(mut document) = self.documents.get_mut(slot.0).and_then(Option::take) else { return };
        let before = document.clone();
        change(&mut document);
        if document != before {
            self.leave(slot, &before);
            self.enter(slot, &document);
            self.changed.insert(slot);
        }
        if let Some(place) = self.documents.get_mut(slot.0) {
            *place = Some(document);
        }
    }

    pub(super) fn remove(&mut self, slot: Slot) {
        if let Some(document) = self.documents.get_mut(slot.0).and_then(Option::take) {
            self.removed.extend(document.id.clone().map(|id| (slot, id)));
            self.leave(slot, &document);
            self.changed.insert(slot);
        }
    }

    fn enter(&mut self, slot: Slot, document: &Document) {
        if let Some(number) = document.usable_number() {
            self.by_number.entry(number).or_default().insert(slot);
        }
        if let Some(person) = document.tis.person {
            self.by_person.entry(person).or_default().insert(slot);
        }
    }

    fn leave(&mut self, slot: Slot, document: &Document) {
        if let Some(slots) = document.usable_number().and_then(|number| self.by_number.get_mut(&number)) {
            slots.remove(&slot);
        }
        if let Some(slots) = document.tis.person.and_then(|person| self.by_person.get_mut(&person)) {
            slots.remove(&slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reval_sync::Tis;

    fn document(number: &str, person: Option<i64>) -> Document {
        Document { number: Some(number.into()), tis: Tis { person, ..Tis::default() }, ..Document::default() }
    }

    fn ids(slots: &Slots) -> Vec<&str> {
        slots.iter().map(|document| document.id.as_deref().unwrap()).collect()
    }

    #[test]
    fn a_document_gets_its_id_once_from_its_person_or_else_its_number() {
        let mut slots = Slots::default();
        slots.insert(document("7012345", Some(41001)));
        slots.insert(document("7012345", None));
        slots.assign_ids(&HashSet::new());
        assert_eq!(ids(&slots), ["t41001", "g7012345"]);
        let first = slots.of_person(41001).remove(0);
        slots.change(first, |document| document.tis.person = None);
        slots.assign_ids(&HashSet::new());
        assert_eq!(ids(&slots), ["t41001", "g7012345"]);
    }

    #[test]
    fn an_id_that_another_document_has_gets_a_number() {
        let mut slots = Slots::default();
        for number in ["1", "2", "3"] {
            slots.insert(document(number, Some(5)));
        }
        slots.assign_ids(&HashSet::new());
        assert_eq!(ids(&slots), ["t5", "t5-2", "t5-3"]);
    }

    #[test]
    fn an_id_that_is_taken_elsewhere_is_not_given() {
        let mut slots = Slots::default();
        let slot = slots.insert(document("1", Some(5)));
        slots.assign_ids(&["t5".into(), "t5-2".into()].into());
        assert_eq!(ids(&slots), ["t5-3"]);
        slots.forget_ids(&[slot]);
        slots.assign_ids(&HashSet::new());
        assert_eq!(ids(&slots), ["t5"]);
    }

    #[test]
    fn what_was_taken_as_changed_counts_anew() {
        let mut slots = Slots::default();
        let slot = slots.insert(document("1", None));
        assert_eq!(slots.take_changed(), [slot]);
        assert_eq!(slots.take_changed(), []);
        slots.change(slot, |document| document.updated_by = Some("x".into()));
        assert_eq!(slots.take_changed(), [slot]);
    }

    #[test]
    fn a_change_that_changes_nothing_does_not_count() {
        let mut slots = Slots::default();
        let slot = slots.load(document("1", None));
        slots.change(slot, |document| document.number = Some("1".into()));
        assert_eq!(slots.changed().count(), 0);
        slots.change(slot, |document| document.number = Some("2".into()));
        assert_eq!(slots.changed().collect::<Vec<_>>(), [slot]);
        assert!(slots.of_number(&GmcNumber::usable(Some("1")).unwrap()).is_empty());
        assert_eq!(slots.of_number(&GmcNumber::usable(Some("2")).unwrap()), [slot]);
    }

    #[test]
    fn what_is_removed_is_found_no_more() {
        let mut slots = Slots::default();
        let slot = slots.load(document("1", Some(5)));
        slots.remove(slot);
        assert!(slots.of_person(5).is_empty() && slots.get(slot).is_none() && slots.iter().next().is_none());
        assert_eq!(slots.changed().count(), 1);
    }
}
