//! From ready messages to batches, and from settlements back.

use std::time::Duration;

use chassis::{backoff, failpoints, lanes::Ticket};
use domain::delivery::Settlement;
use tokio::time::Instant;

use super::{Flow, Settled, Work, giving_up::GIVEN_UP};
use crate::{pipeline::Consume, source::Source};

impl<S: Source, C: Consume> Flow<S, C> {
    /// Takes what is ready into batches and starts those that are full, that waited long enough, or that nothing runs beside.
    ///
    /// While the store is down one message at a time probes it.
    pub(super) fn start_batches(&mut self) {
        let up = self.store.is_up();
        if up {
            self.probe.tries = 0;
        }
        while self.batches.running() < self.slots(up) {
            let now = Instant::now();
            if !up && (self.stopping.is_some() || now < self.probe.at) {
                break;
            }
            if self.batches.start_single() {
                continue;
            }
            let room = match (up, self.batches.is_forming()) {
                (true, _) => self.batches.room(&self.limits),
                (false, true) => None,
                (false, false) => Some((1, usize::MAX)),
            };
            if let Some((items, bytes)) = room {
                let taken = self.lanes.take(now, items, bytes);
                taken.iter().for_each(|(_, work)| self.load.start(&work.message));
                self.batches.add(taken);
            }
            let Some(closes) = self.batches.closes(&self.limits) else { break };
            let full = self.batches.room(&self.limits).is_none();
            if !(full || !up || self.batches.running() == 0 || closes <= now) {
                break;
            }
            self.batches.start_formed();
        }
    }

    pub(super) fn slots(&self, up: bool) -> usize {
        if up { self.limits.workers.get() } else { 1 }
    }

    pub(super) fn settle_batch(&mut self, Settled { works, took }: Settled<C::Item>) {
        let up = self.store.is_up();
        let mut asked = None;
        let mut returned = false;
        for ((ticket, mut work), settlement) in works {
            work.traced.settle(&settlement);
            self.metrics.handled(&work.message.source, took);
            self.metrics.settled(&work.message.source, &settlement);
            match settlement {
                Settlement::Again { after, counted } => {
                    returned = true;
                    asked = asked.max(after);
                    self.again(ticket, work, after, counted && up);
                }
                Settlement::Done(_) | Settlement::DeadLettered(_) => self.settle(ticket, &work),
            }
        }
        if returned && !up {
            self.probe.tries = self.probe.tries.saturating_add(1);
            self.probe.at = Instant::now() + backoff::pause(self.probe.tries, asked, &mut self.jitter);
        }
        failpoints::hit("kafka-settled");
    }

    pub(super) fn settle(&mut self, ticket: Ticket, work: &Work<C::Item>) {
        let partition = work.partition();
        self.lanes.settle(ticket);
        self.load.remove(work);
        self.assignment.finish(&partition, work.epoch, work.message.offset);
        self.liveness.moved(&partition);
        if let Some(age) = work.message.timestamp.and_then(|stamped| (self.clock.now() - stamped).to_std().ok()) {
            self.metrics.age(&work.message.source, age);
        }
    }

    pub(super) fn again(&mut self, ticket: Ticket, mut work: Work<C::Item>, after: Option<Duration>, counted: bool) {
        let partition = work.partition();
        self.liveness.moved(&partition);
        let goes_on = self.stopping.is_none()
            && !self.is_leaving(&partition)
            && self.assignment.is_current(&partition, work.epoch);
        if !goes_on {
            self.drop_behind(&work);
            self.lanes.settle(ticket);
            self.load.remove(&work);
            self.metrics.returned(&work.message.source, GIVEN_UP);
            return;
        }
        work.tries = work.tries.saturating_add(1);
        if counted {
            work.message.attempt = work.message.attempt.saturating_add(1);
            if let Some(item) = &mut work.item {
                self.consumer.again(item, work.message.attempt);
            }
        }
        // While the store is down the probe decides when: once it is back, nothing waits any more.
        let wait =
            if self.store.is_up() { backoff::pause(work.tries, after, &mut self.jitter) } else { Duration::ZERO };
        self.lanes.again(ticket, work, Instant::now() + wait);
    }
}
