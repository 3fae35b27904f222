//! What an answer that is no success means.

use chassis::{
    exit::causes,
    http::{CallError, Problem, transport::Response},
};
use serde::{Deserialize, de::DeserializeOwned};

use crate::engine::Error;

/// What a request is about, which decides how its answer is understood.
#[derive(Debug, Clone, Copy)]
pub(super) enum About<'a> {
    /// The documents of an index or alias. The engine's own words may quote them and are left out.
    Documents(&'a str),
    /// An index or alias as a whole; its words are kept.
    Structure(&'a str),
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    error: Cause,
}

/// What the engine says of an error.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Cause {
    #[serde(rename = "type")]
    pub(super) kind: String,
    reason: String,
    index: Option<String>,
    caused_by: Option<Box<Cause>>,
}

impl About<'_> {
    /// The answer of a success.
    pub(super) fn read<T: DeserializeOwned>(self, answer: &Response) -> Result<T, Error> {
        if !answer.status().is_success() {
            return Err(self.problem(answer));
        }
        read(answer)
    }

    fn problem(self, answer: &Response) -> Error {
        let status = answer.status().as_u16();
        // an answer without JSON comes from something in between
        let cause = serde_json::from_slice(answer.body()).map_or_else(|_| Cause::default(), |Answer { error }| error);
        match (self, cause.kind.as_str()) {
            (Self::Documents(name) | Self::Structure(name), "index_not_found_exception") => {
                Error::NoIndex(cause.index.unwrap_or_else(|| name.to_owned()))
            }
            (Self::Structure(name), "resource_already_exists_exception") => Error::Exists(name.to_owned()),
            (Self::Structure(name), "invalid_index_name_exception") if cause.reason.contains("already exists") => {
                Error::Exists(name.to_owned())
            }
            (Self::Structure(_), "illegal_state_exception") if status == 500 => {
                Error::Refused { status, reason: cause.text() }
            }
            _ if matches!(status, 408 | 429 | 500..) => {
                Error::Unavailable(format!("answered {status} {}", cause.kinds()))
            }
            (Self::Documents(_), _) => Error::Refused { status, reason: cause.kinds() },
            (Self::Structure(_), _) => Error::Refused { status, reason: cause.text() },
        }
    }
}

impl Cause {
    /// The kinds of error, outermost first.
    pub(super) fn kinds(&self) -> String {
        match &self.caused_by {
            Some(inner) if inner.kind != self.kind => format!("{}: {}", self.kind, inner.kinds()),
            _ => self.kind.clone(),
        }
    }

    fn text(&self) -> String {
        format!("{}: {}", self.kinds(), self.reason)
    }
}

/// What is not the JSON that was expected comes from something in between.
pub(super) fn read<T: DeserializeOwned>(answer: &Response) -> Result<T, Error> {
    serde_json::from_slice(answer.body()).map_err(|error| {
        // serde's text may quote the value
        Error::Unavailable(format!("answer cannot be read, line {}, column {}", error.line(), error.column()))
    })
}

pub(super) fn of_call(error: &CallError) -> Error {
    let refused = |status| Error::Refused { status, reason: causes(error) };
    match error.problem {
        Problem::Timeout
        | Problem::Connection(_)
        | Problem::Unreadable { .. }
        | Problem::Status(_)
        | Problem::Token(_) => Error::Unavailable(causes(error)),
        // the same request would have the same answer
        Problem::TooLarge(_) => refused(200),
        Problem::Unsendable => refused(400),
    }
}
