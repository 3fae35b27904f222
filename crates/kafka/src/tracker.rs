//! Which offset of one partition may be committed.

use std::collections::BTreeSet;

/// The offsets of one partition that were delivered and are not finished.
///
/// Offsets may be missing (compaction, transaction markers). Only what is unfinished is kept, so a message that is stuck costs no
/// memory for those that pass it.
#[derive(Debug, Clone, Default)]
pub struct Tracker {
    unfinished: BTreeSet<i64>,
    delivered: Option<Span>,
}

#[derive(Debug, Clone, Copy)]
struct Span {
    first: i64,
    last: i64,
}

impl Tracker {
    /// Notes that `offset` was delivered. False, and nothing is noted, unless it is above all delivered before it.
    pub fn deliver(&mut self, offset: i64) -> bool {
        if self.delivered.is_some_and(|span| offset <= span.last) {
            return false;
        }
        let first = self.delivered.map_or(offset, |span| span.first);
        self.delivered = Some(Span { first, last: offset });
        self.unfinished.insert(offset)
    }

    /// Notes that the message at `offset` is settled. False if it was not unfinished; twice is the same as once.
    pub fn finish(&mut self, offset: i64) -> bool {
        self.unfinished.remove(&offset)
    }

    /// The offset to commit: the lowest unfinished one, or the one after the last delivered. It is where a successor would read on.
    ///
    /// `None` while that is still where delivery began. It never falls.
    #[must_use]
    pub fn committable(&self) -> Option<i64> {
        let span = self.delivered?;
        let next = self.unfinished.first().copied().unwrap_or(span.last + 1);
        (next > span.first).then_some(next)
    }

    /// How many delivered messages are not finished.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.unfinished.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn delivered(offsets: &[i64]) -> Tracker {
        let mut tracker = Tracker::default();
        assert!(offsets.iter().all(|offset| tracker.deliver(*offset)));
        tracker
    }

    #[test]
    fn nothing_may_be_committed_before_the_first_is_finished() {
        assert_eq!(Tracker::default().committable(), None);
        let mut tracker = delivered(&[5, 6, 7]);
        assert_eq!(tracker.committable(), None);
        tracker.finish(6);
        assert_eq!(tracker.committable(), None, "5 is unfinished");
        tracker.finish(5);
        assert_eq!(tracker.committable(), Some(7));
        tracker.finish(7);
        assert_eq!(tracker.committable(), Some(8), "one past the last delivered");
    }

    #[test]
    fn offsets_that_do_not_exist_hold_nothing_back() {
        let mut tracker = delivered(&[0, 10, 1_000]);
        tracker.finish(0);
        assert_eq!(tracker.committable(), Some(10));
        tracker.finish(10);
        assert_eq!(tracker.committable(), Some(1_000));
    }

    #[test]
    fn an_offset_is_delivered_and_finished_once() {
        let mut tracker = delivered(&[3]);
        assert!(!tracker.deliver(3) && !tracker.deliver(2));
        assert!(tracker.finish(3) && !tracker.finish(3) && !tracker.finish(99));
        assert!(!tracker.deliver(3), "what was finished is not taken back");
        assert_eq!((tracker.committable(), tracker.unfinished()), (Some(4), 0));
    }

    proptest! {
        #[test]
        fn no_unfinished_offset_is_ever_below_the_commit(
            gaps in proptest::collection::vec(1_i64..5, 1..60),
            order in proptest::collection::vec(any::<prop::sample::Index>(), 0..200),
        ) {
            let offsets: Vec<i64> = gaps.iter().scan(0, |at, gap| { *at += gap; Some(*at) }).collect();
            let mut tracker = Tracker::default();
            let (mut arrived, mut open, mut committed) = (0, BTreeSet::new(), i64::MIN);
            for choice in order {
                // Deliveries and settlements are mixed: each step delivers the next or finishes one of those that are open.
                let pick = choice.index(open.len() + 1);
                match open.iter().nth(pick).copied() {
                    Some(offset) => { open.remove(&offset); prop_assert!(tracker.finish(offset)); }
                    None => if let Some(offset) = offsets.get(arrived) {
                        arrived += 1;
                        open.insert(*offset);
                        prop_assert!(tracker.deliver(*offset));
                    },
                }
                prop_assert_eq!(tracker.unfinished(), open.len());
                if let Some(next) = tracker.committable() {
                    prop_assert!(open.iter().all(|offset| *offset >= next), "{} is unfinished below {}", open.first().unwrap(), next);
                    prop_assert!(next >= committed, "the commit fell");
                    committed = next;
                    let expected = open.first().copied().unwrap_or(offsets[arrived - 1] + 1);
                    prop_assert_eq!(next, expected, "finished work is held back");
                }
            }
        }
    }
}
