//! Which keys may leave: a skip list in memory, never a sleep (docs/spec/arena-acl.md, IMP-12).

use std::{collections::HashMap, time::Duration};

use chassis::backoff::{self, Jitter};
use tokio::time::Instant;

use super::topics::Topics;
use crate::inbox::Head;

/// The most messages on their way.
const MESSAGES: usize = 2_000;
/// More bytes than these are on their way only by the one message that passed the bound.
const BYTES: usize = 8 << 20;
/// The most keys that are remembered. With a spacing of 500 ms they are what leaves at 40 000 messages a second.
const KEYS: usize = 20_000;
/// How long the failures of a key are remembered after its pause, so that the pauses grow.
const FAILURES_LAST: Duration = Duration::from_secs(60);

/// Whether the first message of a key may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// Now.
    Free,
    /// The one before it is on its way, or is not marked yet: whoever settles that tells. Fresh: it was handed over, not read.
    UnderWay {
        /// So was that one.
        fresh: bool,
    },
    /// Not before this time.
    Later(Instant, Reason),
    /// Others of its topic left first to try.
    AfterTheProbe,
    /// As much as is allowed is on its way.
    Full,
}

/// What a key waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Reason {
    /// The distance to the message before it.
    Spacing,
    /// The broker will not take the message; it is tried again all the same, for a limit can be raised.
    Refused,
    /// Nobody can say whether the topic has the message.
    Unconfirmed,
}

impl Reason {
    pub(super) const ALL: [Self; 3] = [Self::Spacing, Self::Refused, Self::Unconfirmed];

    /// As metrics and logs name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Spacing => "spacing",
            Self::Refused => "refused",
            Self::Unconfirmed => "unconfirmed",
        }
    }
}

/// A message on its way.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) head: Head,
    pub(super) since: Instant,
}

/// What is on its way, and what must not leave yet.
#[derive(Debug)]
pub(super) struct Holds {
    spacing: Duration,
    jitter: Jitter,
    keys: HashMap<String, Key>,
    topics: Topics,
    messages: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Key {
    failures: u32,
    hold: Hold,
}

#[derive(Debug, Clone, Copy)]
enum Hold {
    UnderWay {
        fresh: bool,
        /// The next of the key is known to be in the outbox.
        followed: bool,
    },
    Until(Instant, Reason),
}

impl Holds {
    pub(super) fn new(spacing: Duration, jitter: Jitter) -> Self {
        Self { spacing, jitter, keys: HashMap::new(), topics: Topics::default(), messages: 0, bytes: 0 }
    }

    /// Whether a page of so many messages is worth its reading: one that finds no room would be read again and again.
    pub(super) fn has_room(&mut self, page: usize, now: Instant) -> bool {
        self.messages + page <= MESSAGES && self.bytes <= BYTES / 2 && self.has_room_for_keys(now)
    }

    /// Whether `head` may leave. If it may it counts as on its way, and has to be settled by one of the other functions.
    /// Fresh: it was handed over, not read.
    pub(super) fn ask(&mut self, head: &Head, fresh: bool, now: Instant) -> Answer {
        match self.keys.get(&head.key) {
            Some(Key { hold: Hold::UnderWay { fresh, .. }, .. }) => return Answer::UnderWay { fresh: *fresh },
            Some(Key { hold: Hold::Until(at, reason), .. }) if *at > now => return Answer::Later(*at, *reason),
            _ => {}
        }
        if let Some(closed) = self.topics.ask(head, now) {
            return closed;
        }
        if self.messages >= MESSAGES || self.bytes >= BYTES || !self.has_room_for_keys(now) {
            return Answer::Full;
        }
        self.topics.leaves(head);
        self.messages += 1;
        self.bytes += head.bytes;
        let hold = Hold::UnderWay { fresh, followed: false };
        self.keys.entry(head.key.clone()).and_modify(|key| key.hold = hold).or_insert(Key { failures: 0, hold });
        Answer::Free
    }

    /// Another message of `key` is in the outbox; `false` when none of it is on its way, so that nobody will tell when that one may leave.
    pub(super) fn follow(&mut self, key: &str) -> bool {
        match self.keys.get_mut(key) {
            Some(Key { hold: Hold::UnderWay { followed, .. }, .. }) => {
                *followed = true;
                true
            }
            _ => false,
        }
    }

    /// It did not leave after all: somebody marked it.
    pub(super) fn stayed(&mut self, head: &Head) {
        self.topics.said_nothing(head);
        self.landed(head);
        self.keys.remove(&head.key);
    }

    /// Its topic has it; the key stays held until [`marked`](Self::marked).
    pub(super) fn arrived(&mut self, head: &Head, now: Instant) {
        self.topics.arrived(head, now);
    }

    /// It is marked as published: its report came at `reported`. Whether the next of its key is known to be in the outbox.
    pub(super) fn marked(&mut self, head: &Head, reported: Instant) -> bool {
        self.landed(head);
        let before = if self.spacing.is_zero() {
            self.keys.remove(&head.key)
        } else {
            let hold = Hold::Until(reported + self.spacing, Reason::Spacing);
            self.keys.insert(head.key.clone(), Key { failures: 0, hold })
        };
        matches!(before, Some(Key { hold: Hold::UnderWay { followed: true, .. }, .. }))
    }

