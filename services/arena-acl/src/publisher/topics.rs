//! Topics that take nothing: each is closed for itself, and opened by one message that tries.

use std::{collections::HashMap, sync::Arc};

use chassis::backoff::{self, Jitter};
use tokio::time::Instant;

use super::holds::{Answer, Reason};
use crate::inbox::Head;

/// How many messages a topic gets that has taken none yet: as many more as there is room for would keep the other topics waiting if it takes
/// none at all.
const UNPROVEN: usize = 100;

/// The output topics, as their reports show them.
#[derive(Debug, Default)]
pub(super) struct Topics(HashMap<Arc<str>, Topic>);

#[derive(Debug, Default)]
struct Topic {
    last_arrival: Option<Instant>,
    /// Messages on their way before the first arrival.
    unproven: usize,
    /// Tries in a row that failed.
    failures: u32,
    closed: Option<Closed>,
}

#[derive(Debug)]
struct Closed {
    until: Instant,
    /// The message that tries.
    probe: Option<i64>,
}

impl Topics {
    /// What keeps `head` from its topic; nothing if that is open, or if `head` would be the one that tries.
    pub(super) fn ask(&self, head: &Head, now: Instant) -> Option<Answer> {
        let topic = self.0.get(&head.topic)?;
        match &topic.closed {
            Some(closed) if closed.until > now => Some(Answer::Later(closed.until, Reason::Unconfirmed)),
            Some(closed) => closed.probe.map(|_| Answer::AfterTheProbe),
            None => (topic.unproven >= UNPROVEN).then_some(Answer::AfterTheProbe),
        }
    }

    pub(super) fn leaves(&mut self, head: &Head) {
        let topic = self.0.entry(head.topic.clone()).or_default();
        match &mut topic.closed {
            Some(closed) => closed.probe = Some(head.id),
            None if topic.last_arrival.is_none() => topic.unproven += 1,
            None => {}
        }
    }

    pub(super) fn arrived(&mut self, head: &Head, now: Instant) {
        self.0.insert(head.topic.clone(), Topic { last_arrival: Some(now), ..Topic::default() });
    }

    /// A message that left at `since` is not confirmed. Whether that lies with its topic: nothing of it arrived in the meantime.
    pub(super) fn failed(&mut self, head: &Head, since: Instant, now: Instant, jitter: &mut Jitter) -> bool {
        let topic = self.0.entry(head.topic.clone()).or_default();
        if topic.last_arrival.is_some_and(|at| at >= since) {
            return false;
        }
        // what else was under way when it closed says nothing new
        if topic.closed.as_ref().is_none_or(|closed| closed.probe == Some(head.id)) {
            topic.failures = topic.failures.saturating_add(1);
            let until = now + backoff::pause(topic.failures, None, jitter);
            topic.closed = Some(Closed { until, probe: None });
            topic.unproven = 0;
        }
        true
    }

    /// `head` did not leave, or was refused: that says nothing of its topic.
    pub(super) fn said_nothing(&mut self, head: &Head) {
        let Some(topic) = self.0.get_mut(&head.topic) else { return };
        topic.unproven = topic.unproven.saturating_sub(1);
        if let Some(closed) = &mut topic.closed
            && closed.probe == Some(head.id)
        {
            closed.probe = None;
        }
    }
}
