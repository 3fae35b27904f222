//! Offsets to commit, partitions to give up, and the stop.

use std::{
    collections::{BTreeMap, HashSet},
    mem,
};

use chassis::failpoints;
use domain::delivery::Key;
use tokio::time::Instant;
use tracing::info;

use super::{Flow, Leaving, Load, Next, Work};
use crate::{
    pipeline::Consume,
    source::{Partition, Source},
};

/// Why a message goes back that was tried, or stands behind one that was.
pub(super) const GIVEN_UP: &str = "given_up";

impl<S: Source, C: Consume> Flow<S, C> {
    pub(super) fn give_up_revoked(&mut self) {
        let mut index = 0;
        while let Some(leaving) = self.leaving.get(index) {
            let settled = leaving.partitions.iter().all(|partition| self.load.is_empty(partition));
            let committed = leaving.partitions.iter().all(|partition| self.assignment.is_committed(partition));
            match leaving.next(settled, committed) {
                Next::Wait => index += 1,
                Next::Commit => {
                    self.commit();
                    self.leaving.get_mut(index).into_iter().for_each(|leaving| leaving.asked = true);
                }
                Next::Release => {
                    let Leaving { partitions, .. } = self.leaving.remove(index);
                    self.end(&partitions, "revoked");
                    self.source.release(partitions);
                }
            }
        }
    }

    /// These partitions are no longer ours: what runs of them counts no more, what is queued goes back.
    pub(super) fn end(&mut self, partitions: &[Partition], reason: &'static str) {
        self.drop_queued(|partition| partitions.contains(partition), reason, HashSet::new(), |_, _| false);
        for partition in partitions {
            self.assignment.end(partition);
            self.liveness.end(partition);
            self.metrics.forget_lag(&partition.topic, partition.number);
        }
    }

    /// These partitions are about to be no longer ours, or the process ends: drops what is queued of them, except what a later message has
    /// passed. Without that the offsets that are done could not be committed.
    pub(super) fn drop_unpassed(&mut self, is_given_up: impl Fn(&Partition) -> bool, reason: &'static str) {
        self.drop_queued(is_given_up, reason, HashSet::new(), |load, work| {
            work.tries == 0 && load.is_passed(&work.message)
        });
    }

    /// A message of a partition that is given up goes back unsettled: so does all that stands behind it, or it would come too early.
    pub(super) fn drop_behind(&mut self, work: &Work<C::Item>) {
        let (stopping, leaving) = (self.stopping.is_some(), mem::take(&mut self.leaving));
        let is_given_up =
            |partition: &Partition| stopping || leaving.iter().any(|leaving| leaving.partitions.contains(partition));
        self.drop_queued(is_given_up, GIVEN_UP, work.keys.iter().cloned().collect(), |_, _| true);
        self.leaving = leaving;
    }

    /// Drops what is queued of the partitions that are given up and not `wanted`, or behind something that is dropped or holds a key of
    /// `dropped`. What is kept of other partitions does not wait for what goes back: the store decides between processes.
    fn drop_queued(
        &mut self,
        is_given_up: impl Fn(&Partition) -> bool,
        reason: &'static str,
        mut dropped: HashSet<Key>,
        wanted: fn(&Load, &Work<C::Item>) -> bool,
    ) {
        let Self { lanes, load, metrics, .. } = self;
        let mut queued = BTreeMap::new();
        lanes.forget(|work| {
            if is_given_up(&work.partition()) {
                queued.insert(work.number, (work.keys.clone(), wanted(load, work)));
            }
            false
        });
        queued.retain(|_, (keys, wanted)| {
            let goes = !*wanted || keys.iter().any(|key| dropped.contains(key));
            if goes {
                dropped.extend(keys.drain(..));
            }
            goes
        });
        lanes.forget(|work| {
            let goes = queued.contains_key(&work.number);
            if goes {
                load.remove(work);
                metrics.returned(&work.message.source, reason);
            }
            goes
        });
    }

    pub(super) fn commit_if_due(&mut self) {
        let at_once = !self.refused && (self.lanes.is_idle() || self.stopping.is_some() && self.batches.is_idle());
        if self.assignment.is_due() && (at_once || Instant::now() >= self.commit_at) {
            self.commit();
        }
    }

    pub(super) fn commit(&mut self) {
        let positions = self.assignment.due();
        self.commit_at = Instant::now() + self.limits.commit_every;
        if !positions.is_empty() {
            failpoints::hit("kafka-committing");
            self.source.commit(positions);
        }
    }

    pub(super) fn stop(&mut self) {
        info!("no more messages are taken, {} are in flight", self.lanes.len());
        self.stopping = Some(Instant::now() + self.limits.settle_within);
        self.drop_unpassed(|_| true, "stopped");
    }

    pub(super) fn is_leaving(&self, partition: &Partition) -> bool {
        self.leaving.iter().any(|leaving| leaving.partitions.contains(partition))
    }
}
