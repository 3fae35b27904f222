//! Batches of messages to send.

use aws_sdk_sqs::types::{MessageAttributeValue, SendMessageBatchRequestEntry};

use super::{
    Sqs,
    errors::{failure, item, malformed},
};
use crate::{
    message::Outgoing,
    queue::{BATCH, Error},
};

/// The most bytes of a batch. SQS takes more since 2025; servers that stand in for it, and older limits of a queue, do not.
const BATCH_BYTES: usize = 256 * 1024;

impl Sqs {
    pub(super) async fn send_all(&self, messages: &[Outgoing]) -> Vec<Result<String, Error>> {
        let mut results = Vec::with_capacity(messages.len());
        for batch in batches(messages) {
            match self.send_batch(batch).await {
                Ok(sent) => results.extend(sent),
                Err(error) => results.extend(vec![Err(error); batch.len()]),
            }
        }
        results
    }

    async fn send_batch(&self, messages: &[Outgoing]) -> Result<Vec<Result<String, Error>>, Error> {
        let entries: Result<Vec<_>, _> = messages.iter().enumerate().map(entry).collect();
        let request = self.client.send_message_batch().queue_url(self.url().await?).set_entries(Some(entries?));
        let answer = request.send().await.map_err(|error| failure(&error))?;
        // who is in neither list may have been sent or not
        let mut results = vec![Err(malformed()); messages.len()];
        for sent in answer.successful {
            if let Some(result) = sent.id().parse::<usize>().ok().and_then(|index| results.get_mut(index)) {
                *result = Ok(sent.message_id);
            }
        }
        for failed in &answer.failed {
            if let Some(result) = failed.id().parse::<usize>().ok().and_then(|index| results.get_mut(index)) {
                *result = Err(item::error(failed, &[]));
            }
        }
        Ok(results)
    }
}

fn entry((index, message): (usize, &Outgoing)) -> Result<SendMessageBatchRequestEntry, Error> {
    let mut entry = SendMessageBatchRequestEntry::builder()
        .id(index.to_string())
        .message_body(&message.body)
        .set_message_group_id(message.group.clone())
        .set_message_deduplication_id(message.deduplication.clone());
    for (name, value) in &message.attributes {
        let value = MessageAttributeValue::builder().data_type("String").string_value(value).build();
        entry = entry.message_attributes(name, value.map_err(|_incomplete| malformed())?);
    }
    entry.build().map_err(|_incomplete| malformed())
}

/// Cuts `messages` so that no batch has too many messages or bytes; one that is larger than a batch goes alone.
fn batches(messages: &[Outgoing]) -> Vec<&[Outgoing]> {
    let mut batches = Vec::new();
    let (mut rest, mut taken, mut bytes) = (messages, 0, 0);
    while let Some(message) = rest.get(taken) {
        bytes += message.size();
        if taken > 0 && (taken == BATCH || bytes > BATCH_BYTES) {
            let (batch, behind) = rest.split_at(taken);
            batches.push(batch);
            (rest, taken, bytes) = (behind, 0, 0);
        } else {
            taken += 1;
        }
    }
    if taken > 0 {
        batches.push(rest);
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(sizes: &[usize]) -> Vec<usize> {
        let messages: Vec<_> = sizes.iter().map(|size| Outgoing::new("x".repeat(*size))).collect();
        batches(&messages).into_iter().map(<[_]>::len).collect()
    }

    #[test]
    fn a_batch_has_at_most_ten_messages_and_a_quarter_of_a_megabyte() {
        assert_eq!(cut(&[]), [0; 0]);
        assert_eq!(cut(&[1; 10]), [10]);
        assert_eq!(cut(&[1; 21]), [10, 10, 1]);
        assert_eq!(cut(&[BATCH_BYTES, 1, BATCH_BYTES - 1, 1]), [1, 2, 1]);
        assert_eq!(cut(&[1, BATCH_BYTES + 1, 1]), [1, 1, 1], "too large goes alone, and is refused alone");
    }
}
