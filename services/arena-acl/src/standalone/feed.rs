//! The sample feed: records as Arena sends them, each for one thing that can happen.

use bytes::Bytes;
use kafka::Outgoing;
use serde::Deserialize;
use serde_json::Value;

use crate::settings::Topics;

/// The sample feed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feed {
    /// In order.
    pub steps: Vec<Step>,
}

/// A record, or a run of the retry job.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What it shows, for the reader of the terminal.
    pub say: String,
    topic: Option<String>,
    value: Option<Value>,
    raw: Option<String>,
    #[serde(default)]
    tombstone: bool,
    #[expect(dead_code, reason = "a step without a record is a job, and there is one job")]
    job: Option<String>,
}

impl Feed {
    /// The feed inside the program.
    ///
    /// # Errors
    /// The file of the sample is not as it should be.
    pub fn sample() -> Result<Self, serde_json::Error> {
        serde_json::from_str(include_str!("../../sample/feed.json"))
    }
}

impl Step {
    /// The record to produce; `None` for a job.
    #[must_use]
    pub fn record(&self, topics: &Topics) -> Option<Outgoing> {
        let topic = match self.topic.as_deref()? {
            "gjennomforing" => &topics.courses,
            "histdeltaker" => &topics.history,
            _ => &topics.participants,
        };
        let payload = match (&self.value, &self.raw) {
            _ if self.tombstone => None,
            (Some(value), _) => Some(Bytes::from(value.to_string())),
            (None, Some(raw)) => Some(Bytes::from(raw.clone())),
            (None, None) => None,
        };
        Some(Outgoing {
            topic: topic.as_str().into(),
            key: Some(Bytes::from_static(b"sample")),
            payload,
            headers: Vec::new(),
        })
    }
}
