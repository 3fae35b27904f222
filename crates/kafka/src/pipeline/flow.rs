//! The loop itself.

mod giving_up;
mod steps;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use chassis::{
    backoff::Jitter, clock::Clock, dependency::Dependency, failpoints, lanes::Lanes, metrics::Metrics, parts::Part,
};
use domain::delivery::Message;
use tokio::time::{Instant, sleep_until};
use tracing::{error, info, warn};

use super::{
    Consume, ConsumeError, Limits, Progress, Wiring,
    batches::{Batches, Settled},
    leaving::{Leaving, Next},
    liveness::Liveness,
    work::{Load, Traced, Work, size},
};
use crate::{
    epoch::{Assignment, Epoch},
    source::{Event, Lag, Partition, Record, Source},
};

pub(super) struct Flow<S, C: Consume> {
    source: S,
    consumer: Arc<C>,
    limits: Limits,
    metrics: Metrics,
    clock: Clock,
    store: Dependency,
    progress: Progress,
    part: Part,
    lanes: Lanes<Work<C::Item>>,
    admitted: u64,
    batches: Batches<C>,
    assignment: Assignment,
    load: Load,
    leaving: Vec<Leaving>,
    liveness: Liveness,
    jitter: Jitter,
    reachable: bool,
    ready: Option<bool>,
    /// Whether the budget was reached and is not yet half free.
    full: bool,
    paused: bool,
    probe: Probe,
    commit_at: Instant,
    /// After a commit was refused the next one waits until `commit_at` in any case.
    refused: bool,
    /// Until when to finish, once it was told to stop.
    stopping: Option<Instant>,
}

/// When the store, which is down, is tried again.
struct Probe {
    at: Instant,
    tries: u32,
}

impl<S: Source, C: Consume> Flow<S, C> {
    pub(super) fn new(source: S, consumer: Arc<C>, wiring: Wiring, part: Part) -> Self {
        let Wiring { limits, metrics, clock, store, progress } = wiring;
        let now = Instant::now();
        Self {
            source,
            batches: Batches::new(Arc::clone(&consumer)),
            consumer,
            metrics,
            clock,
            store,
            progress,
            lanes: Lanes::new(),
            admitted: 0,
            assignment: Assignment::default(),
            load: Load::default(),
            leaving: Vec::new(),
            liveness: Liveness::new(&part, limits.stalled_after),
            limits,
            part,
            jitter: Jitter::random(),
            reachable: false,
            ready: None,
            full: false,
            paused: false,
            probe: Probe { at: now, tries: 0 },
            commit_at: now,
            refused: false,
            stopping: None,
        }
    }

    pub(super) async fn run(&mut self) -> Result<(), ConsumeError<C::Fatal>> {
        loop {
            self.start_batches();
            self.give_up_revoked();
            self.commit_if_due();
            self.steer();
            self.report();
            if self.is_over() {
                return Ok(());
            }
            let (up, wake, told) = (self.store.is_up(), self.wakes(), self.stopping.is_some());
            let Self { source, batches, store, part, .. } = self;
            tokio::select! {
                event = source.next() => self.hear(event)?,
                ended = batches.next() => {
                    if let Some(settled) = self.batches.ended(ended)? {
                        self.settle_batch(settled);
                    }
                }
                () = sleep_until(wake) => {}
                () = part.stopping(), if !told => self.stop(),
                () = async { if up { store.until_down().await } else { store.until_up().await } } => {}
            }
        }
    }

    pub(super) async fn close(self) {
        self.source.close().await;
    }