    /// Its topic did not take it, or nobody can say: it is the next of its key again, after a pause.
    pub(super) fn failed(&mut self, flight: &Flight, reason: Reason, now: Instant) {
        let Flight { head, since } = flight;
        self.landed(head);
        let topic_failed = match reason {
            Reason::Unconfirmed => self.topics.failed(head, *since, now, &mut self.jitter),
            Reason::Refused | Reason::Spacing => {
                self.topics.said_nothing(head);
                false
            }
        };
        let Some(key) = self.keys.get_mut(&head.key) else { return };
        // a key is not to blame for its topic
        key.failures = if topic_failed { key.failures } else { key.failures.saturating_add(1) };
        let pause = backoff::pause(key.failures, None, &mut self.jitter).max(self.spacing);
        key.hold = Hold::Until(now + pause, reason);
    }

    fn landed(&mut self, head: &Head) {
        self.messages = self.messages.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(head.bytes);
    }

    fn has_room_for_keys(&mut self, now: Instant) -> bool {
        if self.keys.len() >= KEYS {
            self.forget(now);
        }
        if self.keys.len() >= KEYS {
            // forgotten, a key that fails is tried again sooner than it should be; the distance is never given up
            self.keys.retain(|_, key| !matches!(key.hold, Hold::Until(_, Reason::Refused | Reason::Unconfirmed)));
        }
        self.keys.len() < KEYS
    }

