//! Reading with librdkafka's blocking calls.

use bytes::Bytes;
use chrono::DateTime;
use domain::delivery::Message;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
    message::{BorrowedMessage, Headers as _, Message as _},
};
use tokio::time::Instant;

use super::{CALL, POLL};

pub(super) fn partitions(consumer: &BaseConsumer, topic: &str) -> Result<i32, KafkaError> {
    let metadata = consumer.fetch_metadata(Some(topic), CALL)?;
    let count = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
    if count == 0 {
        return Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition));
    }
    Ok(i32::try_from(count).unwrap_or(i32::MAX))
}

pub(super) fn ends(consumer: &BaseConsumer, topic: &str) -> Result<Vec<i64>, KafkaError> {
    (0..partitions(consumer, topic)?)
        .map(|partition| consumer.fetch_watermarks(topic, partition, CALL).map(|(_, end)| end))
        .collect()
}

pub(super) fn offset(offset: Offset) -> Option<i64> {
    match offset {
        Offset::Offset(offset) => Some(offset),
        _ => None,
    }
}

pub(super) fn read(reader: &BaseConsumer, topic: &str, from: &[i64]) -> Result<Vec<Message>, KafkaError> {
    let mut list = TopicPartitionList::new();
    let mut open = Vec::new();
    for (partition, end) in (0..).zip(ends(reader, topic)?) {
        let begin = usize::try_from(partition).ok().and_then(|at| from.get(at)).map_or(0, |begin| *begin);
        if begin < end {
            let begin = if begin == 0 { Offset::Beginning } else { Offset::Offset(begin) };
            list.add_partition_offset(topic, partition, begin)?;
            open.push(partition);
        }
    }
    reader.assign(&list)?;
    let result = read_assigned(reader, open);
    reader.unassign()?;
    result
}

fn read_assigned(reader: &BaseConsumer, mut open: Vec<i32>) -> Result<Vec<Message>, KafkaError> {
    let mut messages = Vec::new();
    let until = Instant::now() + CALL;
    while !open.is_empty() {
        match reader.poll(POLL) {
            Some(Ok(message)) => messages.push(owned(&message)),
            Some(Err(KafkaError::PartitionEOF(ended))) => open.retain(|partition| *partition != ended),
            Some(Err(error)) if !is_passing(&error) => return Err(error),
            _ if Instant::now() >= until => {
                return Err(KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut));
            }
            _ => {}
        }
    }
    messages.sort_by_key(|message: &Message| (message.partition, message.offset));
    Ok(messages)
}

/// Connections come and go; librdkafka tells of it and goes on by itself.
fn is_passing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown)
    )
}

fn owned(message: &BorrowedMessage<'_>) -> Message {
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    Message {
        source: message.topic().into(),
        partition: message.partition(),
        offset: message.offset(),
        timestamp: message.timestamp().to_millis().and_then(DateTime::from_timestamp_millis),
        key: message.key().map(Bytes::copy_from_slice),
        payload: message.payload().map(Bytes::copy_from_slice),
        headers: headers
            .map(|header| (header.key.to_owned(), Bytes::copy_from_slice(header.value.unwrap_or_default())))
            .collect(),
        attempt: 1,
    }
}