    fn hear(&mut self, event: Event) -> Result<(), ConsumeError<C::Fatal>> {
        match event {
            Event::Assigned(partitions) => {
                for (partition, epoch) in partitions {
                    self.metrics.paused(&partition.topic, self.paused);
                    self.load.begin(partition.clone());
                    self.liveness.begin(partition.clone());
                    self.assignment.begin(partition, epoch);
                }
            }
            Event::Records(records) => {
                for Record { epoch, message } in records {
                    self.admit(epoch, message)?;
                }
            }
            Event::Revoked(partitions) => {
                self.drop_unpassed(|partition| partitions.contains(partition), "revoked");
                let deadline = Instant::now() + self.limits.settle_within;
                self.leaving.push(Leaving { partitions, deadline, asked: false });
            }
            Event::Lost(partitions) => {
                for leaving in &mut self.leaving {
                    leaving.partitions.retain(|partition| !partitions.contains(partition));
                }
                self.leaving.retain(|leaving| !leaving.partitions.is_empty());
                self.end(&partitions, "lost");
            }
            Event::Committed { positions, result: Ok(()) } => {
                self.refused = false;
                self.assignment.confirm(&positions);
                failpoints::hit("kafka-committed");
            }
            Event::Committed { positions, result: Err(error) } => {
                if !self.refused {
                    warn!("{error}; it is tried again every {} ms", self.limits.commit_every.as_millis());
                }
                self.refused = true;
                self.assignment.refuse(&positions);
                self.commit_at = Instant::now() + self.limits.commit_every;
            }
            Event::Reachable(reachable) => {
                if reachable {
                    info!("Kafka is reached");
                } else {
                    warn!("no Kafka broker can be reached");
                }
                self.reachable = reachable;
                self.metrics.dependency_up("kafka", reachable);
            }
            Event::Lag(lags) => {
                for Lag { partition, messages, unread } in lags {
                    if self.assignment.holds(&partition) {
                        self.liveness.unread(&partition, unread);
                        messages
                            .into_iter()
                            .for_each(|messages| self.metrics.lag(&partition.topic, partition.number, messages));
                    }
                }
            }
            Event::Failed(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn admit(&mut self, epoch: Epoch, message: Message) -> Result<(), ConsumeError<C::Fatal>> {
        let partition = Partition::of(&message);
        // What is not noted as delivered is read again by whoever has the partition next.
        if self.stopping.is_some()
            || self.is_leaving(&partition)
            || !self.assignment.deliver(&partition, epoch, message.offset)
        {
            return Ok(());
        }
        self.metrics.received(&message.source);
        let traced = Traced::received(&message);
        let read = catch_unwind(AssertUnwindSafe(|| self.consumer.read(message.clone())));
        let (keys, item) = match read {
            Ok((keys, item)) => (keys, Some(item)),
            Err(_) => {
                error!(source = %message.source, position = message.position(), "reading a message panicked: it is a bug");
                self.batches.count_panic()?;
                (Vec::new(), None)
            }
        };
        self.admitted += 1;
        let size = size(&message, item.as_ref().map_or(0, |item| self.consumer.weight(item)));
        let work = Work { number: self.admitted, epoch, keys: keys.clone(), message, size, item, tries: 0, traced };
        self.load.add(&work);
        self.lanes.admit(keys, size, work);
        Ok(())
    }

    /// Pauses or resumes the intake, where that changed.
    fn steer(&mut self) {
        let bytes = self.lanes.bytes();
        self.full = if self.full { bytes > self.limits.budget_bytes / 2 } else { bytes >= self.limits.budget_bytes };
        let pause = self.full || self.stopping.is_some() || !self.store.is_up();
        if pause != self.paused {
            self.paused = pause;
            if pause {
                self.source.pause();
            } else {
                self.source.resume();
            }
            self.load.topics().iter().for_each(|topic| self.metrics.paused(topic, pause));
        }
    }

    fn report(&mut self) {
        self.load.report(&self.metrics);
        self.progress.tell(self.lanes.len(), self.assignment.is_all_committed());
        let up = self.store.is_up();
        let Self { liveness, part, load, .. } = self;
        // Standing by counts as progress: while something we wait for is away, and while other partitions fill the budget.
        let (stands_by, paused) = (!up || !self.reachable || self.stopping.is_some(), self.paused);
        liveness.check(part, |partition, unread| !stands_by && (!load.is_empty(partition) || (unread && !paused)));
        let ready = self.reachable && up;
        if self.ready != Some(ready) && self.stopping.is_none() {
            self.ready = Some(ready);
            match (self.reachable, up) {
                (true, true) => self.part.ready(),
                (false, _) => self.part.not_ready("no Kafka broker can be reached"),
                (true, false) => self.part.not_ready(format!("{} is down", self.store.name())),
            }
        }
    }

    /// Whether it was told to stop and all that can be done until then is done.
    fn is_over(&self) -> bool {
        let Some(deadline) = self.stopping else { return false };
        let settled = self.lanes.is_idle() || (self.batches.running() == 0 && !self.store.is_up());
        let committed = self.assignment.is_all_committed() || !self.reachable;
        settled && committed || Instant::now() >= deadline
    }

    /// When there is something to do though nothing happens. Never a time at which nothing could be done, or the loop would spin.
    fn wakes(&self) -> Instant {
        let (up, now) = (self.store.is_up(), Instant::now());
        let free = self.batches.running() < self.slots(up);
        let batch = self.batches.closes(&self.limits).filter(|_| up && free);
        let delayed = self.lanes.next_due().filter(|_| up && free);
        let probe = Some(self.probe.at).filter(|at| !up && free && *at > now);
        let commit = Some(self.commit_at).filter(|_| self.assignment.is_due());
        let leaving = self.leaving.iter().map(|leaving| leaving.deadline).min();
        let others = [batch, delayed, probe, commit, leaving, self.stopping];
        others.into_iter().flatten().fold(self.liveness.due(), Instant::min)
    }
}
