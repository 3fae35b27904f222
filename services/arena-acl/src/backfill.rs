//! The use case of the import (docs/spec/arena-acl.md 4.15): the participant topic is read once more, up to a given record per
//! partition. Its offsets are committed after the effect, so a repeat goes on where this one stopped.

use std::{collections::BTreeMap, future::Future, pin::pin};

use domain::{arena_acl::Table, delivery::Message};
use kafka::{
    reread::Span,
    source::{Partition, Position, SourceError},
};
use serde::Serialize;

use crate::{
    inbox::{Inbox, Item, StoreError},
    records::{Backfilled, Records},
    waves::waves,
    wire,
};

/// A part of a topic that is read once.
pub trait Reread: Send {
    /// What is to be read, per partition.
    fn spans(&self) -> &[Span];

    /// The next records, in order per partition; none when all were given.
    ///
    /// # Errors
    /// The broker does not answer.
    fn next(&mut self) -> impl Future<Output = Result<Vec<Message>, SourceError>> + Send;

    /// Notes where a repeat goes on.
    ///
    /// # Errors
    /// The broker does not answer; a repeat then reads some records again.
    fn commit(&mut self, positions: Vec<Position>) -> impl Future<Output = Result<(), SourceError>> + Send;
}

impl Reread for kafka::reread::Reread {
    fn spans(&self) -> &[Span] {
        self.spans()
    }

    async fn next(&mut self) -> Result<Vec<Message>, SourceError> {
        self.next().await
    }

    async fn commit(&mut self, positions: Vec<Position>) -> Result<(), SourceError> {
        self.commit(positions).await
    }
}

/// What an import did, in records.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// Read and done with.
    pub read: u64,
    /// Now NEW.
    pub stored: u64,
    /// Now INVALID or FAILED.
    pub failed: u64,
    /// Not of the kind that was left out, or there already.
    pub skipped: u64,
    /// Among the skipped: not readable; the consumer of this topic has quarantined them.
    pub unreadable: u64,
    /// Where it cannot go on.
    pub blocked: Option<Blocked>,
    /// Whether it was told to stop before its end.
    pub interrupted: bool,
    /// How far each partition was read.
    pub partitions: Vec<Reached>,
}

/// A record that blocks the import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Blocked {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// What has to change first.
    pub reason: String,
}

/// How far a partition was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Reached {
    /// The partition.
    pub partition: i32,
    /// The offset with which a repeat goes on.
    pub next: i64,
    /// The last record that was asked for, inclusive.
    pub until: i64,
    /// Whether the topic ends before that record.
    pub ends_before: bool,
}

/// Why an import failed. What was done stays, and a repeat goes on there.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The store.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// The broker.
    #[error("the topic cannot be read")]
    Source(#[from] SourceError),
}

impl Imported {
    /// Whether every record that was asked for was there and is done with.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.blocked.is_none() && !self.interrupted && self.partitions.iter().all(|reached| !reached.ends_before)
    }
}

/// Imports what `source` gives, until its end, until a record that blocks, or until `stop`; `progress` hears of each batch.
///
/// Changes of different participants are stored together, those of one participant in order. After a record that blocks, records of
/// other participants in its batch may be stored: the repeat finds them there.
///
/// # Errors
/// As [`ImportError`] says.
pub async fn import<I: Inbox>(
    records: &Records<I>,
    mut source: impl Reread,
    stop: impl Future<Output = ()> + Send,
    mut progress: impl FnMut(u64) + Send,
) -> Result<Imported, ImportError> {
    let mut imported = Imported::default();
    let mut next: BTreeMap<i32, i64> = source.spans().iter().map(|span| (span.partition, span.from)).collect();
    let mut stop = pin!(stop);
    loop {
        let batch = tokio::select! {
            biased;
            () = &mut stop => {
                imported.interrupted = true;
                break;
            }
            batch = source.next() => batch?,
        };
        if batch.is_empty() {
            // what is left of a span holds no records, only marks of transactions
            for span in source.spans() {
                next.insert(span.partition, span.end.max(span.from));
            }
            commit(&mut source, &next).await?;
            break;
        }
        let reached = one_batch(records, &batch, &mut imported).await?;
        progress(reached.read);
        next.extend(reached.next);
        commit(&mut source, &next).await?;
        if imported.blocked.is_some() {
            break;
        }
    }
    imported.partitions = source
        .spans()
        .iter()
        .map(|span| Reached {
            partition: span.partition,
            next: next.get(&span.partition).copied().unwrap_or(span.from),
            until: span.last,
            ends_before: span.end <= span.last && span.from <= span.last,
        })
        .collect();
    Ok(imported)
}

async fn commit(source: &mut impl Reread, next: &BTreeMap<i32, i64>) -> Result<(), SourceError> {
    let positions = source.spans().iter().filter_map(|span| {
        let next = *next.get(&span.partition)?;
        // nothing new is nothing to say
        (next > span.from).then(|| Position { partition: Partition::new(span.topic.clone(), span.partition), next })
    });
    let positions: Vec<Position> = positions.collect();
    source.commit(positions).await
}

/// How far one batch came.
struct BatchReached {
    read: u64,
    /// Per partition of the batch, the first offset that is not done with.
    next: BTreeMap<i32, i64>,
}

async fn one_batch<I: Inbox>(
    records: &Records<I>,
    batch: &[Message],
    imported: &mut Imported,
) -> Result<BatchReached, StoreError> {
    let mut counts = Imported::default();
    let mut wanted: Vec<(&Message, Item)> = Vec::new();
    for message in batch {
        match message.payload.as_deref().map(wire::read) {
            Some(Ok(item)) if item.change.table == Table::Participants => wanted.push((message, item)),
            None | Some(Ok(_)) => counts.skipped += 1,
            Some(Err(_)) => {
                counts.skipped += 1;
                counts.unreadable += 1;
            }
        }
    }
    let mut open: Vec<&Message> = wanted.iter().map(|(message, _)| *message).collect();
    for wave in waves(wanted, |(_, item)| item) {
        let (messages, items): (Vec<&Message>, Vec<Item>) = wave.into_iter().unzip();
        for (message, became) in messages.into_iter().zip(records.backfill(&items).await?) {
            match became {
                Backfilled::Stored => counts.stored += 1,
                Backfilled::Failed => counts.failed += 1,
                Backfilled::Skipped => counts.skipped += 1,
                Backfilled::Blocked(reason) => {
                    let place = (message.partition, message.offset);
                    if imported.blocked.as_ref().is_none_or(|first| place < (first.partition, first.offset)) {
                        let (partition, offset) = place;
                        imported.blocked = Some(Blocked { partition, offset, reason });
                    }
                    continue;
                }
            }
            open.retain(|open| !std::ptr::eq(*open, message));
        }
        if imported.blocked.is_some() {
            break; // what comes next may be of the participant that is blocked
        }
    }
    let mut next: BTreeMap<i32, i64> = BTreeMap::new();
    for message in batch {
        next.insert(message.partition, message.offset + 1);
    }
    for message in open {
        let first = next.entry(message.partition).or_insert(message.offset);
        *first = message.offset.min(*first);
    }
    let read = counts.stored + counts.failed + counts.skipped;
    imported.read += read;
    imported.stored += counts.stored;
    imported.failed += counts.failed;
    imported.skipped += counts.skipped;
    imported.unreadable += counts.unreadable;
    Ok(BatchReached { read, next })
}
