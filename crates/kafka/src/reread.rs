//! A part of a topic, read once up to its end by a reader that is no member of its group: nobody else's reading changes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use chrono::DateTime;
use domain::delivery::Message;
use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext},
    error::{KafkaError, RDKafkaErrorCode},
    message::{BorrowedMessage, Headers as _, Message as _},
};
use tokio::time::Instant;

use crate::{
    consumer::Group,
    log,
    settings::Settings,
    source::{Position, SourceError},
};

/// Records that are given together, at most.
const BATCH: usize = 500;
/// A call to the broker, and the longest wait for the next record.
const CALL: Duration = Duration::from_secs(30);
/// One wait for a record; a batch that has begun waits no longer.
const POLL: Duration = Duration::from_millis(50);

/// Where each partition is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// Where the group goes on, else at the start.
    Committed,
    /// At the start.
    Start,
}

/// What of a partition is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The first offset.
    pub from: i64,
    /// The offset after the last: that of the topic's end where it ends before `last`.
    pub end: i64,
    /// The last offset that was asked for, inclusive.
    pub last: i64,
}

impl Span {
    /// How many offsets it has.
    #[must_use]
    pub fn records(&self) -> u64 {
        u64::try_from(self.end - self.from).unwrap_or_default()
    }
}

/// Reads its spans once.
pub struct Reread {
    consumer: Arc<BaseConsumer<Context>>,
    spans: Vec<Span>,
    /// The partitions that are not read to their end, by the end of their span.
    open: Arc<Mutex<BTreeMap<i32, i64>>>,
}

impl Reread {
    /// Looks where the one topic of `group` is begun and ends, per partition that `last` names with its last offset, inclusive.
    ///
    /// # Errors
    /// The broker does not answer, or the topic has no such partition.
    pub async fn open(
        settings: &Settings,
        group: Group,
        last: BTreeMap<i32, i64>,
        begin: Begin,
    ) -> Result<Self, SourceError> {
        let mut config = settings.client(&group.client_id);
        config
            .set("group.id", &group.id)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            // what is no longer there was deleted by the topic's own rules
            .set("auto.offset.reset", "earliest")
            .set("isolation.level", "read_committed")
            .set("queued.max.messages.kbytes", "16384")
            .set("fetch.queue.backoff.ms", "20")
            .set("allow.auto.create.topics", "false");
        let consumer: Arc<BaseConsumer<Context>> = Arc::new(config.create_with_context(Context).map_err(failed)?);
        let topic: Arc<str> = group.topics.first().map(|topic| topic.as_str().into()).unwrap_or_default();
        let reader = Arc::clone(&consumer);
        let spans = blocking(move || spans(&reader, &topic, &last, begin)).await?;
        let open = spans.iter().filter(|span| span.from < span.end).map(|span| (span.partition, span.end)).collect();
        Ok(Self { consumer, spans, open: Arc::new(Mutex::new(open)) })
    }

    /// What is read.
    #[must_use]
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The next records, in order per partition, at most 500; none when all were given.
    ///
    /// # Errors
    /// Nothing came within 30 s, or the broker refuses.
    pub async fn next(&mut self) -> Result<Vec<Message>, SourceError> {
        let (reader, open) = (Arc::clone(&self.consumer), Arc::clone(&self.open));
        blocking(move || batch(&reader, &mut open.lock().unwrap_or_else(PoisonError::into_inner))).await
    }

    /// Commits for the group. Twice is the same as once.
    ///
    /// # Errors
    /// The broker does not answer, or the group has a member.
    pub async fn commit(&mut self, positions: Vec<Position>) -> Result<(), SourceError> {
        if positions.is_empty() {
            return Ok(());
        }
        let reader = Arc::clone(&self.consumer);
        blocking(move || {
            let mut list = TopicPartitionList::with_capacity(positions.len());
            for Position { partition, next } in &positions {
                list.add_partition_offset(&partition.topic, partition.number, Offset::Offset(*next))?;
            }
            reader.commit(&list, CommitMode::Sync)
        })
        .await
    }
}

