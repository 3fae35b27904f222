//! What a channel has delivered and is not settled, and how it is settled in few calls.

use std::collections::{BTreeMap, BTreeSet};

/// Tags and sizes of what is not settled.
#[derive(Debug, Default)]
pub(super) struct Unsettled {
    sizes: BTreeMap<u64, usize>,
    bytes: usize,
}

/// One call to the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    /// Everything up to this tag is done.
    AckUpTo(u64),
    /// This one is done.
    Ack(u64),
    /// This one is dead.
    Reject(u64),
}

impl Unsettled {
    pub(super) fn add(&mut self, tag: u64, size: usize) {
        self.bytes += size;
        self.sizes.insert(tag, size);
    }

    pub(super) fn len(&self) -> usize {
        self.sizes.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The calls that settle `done` and `dead`; both are held no more. Tags that are not held are left out.
    ///
    /// The dead go first, so that one call for all that is done up to a tag never covers them.
    pub(super) fn settle(&mut self, done: &BTreeSet<u64>, dead: &BTreeSet<u64>) -> Vec<Call> {
        let dead: Vec<_> = dead.iter().copied().filter(|tag| self.remove(*tag)).collect();
        let mut calls: Vec<_> = dead.into_iter().map(Call::Reject).collect();
        let prefix: Vec<_> = self.sizes.keys().copied().take_while(|tag| done.contains(tag)).collect();
        for tag in &prefix {
            self.remove(*tag);
        }
        match prefix.as_slice() {
            [] => {}
            [only] => calls.push(Call::Ack(*only)),
            [.., last] => calls.push(Call::AckUpTo(*last)),
        }
        calls.extend(done.iter().copied().filter(|tag| self.remove(*tag)).map(Call::Ack));
        calls
    }

    fn remove(&mut self, tag: u64) -> bool {
        let size = self.sizes.remove(&tag);
        self.bytes -= size.unwrap_or_default();
        size.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holding(tags: impl IntoIterator<Item = u64>) -> Unsettled {
        let mut unsettled = Unsettled::default();
        tags.into_iter().for_each(|tag| unsettled.add(tag, 10));
        unsettled
    }

    #[test]
    fn what_is_done_from_the_first_on_is_one_call() {
        let mut unsettled = holding(1..=5);
        assert_eq!(unsettled.settle(&BTreeSet::from([1, 2, 3]), &BTreeSet::new()), [Call::AckUpTo(3)]);
        assert_eq!((unsettled.len(), unsettled.bytes()), (2, 20));
        assert_eq!(unsettled.settle(&BTreeSet::from([5]), &BTreeSet::new()), [Call::Ack(5)], "4 is still worked on");
        assert_eq!(unsettled.settle(&BTreeSet::from([3, 4]), &BTreeSet::new()), [Call::Ack(4)], "3 is settled already");
        assert_eq!((unsettled.len(), unsettled.bytes()), (0, 0));
    }

    #[test]
    fn the_dead_are_rejected_before_a_call_could_cover_them() {
        let mut unsettled = holding(1..=4);
        let calls = unsettled.settle(&BTreeSet::from([1, 3, 4]), &BTreeSet::from([2]));
        assert_eq!(calls, [Call::Reject(2), Call::AckUpTo(4)]);
        assert_eq!(unsettled.settle(&BTreeSet::from([1]), &BTreeSet::from([2])), []);
    }
}
