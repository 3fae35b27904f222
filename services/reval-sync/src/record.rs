//! A run as it is remembered, and as it is shown (7.2).

use chrono::{DateTime, NaiveDate, Utc};
use domain::reval_sync::run::{Failure, Plan, Remembered, Run, Source, Stage, State};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A run as it is remembered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Its id: when it was requested, and a random part.
    pub id: String,
    /// Who asked for it.
    pub trigger: String,
    /// Why, if they said.
    pub reason: Option<String>,
    /// When it was requested (UTC).
    pub requested_at: DateTime<Utc>,
    /// When it last changed (UTC).
    pub updated_at: DateTime<Utc>,
    /// When it ended (UTC).
    pub finished_at: Option<DateTime<Utc>>,
    /// "Today" of its rules.
    pub today: NaiveDate,
    /// The master index that it builds.
    pub generation: Option<String>,
    /// The index that readers saw before.
    pub previous: Option<String>,
    /// Its way through its stages.
    pub machine: Machine,
    /// What was counted, by stage.
    pub stages: Vec<Counted>,
    /// What was counted of documents.
    pub documents: Documents,
    /// Where its replay of the journal begins.
    pub journal_from: u64,
    /// Up to where the journal's extract data is older than its own.
    pub extract_from: u64,
    /// Where the journal was when it was swapped in: a rollback replays from here.
    pub swapped_at: u64,
    /// Indices that got a write block for the swap.
    pub blocked: Vec<String>,
    /// Why it failed, for people.
    pub failure: Option<String>,
    /// It was rolled back.
    pub rolled_back: bool,
}

/// What was counted in a stage.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counted {
    /// Messages, items or documents.
    pub received: u64,
    /// How many there are, where that is known.
    pub expected: Option<u64>,
    /// Given up.
    pub dead_lettered: u64,
    /// After their stage.
    pub late: u64,
    /// When it began (UTC).
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended (UTC).
    pub finished_at: Option<DateTime<Utc>>,
}

/// What was counted of documents.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Documents {
    /// Made by the run.
    pub merged: Option<u64>,
    /// Written so far.
    pub written: u64,
    /// Refused by the engine one by one.
    pub refused: u64,
    /// What readers saw before.
    pub live_before: Option<u64>,
}

/// [`Run`] in words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Machine {
    sources: [String; 3],
    derived: bool,
    /// Whether a small result is accepted.
    pub force: bool,
    min_ratio: f64,
    min_baseline: u64,
    idle_limit_millis: u64,
    state: String,
    failure: Option<String>,
    sent: Vec<String>,
    marked: Vec<String>,
    freed: u8,
    progress_at: DateTime<Utc>,
}

/// The name of a stage.
#[must_use]
pub fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Tcs => "tcs",
        Stage::Gmc => "gmc",
        Stage::ConnectionLogs => "connectionLogs",
        Stage::HiddenDiscrepancies => "hiddenDiscrepancies",
    }
}

/// The place of a stage among all.
#[must_use]
pub fn stage_place(stage: Stage) -> usize {
    Stage::ALL.into_iter().position(|known| known == stage).unwrap_or_default()
}

/// The name of a source.
#[must_use]
pub fn source_name(source: Source) -> &'static str {
    match source {
        Source::Queue => "queue",
        Source::Store => "mongo",
        Source::Off => "off",
    }
}

/// The source of that name.
#[must_use]
pub fn source_named(name: &str) -> Option<Source> {
    [Source::Queue, Source::Store, Source::Off].into_iter().find(|source| source_name(*source) == name)
}

/// The name of a state, as `stage` of a run says it.
#[must_use]
pub fn state_name(state: State) -> &'static str {
    match state {
        State::Requested => "requested",
        State::In(stage) => stage_name(stage),
        State::Replay => "replay",
        State::Derive => "derive",
        State::Verify => "verify",
        State::Swap => "swap",
        State::Completed => "completed",
        State::Failed(_) => "failed",
        State::Cancelled => "cancelled",
    }
}

