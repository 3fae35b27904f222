//! Messages as the SDK has them.

use std::sync::Arc;

use aws_sdk_sqs::types::{Message, MessageAttributeValue, MessageSystemAttributeName as Name};
use bytes::Bytes;
use chrono::DateTime;

use crate::message::{Receipt, Received};

/// `None` when the answer lacks what every message has.
pub(super) fn received(queue: &str, message: Message) -> Option<Received> {
    let system = message.attributes.unwrap_or_default();
    let number = |name| system.get(&name).and_then(|text| text.parse::<i64>().ok());
    let attributes = message.message_attributes.unwrap_or_default();
    let mut attributes: Vec<_> = attributes.into_iter().map(|(name, value)| (name, bytes(value))).collect();
    attributes.sort_unstable();
    Some(Received {
        queue: Arc::from(queue),
        id: message.message_id?,
        receipt: Receipt::new(message.receipt_handle?),
        body: Bytes::from(message.body.unwrap_or_default()),
        attributes,
        deliveries: number(Name::ApproximateReceiveCount).and_then(|count| u32::try_from(count).ok()).unwrap_or(1),
        group: system.get(&Name::MessageGroupId).cloned(),
        sent_at: number(Name::SentTimestamp).and_then(DateTime::from_timestamp_millis),
    })
}

fn bytes(value: MessageAttributeValue) -> Bytes {
    match value.binary_value {
        Some(binary) => Bytes::from(binary.into_inner()),
        None => Bytes::from(value.string_value.unwrap_or_default()),
    }
}
