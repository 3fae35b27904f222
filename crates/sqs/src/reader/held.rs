//! What a reader has received and not settled.

use std::{
    collections::{HashMap, VecDeque},
    mem,
    time::Duration,
};

use tokio::time::Instant;

use super::Limits;
use crate::{
    message::{Receipt, Received},
    queue::Error,
};

/// A failed extension is tried again after this time, as long as the message is ours.
const AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Held {
    /// Whether somebody wants messages.
    reads: bool,
    stopped: bool,
    /// Grows with each end: what was asked for before it goes back.
    epoch: u64,
    waiting: VecDeque<Received>,
    entries: HashMap<Receipt, Entry>,
    bytes: usize,
    /// Why reading failed last, until it is told.
    pub(super) failure: Option<Error>,
}

#[derive(Debug)]
struct Entry {
    bytes: usize,
    group: Option<String>,
    /// Until when it is ours.
    until: Instant,
    /// When it is to be hidden again.
    extend_at: Instant,
}

impl Held {
    /// Somebody wants messages, in this epoch.
    pub(super) fn begin(&mut self) -> u64 {
        self.reads = true;
        self.epoch
    }

    /// Whether nobody has ended that epoch.
    pub(super) fn reads_in(&self, epoch: u64) -> bool {
        self.epoch == epoch || self.stopped
    }

    /// Nobody wants messages any more. Gives what goes back: all.
    pub(super) fn end(&mut self) -> Vec<Receipt> {
        self.reads = false;
        self.epoch += 1;
        self.waiting.clear();
        self.bytes = 0;
        self.failure = None;
        mem::take(&mut self.entries).into_keys().collect()
    }

    /// The process ends: nothing more is given. Gives what goes back: what nobody has begun with.
    pub(super) fn stop(&mut self) -> Vec<Receipt> {
        self.stopped = true;
        self.epoch += 1;
        let waiting: Vec<_> = mem::take(&mut self.waiting).into_iter().map(|message| message.receipt).collect();
        waiting.iter().for_each(|receipt| self.forget(receipt));
        waiting
    }

    /// How many messages may be received, and for which epoch.
    pub(super) fn room(&self, limits: &Limits) -> Option<(u64, usize)> {
        let room = limits.messages.get().saturating_sub(self.entries.len());
        (self.reads && !self.stopped && room > 0 && self.bytes < limits.bytes).then_some((self.epoch, room))
    }

    /// Takes in what was received in `epoch`, hidden until `until`. Gives what goes back, because nobody wants it any more.
    pub(super) fn take_in(&mut self, epoch: u64, messages: Vec<Received>, until: Instant) -> Vec<Receipt> {
        if epoch != self.epoch {
            return messages.into_iter().map(|message| message.receipt).collect();
        }
        let half = until.saturating_duration_since(Instant::now()) / 2;
        for message in messages {
            let bytes = message.size();
            let entry = Entry { bytes, group: message.group.clone(), until, extend_at: until - half };
            self.bytes += bytes;
            self.entries.insert(message.receipt.clone(), entry);
            self.waiting.push_back(message);
        }
        Vec::new()
    }

    /// At most `limit` messages that are still ours, in order of arrival.
    pub(super) fn give(&mut self, limit: usize, now: Instant) -> Vec<Received> {
        if self.stopped {
            return Vec::new();
        }
        let mut given = Vec::new();
        while given.len() < limit
            && let Some(message) = self.waiting.pop_front()
        {
            if self.entries.get(&message.receipt).is_some_and(|entry| entry.until > now) {
                given.push(message);
            } else {
                self.forget(&message.receipt);
            }
        }
        given
    }

    /// It is settled, or not ours. Twice is the same as once.
    pub(super) fn forget(&mut self, receipt: &Receipt) {
        if let Some(entry) = self.entries.remove(receipt) {
            self.bytes -= entry.bytes;
        }
    }

    /// Takes back what was not given out yet of the group of a message.
    pub(super) fn withdraw_behind(&mut self, receipt: &Receipt) -> Vec<Receipt> {
        let Some(group) = self.entries.get(receipt).and_then(|entry| entry.group.clone()) else { return Vec::new() };
        let (behind, others) =
            mem::take(&mut self.waiting).into_iter().partition(|message| message.group.as_ref() == Some(&group));
        self.waiting = others;
        let behind: VecDeque<Received> = behind;
        behind.into_iter().map(|message| message.receipt).collect()
    }

    /// When something has to be hidden again.
    pub(super) fn due(&self, hidden: Duration) -> Option<Instant> {
        // a little later, so that one call is for many
        self.entries.values().map(|entry| entry.extend_at).min().map(|first| first + hidden / 20)
    }

    /// What has to be hidden again; it is not due again for now.
    pub(super) fn take_due(&mut self, hidden: Duration, now: Instant) -> Vec<Receipt> {
        let due = self.entries.iter_mut().filter(|(_, entry)| entry.extend_at <= now);
        due.map(|(receipt, entry)| {
            entry.extend_at = now + hidden;
            receipt.clone()
        })
        .collect()
    }

    /// How the extensions until `until` ended; returns how many messages are not ours any more.
    pub(super) fn extended(
        &mut self,
        results: impl Iterator<Item = (Receipt, Result<(), Error>)>,
        until: Instant,
        now: Instant,
    ) -> usize {
        let mut lost = 0;
        for (receipt, result) in results {
            let Some(entry) = self.entries.get_mut(&receipt) else { continue }; // settled meanwhile
            match result {
                Ok(()) => {
                    entry.until = until;
                    entry.extend_at = now + until.saturating_duration_since(now) / 2;
                }
                Err(error) if error == Error::Gone || entry.until <= now => {
                    self.forget(&receipt);
                    self.waiting.retain(|message| message.receipt != receipt);
                    lost += 1;
                }
                Err(_) => entry.extend_at = now + AGAIN,
            }
        }
        lost
    }

    pub(super) fn size(&self) -> (usize, usize) {
        (self.entries.len(), self.bytes)
    }
}
