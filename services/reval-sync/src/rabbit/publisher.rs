//! Sending with confirms: a message counts as sent when the broker has it and some queue got it.

use futures::future::join_all;
use lapin::{
    BasicProperties, Channel, Confirmation,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    types::{AMQPValue, FieldTable, LongString},
};
use tokio::time::timeout;

use super::{
    CALL,
    connection::Link,
    errors::{late, problem},
};
use crate::{deliveries::QueueError, signals::Outgoing};

/// Messages on their way at once.
const WINDOW: usize = 500;
/// `delivery_mode`: it outlives a restart of the broker.
const PERSISTENT: u8 = 2;

pub(super) async fn open(link: &Link) -> Result<Channel, QueueError> {
    let channel = link.channel().await?;
    let confirmed = channel.confirm_select(ConfirmSelectOptions::default());
    timeout(CALL, confirmed).await.map_err(late)?.map_err(|error| problem(&error))?;
    Ok(channel)
}

pub(super) async fn send(channel: &Channel, messages: &[Outgoing]) -> Result<(), QueueError> {
    for window in messages.chunks(WINDOW) {
        timeout(CALL, send_window(channel, window)).await.map_err(late)??;
    }
    Ok(())
}

async fn send_window(channel: &Channel, messages: &[Outgoing]) -> Result<(), QueueError> {
    let mut confirms = Vec::with_capacity(messages.len());
    for message in messages {
        let mandatory = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let (exchange, key) = (message.exchange.as_str().into(), message.routing_key.as_str().into());
        let sent = channel.basic_publish(exchange, key, mandatory, &message.body, properties(message)).await;
        confirms.push(sent.map_err(|error| problem(&error))?);
    }
    for (confirm, message) in join_all(confirms).await.into_iter().zip(messages) {
        match confirm.map_err(|error| problem(&error))? {
            // what no queue takes is acknowledged all the same, with the message itself
            Confirmation::Ack(None) => {}
            Confirmation::Ack(Some(_)) => {
                return Err(QueueError::Refused(format!("no queue is bound to {}", message.routing_key)));
            }
            Confirmation::Nack(_) | Confirmation::NotRequested => {
                return Err(QueueError::Unavailable("not confirmed".to_owned()));
            }
        }
    }
    Ok(())
}

fn properties(message: &Outgoing) -> BasicProperties {
    let properties =
        BasicProperties::default().with_content_type("application/json".into()).with_delivery_mode(PERSISTENT);
    match &message.run {
        Some(run) => {
            let mut headers = FieldTable::default();
            headers.insert("x-sync-run-id".into(), AMQPValue::LongString(LongString::from(run.as_str())));
            properties.with_headers(headers)
        }
        None => properties,
    }
}
