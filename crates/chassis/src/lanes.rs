//! Order by key: a message starts when every earlier message that shares a key with it is settled, and no sooner is held back.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque, hash_map::Entry};

use domain::delivery::Key;
use tokio::time::Instant;

/// The right to settle one taken item. There is one per item, and it is used up.
#[must_use]
#[derive(Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(u64);

/// Items in the order of their admission, one lane per key.
///
/// An item stands in the lane of each of its keys and is ready when it heads them all; it leaves them when it is settled.
/// Pure: no clock, no waiting. Admitting, taking and settling cost the number of keys times a logarithm, however much is held.
#[derive(Debug)]
pub struct Lanes<T> {
    held: HashMap<u64, Held<T>>,
    lanes: HashMap<Key, VecDeque<u64>>,
    /// Heads of all their lanes, not running, not delayed; in the order of admission.
    ready: BTreeSet<u64>,
    /// Like the ready ones, but not before their time.
    delayed: BTreeSet<(Instant, u64)>,
    admitted: u64,
    bytes: usize,
    running: usize,
}

#[derive(Debug)]
struct Held<T> {
    keys: Vec<Key>,
    size: usize,
    /// In how many of its lanes others stand before it.
    behind: usize,
    /// `None` while it runs.
    item: Option<T>,
}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self {
            held: HashMap::new(),
            lanes: HashMap::new(),
            ready: BTreeSet::new(),
            delayed: BTreeSet::new(),
            admitted: 0,
            bytes: 0,
            running: 0,
        }
    }
}

impl<T> Lanes<T> {
    /// Empty lanes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in `item`, of `size` bytes, behind everything that shares one of `keys` with it; without keys it waits for nobody.
    pub fn admit(&mut self, mut keys: Vec<Key>, size: usize, item: T) {
        keys.sort_unstable();
        keys.dedup();
        let id = self.admitted;
        self.admitted += 1;
        let mut behind = 0;
        for key in &keys {
            let lane = self.lanes.entry(key.clone()).or_default();
            behind += usize::from(!lane.is_empty());
            lane.push_back(id);
        }
        if behind == 0 {
            self.ready.insert(id);
        }
        self.bytes += size;
        self.held.insert(id, Held { keys, size, behind, item: Some(item) });
    }

    /// Takes ready items, first admitted first, until `max_items` are taken or the next would exceed `max_bytes`.
    ///
    /// The first is taken whatever its size, or one larger than `max_bytes` would stand for ever. Delayed items are ready
    /// from their time on, which `now` decides.
    pub fn take(&mut self, now: Instant, max_items: usize, max_bytes: usize) -> Vec<(Ticket, T)> {
        self.wake(now);
        let mut taken = Vec::new();
        let mut bytes = 0_usize;
        while taken.len() < max_items
            && let Some(id) = self.ready.first().copied()
            && let Some(held) = self.held.get_mut(&id)
        {
            bytes = bytes.saturating_add(held.size);
            if bytes > max_bytes && !taken.is_empty() {
                break;
            }
            self.ready.remove(&id);
            if let Some(item) = held.item.take() {
                self.running += 1;
                taken.push((Ticket(id), item));
            }
        }
        taken
    }

    /// The item of `ticket` is done: it leaves its lanes, and those behind it move up.
    pub fn settle(&mut self, ticket: Ticket) {
        let Some(held) = self.held.remove(&ticket.0) else { return };
        self.running -= 1;
        self.bytes -= held.size;
        for key in held.keys {
            let Entry::Occupied(mut lane) = self.lanes.entry(key) else { continue };
            lane.get_mut().pop_front();
            match lane.get().front().copied() {
                Some(next) => self.move_up(next),
                None => {
                    lane.remove();
                }
            }
        }
    }

    /// The item of `ticket` is to run again, not before `not_before`; it still heads its lanes, so what shares a key with it waits.
    pub fn again(&mut self, ticket: Ticket, item: T, not_before: Instant) {
        let Some(held) = self.held.get_mut(&ticket.0) else { return };
        held.item = Some(item);
        self.running -= 1;
        self.delayed.insert((not_before, ticket.0));
    }

    /// When the next delayed item may run; `None` when none is delayed.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        self.delayed.first().map(|(due, _)| *due)
    }

    /// Drops every item that does not run and that `unwanted` says yes to; returns how many. Those behind them move up.
    ///
    /// Looks at every item: for a source that takes messages back, not for the way of each message.
    pub fn forget(&mut self, mut unwanted: impl FnMut(&T) -> bool) -> usize {
        let dropped: HashMap<u64, Held<T>> =
            self.held.extract_if(|_, held| held.item.as_ref().is_some_and(&mut unwanted)).collect();
        self.ready.retain(|id| !dropped.contains_key(id));
        self.delayed.retain(|(_, id)| !dropped.contains_key(id));
        self.bytes -= dropped.values().map(|held| held.size).sum::<usize>();
        // Each lane once, however many of its items went.
        let keys: HashSet<&Key> = dropped.values().flat_map(|held| &held.keys).collect();
        for key in keys {
            let Some(lane) = self.lanes.get_mut(key) else { continue };
            let head = lane.front().copied();
            lane.retain(|id| !dropped.contains_key(id));
            match lane.front().copied() {
                None => {
                    self.lanes.remove(key);
                }
                next if next == head => {}
                Some(next) => self.move_up(next),
            }
        }
        dropped.len()
    }

    /// How many items are held, running ones included.
    #[expect(clippy::len_without_is_empty, reason = "`is_idle` says it, in the words of a loop")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// The bytes of all items held, running ones included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many items are taken and not yet settled.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running
    }

    /// Whether nothing is held: nothing runs, is ready, delayed or waits.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.held.is_empty()
    }

    /// The item heads one more of its lanes.
    fn move_up(&mut self, id: u64) {
        let Some(held) = self.held.get_mut(&id) else { return };
        held.behind -= 1;
        if held.behind == 0 {
            self.ready.insert(id);
        }
    }

    fn wake(&mut self, now: Instant) {
        while let Some((due, id)) = self.delayed.first().copied()
            && due <= now
        {
            self.delayed.pop_first();
            self.ready.insert(id);
        }
    }
}
