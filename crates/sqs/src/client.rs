//! The real SQS, over the AWS SDK.

mod convert;
mod errors;
mod sending;

use std::time::Duration;

use aws_config::{BehaviorVersion, Region};
use aws_sdk_sqs::{
    config::{Builder, retry::RetryConfig, timeout::TimeoutConfig},
    types::{
        ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, MessageSystemAttributeName,
        QueueAttributeName,
    },
};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use futures::{StreamExt as _, stream};
use tokio::sync::OnceCell;

use self::{
    convert::received,
    errors::{failure, item, malformed},
};
use crate::{
    message::{Outgoing, Receipt, Received},
    queue::{BATCH, Depth, Error, Queue},
    settings::Settings,
};

const CONNECT: Duration = Duration::from_secs(2);
/// Bound of a call that does not wait for messages.
const CALL: Duration = Duration::from_secs(10);
/// The longest that SQS waits for messages.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// Calls of one batch that run at once.
const CALLS: usize = 4;

/// A client of SQS. A clone shares its connections.
#[derive(Debug, Clone)]
pub struct Client(aws_sdk_sqs::Client);

impl Client {
    /// A client; connects, and looks for credentials, when it is used.
    pub async fn new(settings: &Settings) -> Self {
        let tls = Provider::Rustls(CryptoMode::AwsLc);
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).operation_timeout(CALL).build();
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .region(Region::new(settings.region.clone()))
            .http_client(aws_smithy_http_client::Builder::new().tls_provider(tls).build_https())
            // who calls knows whether and when the same shall be tried again
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts);
        if let Some(endpoint) = &settings.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        Self(aws_sdk_sqs::Client::new(&loader.load().await))
    }

    /// A queue by its name or URL. Whether it is there shows with the first call.
    #[must_use]
    pub fn queue(&self, name_or_url: &str) -> Sqs {
        let name = name_or_url.rsplit('/').next().unwrap_or(name_or_url).to_owned();
        let is_url = name_or_url.contains("://");
        Sqs { client: self.0.clone(), name, url: OnceCell::new_with(is_url.then(|| name_or_url.to_owned())) }
    }
}

/// A queue of the real SQS.
#[derive(Debug, Clone)]
pub struct Sqs {
    client: aws_sdk_sqs::Client,
    name: String,
    url: OnceCell<String>,
}

impl Sqs {
    async fn url(&self) -> Result<&str, Error> {
        let ask = || async {
            let answer = self.client.get_queue_url().queue_name(&self.name).send().await;
            answer.map_err(|error| failure(&error))?.queue_url.ok_or_else(malformed)
        };
        self.url.get_or_try_init(ask).await.map(String::as_str)
    }

    async fn delete_batch(&self, receipts: &[Receipt]) -> Vec<Result<(), Error>> {
        let call = async {
            let entries = receipts.iter().enumerate().map(|(index, receipt)| {
                let entry = DeleteMessageBatchRequestEntry::builder().id(index.to_string());
                entry.receipt_handle(receipt.as_str()).build().map_err(|_incomplete| malformed())
            });
            let request = self.client.delete_message_batch().queue_url(self.url().await?);
            let answer = request.set_entries(Some(entries.collect::<Result<_, _>>()?)).send().await;
            Ok(answer.map_err(|error| failure(&error))?.failed)
        };
        item::results(receipts.len(), call.await)
    }

    async fn hide_batch(&self, receipts: &[Receipt], hidden: Duration) -> Vec<Result<(), Error>> {
        let call = async {
            let entries = receipts.iter().enumerate().map(|(index, receipt)| {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(index.to_string());
                let entry = entry.receipt_handle(receipt.as_str()).visibility_timeout(seconds(hidden));
                entry.build().map_err(|_incomplete| malformed())
            });
            let request = self.client.change_message_visibility_batch().queue_url(self.url().await?);
            let answer = request.set_entries(Some(entries.collect::<Result<_, _>>()?)).send().await;
            Ok(answer.map_err(|error| failure(&error))?.failed)
        };
        item::results(receipts.len(), call.await)
    }
}

impl Queue for Sqs {
    fn name(&self) -> &str {
        &self.name
    }

    async fn receive(&self, limit: usize, wait: Duration, hidden: Duration) -> Result<Vec<Received>, Error> {
        let wait = wait.min(LONGEST_WAIT);
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).operation_timeout(wait + CALL).build();
        let request = self
            .client
            .receive_message()
            .queue_url(self.url().await?)
            .max_number_of_messages(i32::try_from(limit.clamp(1, BATCH)).unwrap_or(1))
            .wait_time_seconds(seconds(wait))
            .visibility_timeout(seconds(hidden))
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All");
        let answer = request.customize().config_override(Builder::new().timeout_config(timeouts)).send().await;
        let messages = answer.map_err(|error| failure(&error))?.messages.unwrap_or_default();
        messages.into_iter().map(|message| received(&self.name, message).ok_or_else(malformed)).collect()
    }

    async fn delete(&self, receipts: &[Receipt]) -> Vec<Result<(), Error>> {
        let calls: Vec<_> = receipts.chunks(BATCH).map(|batch| self.delete_batch(batch)).collect();
        stream::iter(calls).buffered(CALLS).collect::<Vec<_>>().await.concat()
    }

    async fn hide(&self, receipts: &[Receipt], hidden: Duration) -> Vec<Result<(), Error>> {
        let calls: Vec<_> = receipts.chunks(BATCH).map(|batch| self.hide_batch(batch, hidden)).collect();
        stream::iter(calls).buffered(CALLS).collect::<Vec<_>>().await.concat()
    }

    async fn send(&self, messages: &[Outgoing]) -> Vec<Result<String, Error>> {
        self.send_all(messages).await
    }

    async fn depth(&self) -> Result<Depth, Error> {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let request = self.client.get_queue_attributes().queue_url(self.url().await?);
        let answer = request.set_attribute_names(Some(names.to_vec())).send().await.map_err(|error| failure(&error))?;
        let attributes = answer.attributes.unwrap_or_default();
        let count = |name| attributes.get(&name).and_then(|count: &String| count.parse().ok()).ok_or_else(malformed);
        let [visible, in_flight, delayed] = names;
        Ok(Depth { visible: count(visible)?, in_flight: count(in_flight)?, delayed: count(delayed)? })
    }
}

/// Whole seconds, upwards: nothing is hidden for less than it was asked to be.
fn seconds(time: Duration) -> i32 {
    i32::try_from(time.as_millis().div_ceil(1_000)).unwrap_or(i32::MAX)
}
