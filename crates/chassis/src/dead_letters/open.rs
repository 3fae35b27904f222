//! Dead letters that wait for a person, as every service shows them (architecture section 4).

use std::{fmt, future::Future, str::FromStr};

use bytes::Bytes;
use chrono::{DateTime, Utc};

/// How often a letter is redriven before a person has to insist.
pub const MAX_REPLAYS: u32 = 5;

/// The id of a dead letter: a letter of the alphabet for where it is kept, which the service chooses, and its number there (`q17`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LetterId {
    /// Where it is kept.
    pub kind: char,
    /// Its number there.
    pub number: i64,
}

/// The text is no id of a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id is a letter and a number, as `list` prints it")]
pub struct NoLetterId;

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.kind, self.number)
    }
}

impl FromStr for LetterId {
    type Err = NoLetterId;

    fn from_str(text: &str) -> Result<Self, NoLetterId> {
        let kind = text.chars().next().filter(char::is_ascii_lowercase).ok_or(NoLetterId)?;
        let digits = text.get(1..).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        let number = digits.and_then(|digits| digits.parse().ok()).ok_or(NoLetterId)?;
        Ok(Self { kind, number })
    }
}

/// A dead letter that is neither resolved nor dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenLetter {
    /// Its id.
    pub id: LetterId,
    /// Where it came from: a topic, a table.
    pub source: String,
    /// Where it stood there; `None` where no message caused the failure.
    pub position: Option<String>,
    /// The id of what it is about, where the service could read it.
    pub about: Option<String>,
    /// Why, from a closed set.
    pub reason: String,
    /// Where the last failure lies: `transient`, `permanent` or `fatal`.
    pub class: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was first tried, where that is known.
    pub first_at: Option<DateTime<Utc>>,
    /// When it was given up, where that is known.
    pub last_at: Option<DateTime<Utc>>,
    /// How often it was fed through the service again.
    pub replay_count: u32,
    /// What failed, for people; quotes nothing of the message.
    pub detail: String,
    /// Its bytes, where they were asked for.
    pub contents: Option<Contents>,
}

/// The bytes of a dead letter, unchanged. They are about people.
#[derive(Clone, PartialEq, Eq)]
pub struct Contents {
    /// Its key.
    pub key: Option<Bytes>,
    /// Its headers, in order.
    pub headers: Vec<(String, Bytes)>,
    /// Its value.
    pub payload: Option<Bytes>,
}

// never into a log by accident
impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Contents({} bytes)", self.payload.as_ref().map_or(0, Bytes::len))
    }
}

/// Which dead letters are meant; what is `None` or empty does not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// These only.
    pub ids: Vec<LetterId>,
    /// With this reason.
    pub reason: Option<String>,
    /// From this source.
    pub source: Option<String>,
    /// Given up at this time or later.
    pub since: Option<DateTime<Utc>>,
}

/// Whether the bytes come with a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// All but the bytes.
    Summary,
    /// The bytes too.
    Contents,
}

/// How a letter ended that was redriven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redriven {
    /// It took its way to this end and is no dead letter any more.
    Settled(&'static str),
    /// It waits for the service's next run over what waits.
    Queued,
    /// It failed again, with this reason, and stays.
    FailedAgain(String),
}

/// Who drops a letter and why, for the log and for whoever finds the letter later. Holds nothing about people in Arena or elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Who.
    pub by: String,
    /// Why.
    pub why: String,
}

/// The service's store failed on its dead letters.
#[derive(Debug, Clone, thiserror::Error)]
#[error("dead letters: {what}")]
pub struct LettersError {
    /// What failed, for people; nothing of the letters.
    pub what: String,
    /// The store cannot be reached or has no room.
    pub outage: bool,
}

/// The dead letters of a service that wait for a person, as one list.
pub trait OpenLetters: Send + Sync + 'static {
    /// The letters that `filter` lets through, by id, after `after`, at most `limit`.
    ///
    /// # Errors
    /// As [`LettersError`] says.
    fn page(
        &self,
        filter: &Filter,
        after: Option<LetterId>,
        limit: u32,
        show: Show,
    ) -> impl Future<Output = Result<Vec<OpenLetter>, LettersError>> + Send;

    /// Feeds these letters through the ordinary path once more, in order, and says how each ended; one that is not open is
    /// left out. Twice is safe: what has taken effect is not open any more, and the path knows what it handled.
    ///
    /// # Errors
    /// As [`LettersError`] says; what was settled before stays settled.
    fn redrive(&self, ids: &[LetterId])
    -> impl Future<Output = Result<Vec<(LetterId, Redriven)>, LettersError>> + Send;

    /// Takes these letters off the list without any further effect, keeps their bytes and `note`, and says which were open.
    ///
    /// # Errors
    /// As [`LettersError`] says; nothing was dropped.
    fn give_up(
        &self,
        ids: &[LetterId],
        note: &Note,
    ) -> impl Future<Output = Result<Vec<LetterId>, LettersError>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_printed() {
        for text in ["q17", "r4711", "r9223372036854775807"] {
            assert_eq!(text.parse::<LetterId>().unwrap().to_string(), text);
        }
        for text in ["", "q", "17", "q-1", "q+1", "q1x", "Q1", "qq1", "æ1", "q9223372036854775808"] {
            assert_eq!(text.parse::<LetterId>(), Err(NoLetterId), "{text}");
        }
    }
}