/// The word for why a run failed.
#[must_use]
pub fn failure_name(failure: Failure) -> &'static str {
    match failure {
        Failure::StageTimeout => "stage-timeout",
        Failure::VerificationFailed => "verification-failed",
        Failure::SwapRefused => "swap-refused",
    }
}

impl Machine {
    /// A run in words.
    #[must_use]
    pub fn of(run: &Run) -> Self {
        let Remembered { plan, state, sent, marked, freed, progress_at } = run.remembered();
        let names = |stages: std::collections::BTreeSet<Stage>| {
            stages.into_iter().map(|stage| stage_name(stage).to_owned()).collect()
        };
        let failure = if let State::Failed(failure) = state { Some(failure_name(failure).to_owned()) } else { None };
        Self {
            sources: plan.sources.map(|source| source_name(source).to_owned()),
            derived: plan.derived,
            force: plan.force,
            min_ratio: plan.min_ratio,
            min_baseline: plan.min_baseline,
            idle_limit_millis: u64::try_from(plan.idle_limit.as_millis()).unwrap_or(u64::MAX),
            state: state_name(state).to_owned(),
            failure,
            sent: names(sent),
            marked: names(marked),
            freed,
            progress_at,
        }
    }

    /// The run.
    #[must_use]
    pub fn run(&self) -> Run {
        let named = |name: &String| Stage::ALL.into_iter().find(|stage| stage_name(*stage) == name);
        let stages = |names: &[String]| names.iter().filter_map(named).collect();
        let source = |name: &String| source_named(name).unwrap_or(Source::Off);
        let [gmc, logs, hidden] = &self.sources;
        Run::from(Remembered {
            plan: Plan {
                sources: [source(gmc), source(logs), source(hidden)],
                derived: self.derived,
                force: self.force,
                min_ratio: self.min_ratio,
                min_baseline: self.min_baseline,
                idle_limit: std::time::Duration::from_millis(self.idle_limit_millis),
            },
            state: self.state(),
            sent: stages(&self.sent),
            marked: stages(&self.marked),
            freed: self.freed,
            progress_at: self.progress_at,
        })
    }

    fn state(&self) -> State {
        let failures = [Failure::StageTimeout, Failure::VerificationFailed, Failure::SwapRefused];
        let of_failure = |failure: &String| failures.into_iter().find(|known| failure_name(*known) == failure);
        let failed = State::Failed(self.failure.as_ref().and_then(of_failure).unwrap_or(Failure::StageTimeout));
        let others =
            [State::Replay, State::Derive, State::Verify, State::Swap, State::Completed, State::Cancelled, failed];
        let known = Stage::ALL.into_iter().map(State::In).chain(others).find(|known| state_name(*known) == self.state);
        known.unwrap_or(State::Requested)
    }
}

impl Record {
    /// A run that is requested at `now`, on the day `today` of its zone.
    #[must_use]
    pub fn new(plan: Plan, trigger: &str, reason: Option<String>, now: DateTime<Utc>, today: NaiveDate) -> Self {
        let random = uuid::Uuid::new_v4().simple().to_string();
        let (run, _) = Run::new(plan, now);
        Self {
            id: format!("{}-{}", now.format("%Y%m%dT%H%M%SZ"), random.get(..4).unwrap_or_default()),
            trigger: trigger.to_owned(),
            reason,
            requested_at: now,
            updated_at: now,
            finished_at: None,
            today,
            generation: None,
            previous: None,
            machine: Machine::of(&run),
            stages: vec![Counted::default(); Stage::ALL.len()],
            documents: Documents::default(),
            journal_from: 0,
            extract_from: 0,
            swapped_at: 0,
            blocked: Vec::new(),
            failure: None,
            rolled_back: false,
        }
    }

    /// What was counted in a stage.
    pub fn stage(&mut self, stage: Stage) -> &mut Counted {
        let place = stage_place(stage);
        while self.stages.len() <= place {
            self.stages.push(Counted::default());
        }
        #[expect(clippy::indexing_slicing, reason = "the loop above makes the place")]
        &mut self.stages[place]
    }

