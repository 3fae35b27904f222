//! Hidden discrepancies: what an administrator has put out of sight (4.6, R-CDC-5).

use chrono::NaiveDateTime;

use super::{GmcNumber, Refused, Slots, Text};

/// One hidden discrepancy of a document.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hidden {
    /// Its key as text; an object id by its 24 hex digits.
    pub id: Option<Text>,
    /// `gmcId`
    pub number: Option<Text>,
    /// For which body it is out of sight: one entry for each.
    pub for_body: Option<Text>,
    /// By whom.
    pub by: Option<Text>,
    /// Why.
    pub reason: Option<Text>,
    /// Since when, to the millisecond.
    pub since: Option<NaiveDateTime>,
}

/// Appends an entry to the documents with its number, where none is hidden for the same body (R-HID-1…3, R-HID-6). Twice is the same as once.
///
/// # Errors
/// Without number.
pub fn add(slots: &mut Slots, entry: &Hidden) -> Result<(), Refused> {
    if entry.number.as_deref().is_none_or(|number| number.trim().is_empty()) {
        return Err(Refused("no_number"));
    }
    let Some(number) = GmcNumber::usable(entry.number.as_deref()) else { return Ok(()) };
    for slot in slots.of_number(&number) {
        slots.change(slot, |document| {
            if document.hidden.iter().all(|known| known.for_body != entry.for_body) {
                document.hidden.push(entry.clone());
            }
        });
    }
    Ok(())
}

/// Removes the entries with this key, on every document that has one (R-HID-5). Nothing to remove is fine.
pub fn remove(slots: &mut Slots, id: &str) {
    for slot in slots.hiding(id) {
        slots.change(slot, |document| document.hidden.retain(|entry| entry.id.as_deref() != Some(id)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reval_sync::Document;

    fn entry(id: &str, for_body: &str, reason: &str) -> Hidden {
        let [id, for_body, reason] = [id, for_body, reason].map(|text| Some(Text::from(text)));
        Hidden { id, number: Some("7012345".into()), for_body, reason, ..Hidden::default() }
    }

    fn two_persons() -> Slots {
        let mut slots = Slots::default();
        for _person in 0..2 {
            slots.load(Document { number: Some("7012345".into()), ..Document::default() });
        }
        slots
    }

    #[test]
    fn the_first_entry_for_a_body_wins_on_every_document_of_the_number() {
        let mut slots = two_persons();
        for entry in [entry("1", "A", "first"), entry("2", "A", "second"), entry("3", "B", "third")] {
            add(&mut slots, &entry).unwrap();
        }
        for document in slots.iter() {
            assert_eq!(document.hidden, [entry("1", "A", "first"), entry("3", "B", "third")]);
        }
    }

    #[test]
    fn a_delete_takes_the_entry_from_every_document_and_an_unknown_key_takes_nothing() {
        let mut slots = two_persons();
        add(&mut slots, &entry("1", "A", "first")).unwrap();
        remove(&mut slots, "2");
        assert!(slots.iter().all(|document| document.hidden.len() == 1));
        remove(&mut slots, "1");
        assert!(slots.iter().all(|document| document.hidden.is_empty()));
    }
}
