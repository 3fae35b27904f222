//! What of the topics is ours, as the poll thread sees it.

use std::collections::HashMap;

use domain::delivery::Message;

use crate::{
    epoch::{Epoch, Epochs},
    source::Partition,
};

/// The partitions that messages are taken from, with the epoch of each and the last offset seen in it.
#[derive(Debug, Default)]
pub(super) struct Shares {
    epochs: Epochs,
    ours: HashMap<Partition, Share>,
}

#[derive(Debug)]
struct Share {
    epoch: Epoch,
    last: Option<i64>,
}

/// What is to be done with a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Its partition is given up; its next owner reads it.
    NotOurs,
    /// It follows those before it.
    Next(Epoch),
    /// Its partition went back, as after a truncation or a topic made anew: it begins an epoch.
    Back(Epoch),
}

impl Shares {
    pub(super) fn begin(&mut self, partition: Partition) -> Epoch {
        let epoch = self.epochs.begin();
        self.ours.insert(partition, Share { epoch, last: None });
        epoch
    }

    pub(super) fn end(&mut self, partitions: &[Partition]) {
        self.ours.retain(|partition, _| !partitions.contains(partition));
    }

    pub(super) fn partitions(&self) -> Vec<Partition> {
        self.ours.keys().cloned().collect()
    }

    pub(super) fn admit(&mut self, message: &Message) -> Admission {
        let Some(share) = self.ours.get_mut(&Partition::of(message)) else { return Admission::NotOurs };
        let back = share.last.is_some_and(|last| message.offset <= last);
        share.last = Some(message.offset);
        if back {
            share.epoch = self.epochs.begin();
            return Admission::Back(share.epoch);
        }
        Admission::Next(share.epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(offset: i64) -> Message {
        Message {
            source: "topic".into(),
            partition: 0,
            offset,
            timestamp: None,
            key: None,
            payload: None,
            headers: Vec::new(),
            attempt: 1,
        }
    }

    #[test]
    fn what_was_fetched_of_a_revoked_partition_is_left_to_its_next_owner() {
        let mut shares = Shares::default();
        assert_eq!(shares.admit(&message(0)), Admission::NotOurs);
        let partition = Partition::new("topic", 0);
        let first = shares.begin(partition.clone());
        assert_eq!(shares.admit(&message(0)), Admission::Next(first));
        shares.end(std::slice::from_ref(&partition));
        assert_eq!(shares.admit(&message(1)), Admission::NotOurs);
        let second = shares.begin(partition);
        assert_ne!(first, second);
        assert_eq!(shares.admit(&message(1)), Admission::Next(second));
    }

    #[test]
    fn a_partition_that_goes_back_begins_an_epoch_and_loses_nothing() {
        let mut shares = Shares::default();
        let first = shares.begin(Partition::new("topic", 0));
        assert_eq!(shares.admit(&message(90)), Admission::Next(first));
        let Admission::Back(second) = shares.admit(&message(0)) else { panic!("offset 0 was skipped") };
        assert_ne!(first, second);
        assert_eq!(shares.admit(&message(1)), Admission::Next(second));
    }
}