    /// Whether its first signal is not sent yet.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.machine.state() == State::Requested
    }

    /// Whether its swap is recorded: it cannot be cancelled any more.
    #[must_use]
    pub fn is_swapping(&self) -> bool {
        matches!(self.machine.state(), State::Swap | State::Completed)
    }

    /// As people and programs see it.
    #[must_use]
    pub fn shown(&self) -> Value {
        let state = self.machine.state();
        let word = match state {
            _ if self.rolled_back => "rolled-back",
            State::Completed => "completed",
            State::Failed(_) => "failed",
            State::Cancelled => "cancelled",
            _ => "running",
        };
        let reached = |stage: Stage| match state {
            State::Requested => false,
            State::In(now) => stage < now,
            _ => true,
        };
        let stages = Stage::ALL.into_iter().zip(&self.stages).map(|(stage, counted)| {
            let word = match state {
                State::In(now) if now == stage => "running",
                _ if counted.finished_at.is_some() || reached(stage) => "completed",
                _ => "waiting",
            };
            let Counted { received, expected, dead_lettered, late, started_at, finished_at } = counted;
            json!({
                "name": stage_name(stage), "state": word, "received": received, "expected": expected,
                "deadLettered": dead_lettered, "late": late, "startedAt": started_at, "finishedAt": finished_at,
            })
        });
        let failure = self.machine.failure.as_ref().map(|code| json!({"code": code, "message": self.failure}));
        let (percent, eta) = self.progress(state);
        json!({
            "id": self.id, "state": word, "stage": state_name(state), "trigger": self.trigger, "force": self.machine.force,
            "reason": self.reason, "requestedAt": self.requested_at, "updatedAt": self.updated_at,
            "finishedAt": self.finished_at, "generation": self.generation, "previousGeneration": self.previous,
            "stages": stages.collect::<Vec<_>>(),
            "documents": {
                "merged": self.documents.merged, "written": self.documents.written,
                "refused": self.documents.refused, "liveBefore": self.documents.live_before,
            },
            "percent": percent, "etaSeconds": eta, "failure": failure,
        })
    }

    /// Share of the whole, and the seconds that are left; unknown while the total of the current stage is.
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    fn progress(&self, state: State) -> (Option<f64>, Option<u64>) {
        let share = match state {
            State::Requested => 0.0,
            State::In(stage) => {
                let Some(counted) = self.stages.get(stage_place(stage)) else { return (None, None) };
                let Some(expected) = counted.expected.filter(|expected| *expected > 0) else { return (None, None) };
                let of_stage = (counted.received as f64 / expected as f64).min(1.0);
                (stage_place(stage) as f64 + of_stage) / 5.0
            }
            State::Replay | State::Derive => {
                let Some(merged) = self.documents.merged.filter(|merged| *merged > 0) else { return (None, None) };
                0.8 + 0.2 * (self.documents.written as f64 / merged as f64).min(1.0)
            }
            _ => 1.0,
        };
        let elapsed = (self.updated_at - self.requested_at).as_seconds_f64();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time left, never below 0")]
        let eta = (share > 0.01).then(|| (elapsed * (1.0 - share) / share).clamp(0.0, 1e9) as u64);
        (Some((share * 1000.0).round() / 10.0), eta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::reval_sync::run::Event;

    #[test]
    fn a_run_in_words_is_the_same_run() {
        let at = "2025-06-16T09:00:00Z".parse().unwrap();
        let plan = crate::handling::Handling::default().plan(true);
        let (mut run, _) = Run::new(plan, at);
        for event in [Event::Emptied, Event::Sent(Stage::Tcs), Event::Marker(Stage::Tcs), Event::Quiet(Stage::Tcs)] {
            assert_eq!(Machine::of(&run).run(), run);
            run.on(event, at);
        }
        run.on(Event::Cancel, at);
        let words = serde_json::to_value(Machine::of(&run)).unwrap();
        assert_eq!(serde_json::from_value::<Machine>(words).unwrap().run(), run);
    }
}
