//! Changes applied to documents in memory: all of them in a run, those that a batch of events can touch otherwise.

use std::collections::{BTreeMap, HashMap};

use domain::reval_sync::{Refused, Slot, Slots};

use crate::wire::{Change, Event, Meta};

/// The order tokens that a document remembers, at most.
const TOKENS_OF_DOCUMENT: usize = 16;

/// Documents and what they remember, under the rules.
#[derive(Debug, Default)]
pub struct Merge {
    /// The documents.
    pub slots: Slots,
    metas: HashMap<Slot, Meta>,
    tokens: HashMap<String, String>,
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// It is applied, perhaps without effect.
    Done,
    /// It is older than what was applied (R-CDC-11).
    Stale,
}

/// The place of an event in the order of its document: under which key, and its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Collection and document key.
    pub key: String,
    /// Compared as text.
    pub token: String,
}

impl Order {
    /// The order of an event of a collection; `None` for one without token or key.
    #[must_use]
    pub fn of(collection: crate::sources::Collection, event: &Event) -> Option<Self> {
        let key = format!("{}/{}", collection.name(), event.key.as_ref()?);
        Some(Self { key, token: event.token.clone()? })
    }
}

impl Merge {
    /// Adds a document as the index has it.
    pub fn load(&mut self, document: domain::reval_sync::Document, meta: Meta) -> Slot {
        let slot = self.slots.load(document);
        self.metas.insert(slot, meta);
        slot
    }

    /// Remembers tokens that were applied before.
    pub fn know(&mut self, tokens: HashMap<String, String>) {
        for (key, token) in tokens {
            let known = self.tokens.entry(key).or_default();
            *known = token.max(std::mem::take(known));
        }
    }

    /// The tokens of all that was applied.
    #[must_use]
    pub fn tokens(&self) -> &HashMap<String, String> {
        &self.tokens
    }

    /// Applies a change. One whose token is not above the last one of its key is stale.
    ///
    /// # Errors
    /// It can never be applied.
    pub fn apply(&mut self, change: &Change, order: Option<&Order>) -> Result<Applied, Refused> {
        let Some(order) = order else { return change.apply(&mut self.slots).map(|()| Applied::Done) };
        if self.tokens.get(&order.key).is_some_and(|known| *known >= order.token) || self.is_passed(change, order) {
            return Ok(Applied::Stale);
        }
        let before: Vec<Slot> = match change {
            Change::Unhide(id) => self.slots.hiding(id),
            _ => Vec::new(),
        };
        change.apply(&mut self.slots)?;
        self.tokens.insert(order.key.clone(), order.token.clone());
        for slot in self.of_number(change).into_iter().chain(before) {
            let tokens = &mut self.metas.entry(slot).or_default().tokens;
            tokens.insert(order.key.clone(), order.token.clone());
            forget_oldest(tokens);
        }
        Ok(Applied::Done)
    }

    /// Whether a document remembers a later event of that key: the store may have forgotten it in a crash between the two writes.
    fn is_passed(&self, change: &Change, order: &Order) -> bool {
        let later = |slot: Slot| {
            self.metas.get(&slot).and_then(|meta| meta.tokens.get(&order.key)).is_some_and(|known| *known > order.token)
        };
        self.of_number(change).into_iter().any(later)
    }

    fn of_number(&self, change: &Change) -> Vec<Slot> {
        change.number().map(|number| self.slots.of_number(&number)).unwrap_or_default()
    }

    /// What a document remembers.
    #[must_use]
    pub fn meta(&self, slot: Slot) -> Meta {
        self.metas.get(&slot).cloned().unwrap_or_default()
    }
}

fn forget_oldest(tokens: &mut BTreeMap<String, String>) {
    while tokens.len() > TOKENS_OF_DOCUMENT {
        let oldest = tokens.iter().min_by_key(|(_, token)| token.as_str()).map(|(key, _)| key.clone());
        tokens.remove(&oldest.unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use domain::reval_sync::connection::Log;

    use super::*;

    fn change(by: &str) -> Change {
        let log = Log { number: Some("7012345".into()), updated_by: Some(by.into()), time: None };
        Change::Connection(log)
    }

    fn order(token: &str) -> Order {
        Order { key: "connectionLogs/a".to_owned(), token: token.to_owned() }
    }

    fn one_doctor() -> (Merge, Slot) {
        let mut merge = Merge::default();
        let number = Some("7012345".into());
        let slot = merge.load(domain::reval_sync::Document { number, ..Default::default() }, Meta::default());
        (merge, slot)
    }

    #[test]
    fn an_event_that_is_not_later_than_the_last_one_of_its_key_is_stale() {
        let (mut merge, slot) = one_doctor();
        assert_eq!(merge.apply(&change("two"), Some(&order("02"))), Ok(Applied::Done));
        for token in ["01", "02"] {
            assert_eq!(merge.apply(&change("one"), Some(&order(token))), Ok(Applied::Stale));
        }
        assert_eq!(merge.slots.get(slot).unwrap().updated_by.as_deref(), Some("two"));
        assert_eq!(merge.apply(&change("three"), None), Ok(Applied::Done), "without token it is always applied");
        assert_eq!(merge.meta(slot).tokens["connectionLogs/a"], "02");
    }

    #[test]
    fn a_document_that_remembers_a_later_event_makes_an_earlier_one_stale() {
        let mut merge = Merge::default();
        let tokens = BTreeMap::from([("connectionLogs/a".to_owned(), "05".to_owned())]);
        let document = domain::reval_sync::Document { number: Some("7012345".into()), ..Default::default() };
        merge.load(document, Meta { run: None, tokens });
        assert_eq!(merge.apply(&change("one"), Some(&order("04"))), Ok(Applied::Stale));
        assert_eq!(
            merge.apply(&change("one"), Some(&order("05"))),
            Ok(Applied::Done),
            "perhaps one of two was written"
        );
    }

    #[test]
    fn a_document_remembers_only_its_latest_tokens() {
        let (mut merge, slot) = one_doctor();
        for at in 0..40 {
            let order = Order { key: format!("connectionLogs/{at}"), token: format!("{at:02}") };
            assert_eq!(merge.apply(&change("x"), Some(&order)), Ok(Applied::Done));
        }
        let tokens = merge.meta(slot).tokens;
        assert_eq!(tokens.len(), TOKENS_OF_DOCUMENT);
        assert!(tokens.values().all(|token| token.as_str() >= "24"));
    }
}
