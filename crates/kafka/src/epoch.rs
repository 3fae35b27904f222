//! Assignments and their epochs: what is ours, what of it is settled, and what may be committed.

use std::collections::BTreeMap;

use crate::{
    source::{Partition, Position},
    tracker::Tracker,
};

/// One assignment of one partition: a later one of the same partition is another epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Epoch(u64);

/// Hands out epochs, each different from all before it.
#[derive(Debug, Default)]
pub struct Epochs(u64);

impl Epochs {
    /// The next epoch.
    pub fn begin(&mut self) -> Epoch {
        self.0 += 1;
        Epoch(self.0)
    }
}

/// The partitions that are ours now. Results of an epoch that is over change nothing.
#[derive(Debug, Default)]
pub struct Assignment(BTreeMap<Partition, Held>);

#[derive(Debug)]
struct Held {
    epoch: Epoch,
    tracker: Tracker,
    asked: Option<i64>,
    confirmed: Option<i64>,
}

impl Assignment {
    /// `partition` is ours under `epoch`. An epoch of it before this one is over.
    pub fn begin(&mut self, partition: Partition, epoch: Epoch) {
        let held = Held { epoch, tracker: Tracker::default(), asked: None, confirmed: None };
        self.0.insert(partition, held);
    }

    /// `partition` is no longer ours; whether it was.
    pub fn end(&mut self, partition: &Partition) -> bool {
        self.0.remove(partition).is_some()
    }

    /// Whether `partition` is ours under `epoch`.
    #[must_use]
    pub fn is_current(&self, partition: &Partition, epoch: Epoch) -> bool {
        self.0.get(partition).is_some_and(|held| held.epoch == epoch)
    }

    /// Whether `partition` is ours.
    #[must_use]
    pub fn holds(&self, partition: &Partition) -> bool {
        self.0.contains_key(partition)
    }

    /// Notes a delivery. False, and nothing is noted, if its epoch is over or its offset is not above those before it.
    pub fn deliver(&mut self, partition: &Partition, epoch: Epoch, offset: i64) -> bool {
        self.current(partition, epoch).is_some_and(|held| held.tracker.deliver(offset))
    }

    /// Notes a settlement. False, and nothing is noted, if its epoch is over.
    pub fn finish(&mut self, partition: &Partition, epoch: Epoch, offset: i64) -> bool {
        self.current(partition, epoch).is_some_and(|held| held.tracker.finish(offset))
    }

    /// The positions that were not asked to be committed yet, and takes them as asked.
    pub fn due(&mut self) -> Vec<Position> {
        let mut positions = Vec::new();
        for (partition, held) in &mut self.0 {
            let next = held.tracker.committable();
            if next > held.asked {
                held.asked = next;
                positions.extend(next.map(|next| Position { partition: partition.clone(), next }));
            }
        }
        positions
    }

    /// Whether [`Assignment::due`] would give any.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.0.values().any(|held| held.tracker.committable() > held.asked)
    }

    /// A commit was confirmed.
    pub fn confirm(&mut self, positions: &[Position]) {
        for position in positions {
            if let Some(held) = self.0.get_mut(&position.partition)
                && Some(position.next) <= held.asked
            // an answer to an epoch before this one may name an offset above it
            {
                held.confirmed = held.confirmed.max(Some(position.next));
            }
        }
    }

    /// A commit was refused: its positions are due again.
    pub fn refuse(&mut self, positions: &[Position]) {
        for position in positions {
            if let Some(held) = self.0.get_mut(&position.partition) {
                held.asked = held.confirmed;
            }
        }
    }

    /// Whether all that is settled in `partition` is confirmed as committed; true for one that is not ours.
    #[must_use]
    pub fn is_committed(&self, partition: &Partition) -> bool {
        self.0.get(partition).is_none_or(|held| held.tracker.committable() <= held.confirmed)
    }

    /// Whether that holds for all that is ours.
    #[must_use]
    pub fn is_all_committed(&self) -> bool {
        self.0.values().all(|held| held.tracker.committable() <= held.confirmed)
    }

    fn current(&mut self, partition: &Partition, epoch: Epoch) -> Option<&mut Held> {
        self.0.get_mut(partition).filter(|held| held.epoch == epoch)
    }
}

#[cfg(test)]
mod tests;
