//! Why a change could not be done, and the one table that turns that into a status (4.2).

use chrono::TimeDelta;

use super::{need::Need, record::IngestStatus};

/// Who handles the change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// The consumer, as the record arrives.
    Live,
    /// The retry job (6.2).
    Retry,
    /// The job over rows in FAILED (6.3).
    Failed,
    /// Between two runs of the retry job, because what the change waited for may be here (IMP-17). Never an attempt: what stays in RETRY keeps
    /// its count, so that no change is given up earlier than by the schedule.
    Wake,
}

/// How long a change that failed for a technical reason is left alone (IMP-17).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// At least so long.
    pub least: TimeDelta,
    /// At most so long; wins over `least`.
    pub most: TimeDelta,
}

impl Backoff {
    /// The wait before the next try, `since` the change failed first: as long again, so the time since then doubles.
    #[must_use]
    pub fn wait(&self, since: TimeDelta) -> TimeDelta {
        since.max(self.least).min(self.most)
    }
}

/// The classes of 4.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureClass {
    /// Something it depends on is not here yet.
    DependencyMissing,
    /// Its course is known but invalid.
    DependencyInvalid,
    /// The change itself is unusable.
    Validation,
    /// Not wanted.
    Ignored,
    /// A situation that no rule covers.
    NotImplemented,
    /// Owned by an AMT system.
    ExternalSource,
    /// Anything unexpected, and what software must learn first.
    Other,
}

impl FailureClass {
    /// The status of a change that failed like this; `attempts` counts this one, `max_attempts` is inclusive.
    #[must_use]
    pub fn status(self, pass: Pass, attempts: u32, max_attempts: u32) -> IngestStatus {
        match (self, pass) {
            (Self::DependencyInvalid, _) => IngestStatus::Waiting,
            (Self::Validation, _) => IngestStatus::Invalid,
            (Self::Ignored, _) => IngestStatus::Ignored,
            (Self::NotImplemented, _) => IngestStatus::Failed,
            (Self::ExternalSource, _) => IngestStatus::ExternalSource,
            (Self::DependencyMissing | Self::Other, Pass::Live | Pass::Wake) => IngestStatus::Retry,
            (Self::DependencyMissing | Self::Other, Pass::Retry) if attempts < max_attempts => IngestStatus::Retry,
            (Self::DependencyMissing | Self::Other, Pass::Retry | Pass::Failed) => IngestStatus::Failed,
        }
    }
}

/// Why a change could not be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The class.
    pub class: FailureClass,
    /// For `note`: read by people, without personal data.
    pub note: String,
    /// What it waits for, where that is something the store will hold.
    pub need: Option<Need>,
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $class:ident;)*) => {
        impl Failure {
            $($(#[$doc])* #[must_use] pub fn $name(note: impl Into<String>) -> Self {
                Self { class: FailureClass::$class, note: note.into(), need: None }
            })*
        }
    };
}
constructors! {
    /// Class *dependency missing*.
    missing => DependencyMissing;
    /// Class *dependency invalid*.
    course_invalid => DependencyInvalid;
    /// Class *validation*.
    validation => Validation;
    /// Class *ignored*.
    ignored => Ignored;
    /// Class *not implemented*.
    not_implemented => NotImplemented;
    /// Class *external source*.
    external => ExternalSource;
    /// Class *other*.
    other => Other;
}

impl From<Need> for Failure {
    fn from(need: Need) -> Self {
        Self { class: need.class(), note: need.to_string(), need: Some(need) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tenth_failed_attempt_of_a_retry_run_is_the_last() {
        let status = |attempts| FailureClass::Other.status(Pass::Retry, attempts, 10);
        assert_eq!(
            [status(9), status(10), status(11)],
            [IngestStatus::Retry, IngestStatus::Failed, IngestStatus::Failed]
        );
    }

    #[test]
    fn a_failure_outside_the_jobs_never_uses_up_attempts() {
        for pass in [Pass::Live, Pass::Wake] {
            assert_eq!(FailureClass::DependencyMissing.status(pass, 50, 10), IngestStatus::Retry);
            assert_eq!(FailureClass::Other.status(pass, 50, 10), IngestStatus::Retry);
        }
    }

    #[test]
    fn the_time_since_the_first_failure_doubles_between_its_bounds() {
        let backoff = Backoff { least: TimeDelta::seconds(30), most: TimeDelta::minutes(10) };
        let mut tries = vec![0];
        for _ in 0..7 {
            let since = *tries.last().unwrap();
            tries.push(since + backoff.wait(TimeDelta::seconds(since)).num_seconds());
        }
        assert_eq!(tries, [0, 30, 60, 120, 240, 480, 960, 1560]);
        assert_eq!(backoff.wait(TimeDelta::hours(-1)), TimeDelta::seconds(30), "in the hour that comes twice");
    }

    #[test]
    fn the_failed_job_lets_go_only_of_what_has_a_better_word() {
        let status = |class: FailureClass| class.status(Pass::Failed, 1, 10);
        assert_eq!(status(FailureClass::Other), IngestStatus::Failed);
        assert_eq!(status(FailureClass::DependencyMissing), IngestStatus::Failed);
        assert_eq!(status(FailureClass::Validation), IngestStatus::Invalid);
        assert_eq!(status(FailureClass::DependencyInvalid), IngestStatus::Waiting);
        assert_eq!(status(FailureClass::Ignored), IngestStatus::Ignored);
        assert_eq!(status(FailureClass::ExternalSource), IngestStatus::ExternalSource);
    }
}
