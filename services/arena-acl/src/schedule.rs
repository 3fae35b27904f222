//! When the jobs run (docs/spec/arena-acl.md 6.1).

use std::{future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use chassis::{
    clock::{self, Clock},
    exit,
    parts::Part,
};
use chrono::{DateTime, Days, NaiveTime, Utc};
use futures::FutureExt as _;
use tokio::time::sleep;
use tracing::{error, info};

use crate::{
    OSLO,
    inbox::Inbox,
    jobs::{JobError, Jobs, Rerun},
    leader::{Leader, Leadership},
    operations::Operations,
    settings::Handling,
};

/// From the start to the first run, of the jobs that have a pause.
const FIRST: Duration = Duration::from_secs(60);
/// From the end of one purge to the next.
const PURGE_PAUSE: Duration = Duration::from_secs(3600);
/// How often the time is looked at: the clock may be set.
const LOOK: Duration = Duration::from_secs(1);
/// How long one step of a run may take, when third parties hang.
const LONGEST_STEP: Duration = Duration::from_secs(120);

/// What is scheduled.
pub(crate) struct Schedule<S> {
    pub(crate) jobs: Jobs<S>,
    pub(crate) leader: Arc<Leader<S>>,
    pub(crate) clock: Clock,
    pub(crate) handling: Handling,
    pub(crate) part: Part,
}

impl<S: Inbox + Operations + Leadership> Schedule<S> {
    /// Runs the jobs until the stop, and ends what runs then.
    pub(crate) async fn run(&self) {
        tokio::join!(self.retry(), self.failed(), self.purge(), self.watch());
    }

    async fn retry(&self) {
        let Handling { retry_interval, retry_rows, .. } = self.handling;
        let mut due = self.clock.now() + FIRST.min(retry_interval);
        while self.reaches(due).await {
            self.start("retry", self.jobs.run(Rerun::Retry, retry_rows)).await;
            due = self.clock.now() + retry_interval;
        }
    }

    async fn failed(&self) {
        while self.reaches(next_midnight(self.clock.now())).await {
            self.start("failed", self.jobs.run(Rerun::Failed, self.handling.failed_rows)).await;
        }
    }

    async fn purge(&self) {
        let mut due = self.clock.now() + FIRST;
        while self.reaches(due).await {
            self.start("purge", self.purge_or_stop()).await;
            due = self.clock.now() + PURGE_PAUSE;
        }
    }

    /// One statement that may take long: a stop lets go of it, and the next run finds what it left.
    async fn purge_or_stop(&self) -> Result<u64, JobError> {
        tokio::select! {
            () = self.part.stopping() => Err(JobError::Stopped),
            deleted = self.jobs.purge() => deleted,
        }
    }

    /// Waits for `due`; `false` when the stop came first.
    async fn reaches(&self, due: DateTime<Utc>) -> bool {
        loop {
            if self.part.is_stopping() {
                return false;
            }
            let left = (due - self.clock.now()).to_std().unwrap_or_default();
            if left.is_zero() {
                return true;
            }
            tokio::select! {
                () = self.part.stopping() => {}
                () = sleep(left.min(LOOK)) => {}
            }
        }
    }

    /// Does one run, on the leader only. Whatever comes of it, the next one is not concerned.
    async fn start<T>(&self, job: &'static str, run: impl Future<Output = Result<T, JobError>>) {
        if !self.leader.may_start().await {
            return;
        }
        match AssertUnwindSafe(run).catch_unwind().await {
            Ok(Ok(_)) => {}
            Ok(Err(error @ (JobError::Running | JobError::Stopped))) => info!(job, "{error}"),
            Ok(Err(error @ JobError::Store(_))) => {
                error!(job, "a scheduled run ended early: {}", exit::causes(&error));
            }
            Err(_panic) => error!(job, "a scheduled run panicked; the log of that time has the place"),
        }
    }

    /// Says how the runs get on, also those that an operator started, and passes the stop on to them.
    async fn watch(&self) {
        let mut seen = None;
        while !self.part.is_stopping() {
            let steps = self.jobs.steps();
            match (seen, steps) {
                (_, None) => self.part.idle(),
                (None, Some(_)) => self.part.progress_within(LONGEST_STEP),
                (Some(before), Some(now)) if before != now => self.part.progressed(),
                (Some(_), Some(_)) => {}
            }
            seen = steps;
            tokio::select! {
                () = self.part.stopping() => {}
                () = sleep(LOOK) => {}
            }
        }
        self.jobs.stop();
    }
}

/// The next midnight in Oslo, where no clock is changed at that hour.
fn next_midnight(now: DateTime<Utc>) -> DateTime<Utc> {
    let today = now.with_timezone(&OSLO).date_naive();
    let tomorrow = today.checked_add_days(Days::new(1)).unwrap_or(today);
    clock::to_utc(tomorrow.and_time(NaiveTime::MIN), OSLO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn midnight_is_that_of_oslo_in_summer_and_winter() {
        for (now, midnight) in [
            ("2026-01-10T12:00:00Z", "2026-01-10T23:00:00Z"),
            ("2026-01-10T22:59:59Z", "2026-01-10T23:00:00Z"),
            ("2026-01-10T23:00:00Z", "2026-01-11T23:00:00Z"),
            ("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
            ("2026-07-01T12:00:00Z", "2026-07-01T22:00:00Z"),
            ("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
        ] {
            assert_eq!(next_midnight(now.parse().unwrap()), midnight.parse::<DateTime<Utc>>().unwrap(), "{now}");
        }
    }
}
