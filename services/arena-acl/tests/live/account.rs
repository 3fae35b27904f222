//! What was sent against what left.

use std::collections::BTreeMap;

use domain::delivery::Message;
use testkit::ledger::Ledger;

use crate::{feed::Change, world::json};

/// The ledger of a run, and how many messages left more than once. One that came again must be the same, byte for byte, and counts once.
pub(crate) fn of(changes: &[Change], published: &[Message]) -> (Ledger, usize) {
    let mut ledger = Ledger::default();
    for change in changes {
        ledger.sent(&change.participant.to_string(), &change.mark());
    }
    let mut seen: BTreeMap<String, &Message> = BTreeMap::new();
    let mut repeated = 0;
    for message in published {
        let value = json(message);
        match seen.insert(value["transactionId"].to_string(), message) {
            None => ledger.effect(value["payload"]["innsokBegrunnelse"].as_str().unwrap()),
            Some(first) => {
                let same = (&first.key, &first.payload) == (&message.key, &message.payload);
                assert!(same, "one transaction, two messages: offsets {} and {}", first.offset, message.offset);
                repeated += 1;
            }
        }
    }
    (ledger, repeated)
}
