//! Dead letters: what can never be handled is kept in our own store (14.2 no. 9).

use std::sync::{Arc, atomic::Ordering};

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use chassis::dead_letters::{Contents, Filter, LetterId, LettersError, Note, OpenLetter, OpenLetters, Redriven, Show};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::{
    deliveries::{Queue, Settled},
    intake::Intake,
    run_store::{Letter, Letters as _},
    shared::{Ports, Shared},
    sources::{Collection, StoreError},
    wire::Unreadable,
};

/// The letter of all ids.
pub const KIND: char = 'm';

impl Letter {
    /// The letter of bytes from a source, given up at `at`.
    #[must_use]
    pub fn new(source: &str, body: Bytes, why: &Unreadable, at: DateTime<Utc>) -> Self {
        Self {
            id: id(source, &body),
            source: source.to_owned(),
            reason: why.reason.to_owned(),
            detail: why.detail.clone(),
            run: None,
            at,
            body,
        }
    }

    /// As it is shown, with its bytes where they are asked for; `attempts` and `replays` as they were counted.
    #[must_use]
    pub fn shown(&self, attempts: u32, replays: u32, last_at: DateTime<Utc>, show: Show) -> OpenLetter {
        OpenLetter {
            id: self.id,
            source: self.source.clone(),
            position: None,
            about: self.run.as_ref().map(|run| format!("run {run}")),
            reason: self.reason.clone(),
            class: "permanent".to_owned(),
            attempts,
            first_at: Some(self.at),
            last_at: Some(last_at),
            replay_count: replays,
            detail: self.detail.clone(),
            contents: (show == Show::Contents).then(|| Contents {
                key: None,
                headers: Vec::new(),
                payload: Some(self.body.clone()),
            }),
        }
    }
}

/// The same for the same bytes from the same source.
fn id(source: &str, body: &[u8]) -> LetterId {
    let hash = digest(&SHA256, &[source.as_bytes(), b"\n", body].concat());
    let number = hash.as_ref().iter().take(8).fold(0_i64, |number, byte| (number << 8) | i64::from(*byte));
    LetterId { kind: KIND, number: number & i64::MAX }
}

/// Source and bytes of the letter of a document of a store: as an item of the queue of its stage, where it has one.
#[must_use]
pub fn of_store(collection: Collection, document: &Value) -> (String, Bytes) {
    let (queue, item) = match collection {
        Collection::Doctors => (Queue::GmcData, json!({ "doctor": document })),
        Collection::ConnectionLogs => {
            let mut log = document.clone();
            if let Some(members) = log.as_object_mut() {
                let time = members.remove("requestTime").unwrap_or_default();
                members.insert("eventDateTime".to_owned(), time);
            }
            (Queue::ConnectionLogData, log)
        }
        Collection::HiddenDiscrepancies => (Queue::HiddenDiscrepancyData, document.clone()),
        Collection::Recommendations | Collection::ExceptionLogs => {
            return (format!("store.{}", collection.name()), Bytes::from(document.to_string()));
        }
    };
    (queue.name().to_owned(), Bytes::from(json!({"payload": [item], "syncEnd": false}).to_string()))
}

/// The dead letters of the service, for commands and routes.
pub struct OpenOnes<P: Ports> {
    shared: Arc<Shared<P>>,
    intake: Arc<Intake<P>>,
}

impl<P: Ports> OpenOnes<P> {
    /// The dead letters of the service, redriven through `intake`.
    pub fn new(shared: Arc<Shared<P>>, intake: Arc<Intake<P>>) -> Self {
        Self { shared, intake }
    }

    async fn redrive_one(&self, letter: &OpenLetter) -> Result<Redriven, LettersError> {
        let body = letter.contents.as_ref().and_then(|contents| contents.payload.clone()).unwrap_or_default();
        let Some(queue) = Queue::named(&letter.source) else {
            return Ok(Redriven::FailedAgain("the next run reads it from its store again".to_owned()));
        };
        let settled = self
            .intake
            .step(queue, &[body])
            .await
            .map_err(|trouble| LettersError { what: chassis::exit::causes(&trouble), outage: true })?;
        let now = self.shared.clock.now();
        match settled.first() {
            Some(Settled::Done) if self.intake.gave_up().await != Some(letter.id) => {
                self.shared.store.settled(&[letter.id], now).await.map_err(failed)?;
                Ok(Redriven::Settled("done"))
            }
            _ => {
                self.shared.store.failed_again(letter.id, &letter.reason, &letter.detail, now).await.map_err(failed)?;
                Ok(Redriven::FailedAgain(letter.reason.clone()))
            }
        }
    }
}

fn failed(error: StoreError) -> LettersError {
    LettersError { outage: matches!(error, StoreError::Unavailable(_)), what: error.to_string() }
}

impl<P: Ports> OpenLetters for OpenOnes<P> {
    async fn page(
        &self,
        filter: &Filter,
        after: Option<LetterId>,
        limit: u32,
        show: Show,
    ) -> Result<Vec<OpenLetter>, LettersError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        self.shared.store.open(filter, after, limit, show).await.map_err(failed)
    }

    async fn redrive(&self, ids: &[LetterId]) -> Result<Vec<(LetterId, Redriven)>, LettersError> {
        // only the holder of the lease applies anything (14.1 no. 1)
        if !self.shared.working.load(Ordering::SeqCst) {
            let what = "only the instance that works can do that: ask its admin listener".to_owned();
            return Err(LettersError { what, outage: false });
        }
        let mut redriven = Vec::new();
        for id in ids {
            let filter = Filter { ids: vec![*id], ..Filter::default() };
            for letter in self.page(&filter, None, 1, Show::Contents).await? {
                redriven.push((letter.id, self.redrive_one(&letter).await?));
            }
        }
        Ok(redriven)
    }

    async fn give_up(&self, ids: &[LetterId], note: &Note) -> Result<Vec<LetterId>, LettersError> {
        self.shared.store.drop_letters(ids, note, self.shared.clock.now()).await.map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_from_the_same_source_are_the_same_letter() {
        assert_eq!(id("cdc.doctor", b"{}"), id("cdc.doctor", b"{}"));
        assert_ne!(id("cdc.doctor", b"{}"), id("cdc.recommendation", b"{}"));
        assert_ne!(id("cdc.doctor", b"{}"), id("cdc.doctor", b"{ }"));
        assert!(id("cdc.doctor", b"{}").to_string().parse::<LetterId>().is_ok());
    }
}