    /// Drops what holds nothing any more.
    pub(super) fn forget(&mut self, now: Instant) {
        self.keys.retain(|_, key| match key.hold {
            Hold::UnderWay { .. } => true,
            Hold::Until(at, Reason::Spacing) => at > now,
            Hold::Until(at, Reason::Refused | Reason::Unconfirmed) => at + FAILURES_LAST > now,
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const SPACING: Duration = Duration::from_millis(500);
    const MILLISECOND: Duration = Duration::from_millis(1);

    fn holds() -> Holds {
        Holds::new(SPACING, Jitter::seeded(1))
    }

    fn head(id: i64, topic: &str, key: &str) -> Head {
        Head { id, topic: Arc::from(topic), key: key.to_owned(), bytes: 10 }
    }

    #[test]
    fn a_key_waits_for_its_mark_and_then_for_its_distance() {
        let (mut holds, now) = (holds(), Instant::now());
        let (first, second) = (head(1, "amt", "a"), head(2, "amt", "a"));
        assert_eq!(holds.ask(&first, false, now), Answer::Free);
        assert_eq!(holds.ask(&first, false, now), Answer::UnderWay { fresh: false });
        holds.arrived(&first, now);
        assert_eq!(holds.ask(&second, false, now + SPACING), Answer::UnderWay { fresh: false }, "not before its mark");
        holds.marked(&first, now);
        let free = now + SPACING;
        assert_eq!(holds.ask(&second, false, free - MILLISECOND), Answer::Later(free, Reason::Spacing));
        assert_eq!(holds.ask(&head(3, "amt", "b"), false, now), Answer::Free, "another key");
        assert_eq!(holds.ask(&second, false, free), Answer::Free, "exactly the distance is enough");
    }

    #[test]
    fn a_key_that_is_followed_tells_so_once_it_is_marked() {
        let (mut holds, now) = (holds(), Instant::now());
        let (first, other) = (head(1, "amt", "a"), head(2, "amt", "b"));
        assert!(!holds.follow("a"), "nothing is on its way");
        assert_eq!(holds.ask(&first, true, now), Answer::Free);
        assert_eq!(holds.ask(&other, true, now), Answer::Free);
        assert_eq!(holds.ask(&first, false, now), Answer::UnderWay { fresh: true });
        assert!(holds.follow("a"));
        assert!(holds.marked(&first, now));
        assert!(!holds.marked(&other, now));
    }

    #[test]
    fn what_holds_nothing_any_more_is_forgotten() {
        let (mut holds, now) = (holds(), Instant::now());
        for id in 0..100 {
            let head = head(id, "amt", &id.to_string());
            assert_eq!(holds.ask(&head, false, now), Answer::Free);
            holds.arrived(&head, now);
            holds.marked(&head, now);
        }
        holds.forget(now + SPACING - MILLISECOND);
        assert_eq!(holds.keys.len(), 100);
        holds.forget(now + SPACING);
        assert_eq!((holds.keys.len(), holds.messages, holds.bytes), (0, 0, 0));
    }

    #[test]
    fn no_more_is_on_its_way_than_its_bounds() {
        let (mut holds, now) = (holds(), Instant::now());
        let proof = head(-1, "amt", "proof");
        assert_eq!(holds.ask(&proof, false, now), Answer::Free);
        holds.arrived(&proof, now);
        holds.marked(&proof, now);
        let large = |id: i64| Head { bytes: 1 << 20, ..head(id, "amt", &id.to_string()) };
        let left = (0..100).filter(|id| holds.ask(&large(*id), false, now) == Answer::Free).count();
        assert_eq!(left, 8);
        assert!(!holds.has_room(1, now));
        for id in 0..8 {
            holds.stayed(&large(id));
        }
        let left =
            (0..5_000).filter(|id| holds.ask(&head(*id, "amt", &id.to_string()), false, now) == Answer::Free).count();
        assert_eq!(left, MESSAGES);
    }

    #[test]
    fn a_skip_list_that_is_full_gives_up_failures_and_never_a_distance() {
        let (mut holds, now) = (holds(), Instant::now());
        let key = |until, reason| Key { failures: 1, hold: Hold::Until(until, reason) };
        let later = now + Duration::from_secs(1);
        for n in 0..KEYS {
            let reason = if n == 0 { Reason::Refused } else { Reason::Spacing };
            holds.keys.insert(n.to_string(), key(later, reason));
        }
        assert!(holds.has_room(1, now));
        assert_eq!(holds.keys.len(), KEYS - 1);
        holds.keys.insert("one more".to_owned(), key(later, Reason::Spacing));
        assert!(!holds.has_room(1, now));
        assert!(holds.has_room(1, later));
    }

    #[test]
    fn a_refused_message_holds_its_own_key_longer_each_time() {
        let (mut holds, mut now) = (Holds::new(Duration::ZERO, Jitter::seeded(3)), Instant::now());
        let refused = head(1, "amt", "a");
        let mut pauses = Vec::new();
        for _ in 0..12 {
            assert_eq!(holds.ask(&refused, false, now), Answer::Free);
            holds.failed(&Flight { head: refused.clone(), since: now }, Reason::Refused, now);
            let Answer::Later(at, Reason::Refused) = holds.ask(&refused, false, now) else {
                panic!("it does not wait")
            };
            assert_eq!(holds.ask(&head(2, "amt", "b"), false, now), Answer::Free);
            holds.stayed(&head(2, "amt", "b"));
            pauses.push(at - now);
            now = at;
        }
        assert!(pauses[..4].iter().max() < pauses[8..].iter().max(), "{pauses:?}");
    }

    #[test]
    fn a_topic_that_confirms_nothing_is_closed_and_one_message_tries() {
        let (mut holds, now) = (holds(), Instant::now());
        let (first, second, third) = (head(1, "absent", "a"), head(2, "absent", "b"), head(3, "absent", "c"));
        let sent = |head: &Head| Flight { head: head.clone(), since: now };
        for head in [&first, &second] {
            assert_eq!(holds.ask(head, false, now), Answer::Free);
        }
        let failed = now + Duration::from_secs(5);
        holds.failed(&sent(&first), Reason::Unconfirmed, failed);
        let Answer::Later(open, Reason::Unconfirmed) = holds.ask(&third, false, failed) else { panic!("it is open") };
        holds.failed(&sent(&second), Reason::Unconfirmed, failed);
        assert_eq!(holds.ask(&third, false, failed), Answer::Later(open, Reason::Unconfirmed), "one try, one pause");
        assert_eq!(holds.ask(&head(4, "amt", "d"), false, failed), Answer::Free, "another topic");

        let again = open + SPACING;
        assert_eq!(holds.ask(&third, false, again), Answer::Free);
        assert_eq!(holds.ask(&first, false, again), Answer::AfterTheProbe);
        holds.arrived(&third, again);
        holds.marked(&third, again);
        assert_eq!(holds.ask(&first, false, again), Answer::Free);
        assert_eq!(holds.ask(&second, false, again), Answer::Free);
    }

    #[test]
    fn a_key_that_fails_alone_does_not_close_its_topic() {
        let (mut holds, now) = (holds(), Instant::now());
        let (fails, arrives) = (head(1, "amt", "a"), head(2, "amt", "b"));
        for head in [&fails, &arrives] {
            assert_eq!(holds.ask(head, false, now), Answer::Free);
        }
        holds.arrived(&arrives, now + SPACING);
        let late = now + Duration::from_secs(5);
        holds.failed(&Flight { head: fails.clone(), since: now }, Reason::Unconfirmed, late);
        assert!(matches!(holds.ask(&fails, false, late), Answer::Later(_, Reason::Unconfirmed)));
        assert_eq!(holds.ask(&head(3, "amt", "c"), false, late), Answer::Free);
    }

    #[test]
    fn a_topic_that_has_taken_nothing_yet_gets_few_messages() {
        let (mut holds, now) = (holds(), Instant::now());
        let answers: Vec<_> = (0..200).map(|id| holds.ask(&head(id, "new", &id.to_string()), false, now)).collect();
        assert_eq!(answers.iter().filter(|answer| **answer == Answer::Free).count(), 100);
        let refused = head(0, "new", "0");
        holds.failed(&Flight { head: refused, since: now }, Reason::Refused, now);
        assert_eq!(holds.ask(&head(300, "new", "300"), false, now), Answer::Free, "a refusal takes no place");
        holds.arrived(&head(1, "new", "1"), now);
        assert_eq!(holds.ask(&head(301, "new", "301"), false, now), Answer::Free);
    }
}
