//! What is done to dead letters, whether a command or a route asked for it.

use std::collections::HashMap;

use serde_json::{Value, json};
use tracing::info;

use super::{LetterId, LettersError, MAX_REPLAYS, Note, OpenLetter, OpenLetters, Redriven};

/// What is done to a letter.
#[derive(Debug)]
pub(super) enum Work {
    /// Fed through the service once more; `force`: even after [`MAX_REPLAYS`].
    Redrive { force: bool },
    /// Taken off the list.
    Drop(Note),
}

/// What became of one letter.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) id: LetterId,
    pub(super) is_done: bool,
    result: &'static str,
    detail: Option<String>,
}

impl Verdict {
    /// Of a letter that is not on the list.
    pub(super) fn not_open(id: LetterId) -> Self {
        Self { id, is_done: false, result: "not_open", detail: None }
    }

    fn too_often(letter: &OpenLetter) -> Self {
        let detail = format!("redriven {} times already; look into it, or insist", letter.replay_count);
        Self { id: letter.id, is_done: false, result: "refused", detail: Some(detail) }
    }

    fn redriven(id: LetterId, redriven: Redriven) -> Self {
        let (is_done, result, detail) = match redriven {
            Redriven::Settled(how) => (true, "settled", Some(how.to_owned())),
            Redriven::Queued => (true, "queued", None),
            Redriven::FailedAgain(reason) => (false, "failed_again", Some(reason)),
        };
        Self { id, is_done, result, detail }
    }

    fn dropped(id: LetterId) -> Self {
        Self { id, is_done: true, result: "dropped", detail: None }
    }

    /// As people read it.
    pub(super) fn in_words(&self) -> String {
        self.detail.as_ref().map_or_else(|| self.result.to_owned(), |detail| format!("{}: {detail}", self.result))
    }

    /// As programs get it.
    pub(super) fn object(&self) -> Value {
        json!({ "id": self.id.to_string(), "result": self.result, "detail": self.detail })
    }
}

/// Does `work` to `letters`, logs each, and says what became of each, in order.
pub(super) async fn carry_out(
    open: &impl OpenLetters,
    letters: &[OpenLetter],
    work: &Work,
) -> Result<Vec<Verdict>, LettersError> {
    let ids: Vec<LetterId> =
        letters.iter().filter(|letter| !is_refused(letter, work)).map(|letter| letter.id).collect();
    let mut verdicts: HashMap<LetterId, Verdict> = match work {
        _ if ids.is_empty() => HashMap::new(),
        Work::Redrive { .. } => {
            open.redrive(&ids).await?.into_iter().map(|(id, how)| (id, Verdict::redriven(id, how))).collect()
        }
        Work::Drop(note) => open.give_up(&ids, note).await?.into_iter().map(|id| (id, Verdict::dropped(id))).collect(),
    };
    let verdicts = letters.iter().map(|letter| match verdicts.remove(&letter.id) {
        Some(verdict) => verdict,
        None if is_refused(letter, work) => Verdict::too_often(letter),
        None => Verdict::not_open(letter.id), // somebody else was faster
    });
    Ok(verdicts.inspect(|verdict| log(verdict, work)).collect())
}

/// What [`carry_out`] would begin; how a redrive ends is known only by doing it.
pub(super) fn rehearse(letters: &[OpenLetter], work: &Work) -> Vec<Verdict> {
    let verdict = |letter: &OpenLetter| match work {
        _ if is_refused(letter, work) => Verdict::too_often(letter),
        Work::Redrive { .. } => Verdict { id: letter.id, is_done: true, result: "would_be_redriven", detail: None },
        Work::Drop(_) => Verdict { id: letter.id, is_done: true, result: "would_be_dropped", detail: None },
    };
    letters.iter().map(verdict).collect()
}

fn is_refused(letter: &OpenLetter, work: &Work) -> bool {
    matches!(work, Work::Redrive { force: false }) && letter.replay_count >= MAX_REPLAYS
}

fn log(verdict: &Verdict, work: &Work) {
    let Verdict { id, result, detail, .. } = verdict;
    match work {
        Work::Redrive { force } => info!(letter = %id, result, detail, force, "a dead letter was redriven: {result}"),
        Work::Drop(Note { by, why }) => info!(letter = %id, result, by, why, "a dead letter was dropped: {result}"),
    }
}
