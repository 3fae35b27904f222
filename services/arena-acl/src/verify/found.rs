//! What `verify` finds, as programs get it. Member names and kinds are stable.

use serde::Serialize;

/// Something in which the copy is not true.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What it is about: an object as `explain` takes it, or `outbox` and a place.
    pub key: String,
    /// What is wrong.
    pub kind: Kind,
    /// The change that it was seen by: `r` and the order of arrival.
    pub row: Option<String>,
    /// More of it: names of columns, statuses, times.
    pub detail: Option<String>,
    /// What is done about it.
    pub mending: Mending,
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The change that was handled last is not the newest (6.8).
    HandledOutOfOrder,
    /// A participant was handled and has no UUID (3.2).
    NoUuid,
    /// A participant was handled and has no last known row (3.4).
    NoLastKnown,
    /// The last known row is not what the newest handled change says.
    LastKnownDiffers,
    /// A change is HANDLED whose image cannot be used by today's rules, so nothing can be compared.
    ImageUnusable,
    /// A change waits for nothing that the store knows of, for longer than two runs of the retry job.
    WaitsForNothing,
    /// A message has waited to leave for minutes: is the publisher running?
    NotPublished,
    /// The position is no number, so no rule sees the change.
    PositionNotANumber,
}

impl Kind {
    /// The same for people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::HandledOutOfOrder => "handled out of order",
            Self::NoUuid => "no UUID",
            Self::NoLastKnown => "no last known row",
            Self::LastKnownDiffers => "last known row differs",
            Self::ImageUnusable => "image unusable",
            Self::WaitsForNothing => "waits for nothing",
            Self::NotPublished => "not published",
            Self::PositionNotANumber => "position not a number",
        }
    }
}

/// What is done about a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mending {
    /// A retry does not mend it.
    No,
    /// `--fix` would queue its newest change.
    Possible,
    /// Its newest change is RETRY now.
    Queued,
}

/// What a run came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Changes, objects and messages that were looked at, all passes together.
    pub seen: u64,
    /// What was found.
    pub differences: u64,
    /// Changes that were set to RETRY.
    pub queued: u64,
}

impl Difference {
    pub(super) fn of(key: &str, kind: Kind) -> Self {
        Self { key: key.to_owned(), kind, row: None, detail: None, mending: Mending::No }
    }

    pub(super) fn row(self, id: i64) -> Self {
        Self { row: Some(format!("r{id}")), ..self }
    }

    pub(super) fn told(self, detail: &str) -> Self {
        Self { detail: Some(detail.to_owned()), ..self }
    }
}