fn spans(
    reader: &BaseConsumer<Context>,
    topic: &Arc<str>,
    last: &BTreeMap<i32, i64>,
    begin: Begin,
) -> Result<Vec<Span>, KafkaError> {
    let metadata = reader.fetch_metadata(Some(topic), CALL)?;
    let known: BTreeSet<i32> =
        metadata.topics().iter().flat_map(|topic| topic.partitions()).map(|partition| partition.id()).collect();
    if last.keys().any(|partition| !known.contains(partition)) {
        return Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownPartition));
    }
    let mut asked = TopicPartitionList::with_capacity(last.len());
    for partition in last.keys() {
        asked.add_partition(topic, *partition);
    }
    let committed = reader.committed_offsets(asked, CALL)?;
    let mut spans = Vec::with_capacity(last.len());
    let mut assigned = TopicPartitionList::with_capacity(last.len());
    for (partition, last) in last {
        let (low, high) = reader.fetch_watermarks(topic, *partition, CALL)?;
        let committed = committed.find_partition(topic, *partition).map(|found| found.offset());
        let from = match (begin, committed) {
            (Begin::Committed, Some(Offset::Offset(committed))) => committed.max(low),
            (Begin::Committed | Begin::Start, _) => low,
        };
        let end = high.min(last.saturating_add(1));
        if from < end {
            assigned.add_partition_offset(topic, *partition, Offset::Offset(from))?;
        }
        spans.push(Span { topic: Arc::clone(topic), partition: *partition, from, end, last: *last });
    }
    reader.assign(&assigned)?;
    Ok(spans)
}

fn batch(reader: &BaseConsumer<Context>, open: &mut BTreeMap<i32, i64>) -> Result<Vec<Message>, KafkaError> {
    let mut messages: Vec<Message> = Vec::new();
    let until = Instant::now() + CALL;
    while !open.is_empty() && messages.len() < BATCH {
        match reader.poll(POLL) {
            Some(Ok(received)) => {
                let (partition, offset) = (received.partition(), received.offset());
                let Some(end) = open.get(&partition).copied() else { continue };
                if offset < end {
                    messages.push(message(&received));
                }
                if offset + 1 >= end {
                    close(reader, &received, open)?;
                }
            }
            Some(Err(KafkaError::PartitionEOF(ended))) => {
                open.remove(&ended);
            }
            Some(Err(error)) if !is_passing(&error) => return Err(error),
            Some(Err(_)) | None if !messages.is_empty() => break,
            Some(Err(_)) | None if Instant::now() >= until => {
                return Err(KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut));
            }
            Some(Err(_)) | None => {}
        }
    }
    Ok(messages)
}

/// Nothing more of the partition of `last` is fetched.
fn close(
    reader: &BaseConsumer<Context>,
    last: &BorrowedMessage<'_>,
    open: &mut BTreeMap<i32, i64>,
) -> Result<(), KafkaError> {
    open.remove(&last.partition());
    let mut list = TopicPartitionList::with_capacity(1);
    list.add_partition(last.topic(), last.partition());
    reader.pause(&list)
}

/// Connections come and go; librdkafka tells of it and goes on by itself.
fn is_passing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown)
    )
}

fn message(received: &BorrowedMessage<'_>) -> Message {
    let headers = received.headers().into_iter().flat_map(|headers| headers.iter());
    Message {
        source: received.topic().into(),
        partition: received.partition(),
        offset: received.offset(),
        timestamp: received.timestamp().to_millis().and_then(DateTime::from_timestamp_millis),
        key: received.key().map(Bytes::copy_from_slice),
        payload: received.payload().map(Bytes::copy_from_slice),
        headers: headers
            .map(|header| (header.key.to_owned(), header.value.map_or_else(Bytes::new, Bytes::copy_from_slice)))
            .collect(),
        attempt: 1,
    }
}

/// librdkafka's calls block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, KafkaError> + Send + 'static,
) -> Result<T, SourceError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(failed),
        Err(_) => Err(SourceError("the process is ending".to_owned())),
    }
}

/// These texts name codes and settings, never data.
fn failed(error: KafkaError) -> SourceError {
    SourceError(error.to_string())
}

struct Context;

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        log::line(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log::error(&error, reason);
    }
}

impl ConsumerContext for Context {}
