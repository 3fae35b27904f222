//! Exchange, queues and bindings, for tests and local runs: elsewhere they are the infrastructure's (2.1).

use lapin::{
    Channel, ExchangeKind, Result,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::FieldTable,
};

use super::Settings;

pub(super) async fn declare(channel: &Channel, settings: &Settings) -> Result<()> {
    let exchange = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let name = settings.exchange.as_str();
    channel.exchange_declare(name.into(), ExchangeKind::Direct, exchange, FieldTable::default()).await?;
    for (queue, key) in settings.bindings() {
        let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        channel.queue_declare(queue.into(), durable, FieldTable::default()).await?;
        let bind = QueueBindOptions::default();
        channel.queue_bind(queue.into(), name.into(), key.into(), bind, FieldTable::default()).await?;
    }
    Ok(())
}
