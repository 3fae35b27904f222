//! RabbitMQ beside the service: puts messages into its queues, and hears all that it sends.

use std::net::SocketAddr;

use bytes::Bytes;
use chassis::settings;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind,
    options::{
        BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, ExchangeDeleteOptions,
        QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
    },
    types::{AMQPValue, FieldTable, LongString},
};
use reval_sync::{deliveries::Queue, handling::Routes, rabbit, signals::Outgoing};
use testkit::{proxy::Proxy, servers, vectors::BadCase};
use url::Url;

use super::watched::MESSAGE;

/// The names of a case, which is the only one that uses them.
pub(super) struct Broker {
    address: Url,
    /// What the service finds there.
    exchange: String,
    names: [(Queue, &'static str, String); 6],
    others: [(&'static str, String); 3],
    /// Gets everything that the service sends.
    heard: String,
    channel: Channel,
    _connection: Connection,
}

impl Broker {
    /// An exchange and queues of one's own.
    pub(super) async fn fresh() -> Result<Self, BadCase> {
        let address = servers::rabbitmq();
        let connected = Connection::connect(&address, ConnectionProperties::default()).await;
        let connection = connected.map_err(|error| failed(&error))?;
        let channel = connection.create_channel().await.map_err(|error| failed(&error))?;
        let own = |queue, setting| (queue, setting, servers::unique("vector"));
        let broker = Self {
            address: address.parse().map_err(|error| BadCase::because("RabbitMQ", &error))?,
            exchange: servers::unique("reval"),
            names: [
                own(Queue::TcsData, "REVAL_RABBIT_SYNC_DATA_QUEUE"),
                own(Queue::TcsUpdated, "TCSDOCTORINFO_UPDATED_INTEGRATION_QUEUE"),
                own(Queue::GmcStart, "REVAL_RABBIT_RECOMMENDATION_SYNC_START_QUEUE"),
                own(Queue::GmcData, "ESSYNC_GMC_DATA_QUEUE"),
                own(Queue::ConnectionLogData, "CONNECTION_LOG_ESSYNCDATA_QUEUE"),
                own(Queue::HiddenDiscrepancyData, "HIDDEN_DISCREPANCY_ESSYNCDATA_QUEUE"),
            ],
            others: [
                "REVAL_RABBIT_SYNC_START_QUEUE",
                "CONNECTION_LOG_ESSYNCSTART_QUEUE",
                "HIDDEN_DISCREPANCY_ESSYNCSTART_QUEUE",
            ]
            .map(|setting| (setting, servers::unique("vector"))),
            heard: servers::unique("heard"),
            channel,
            _connection: connection,
        };
        broker.declare().await.map_err(|error| failed(&error))?;
        Ok(broker)
    }

    async fn declare(&self) -> lapin::Result<()> {
        let Self { channel, exchange, heard, .. } = self;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        channel
            .exchange_declare(exchange.as_str().into(), ExchangeKind::Direct, durable, FieldTable::default())
            .await?;
        for (_, _, name) in &self.names {
            let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
            channel.queue_declare(name.as_str().into(), durable, FieldTable::default()).await?;
        }
        let own = QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
        channel.queue_declare(heard.as_str().into(), own, FieldTable::default()).await?;
        let routes = Routes::default();
        for key in [
            &routes.tcs_start,
            &routes.gmc_start,
            &routes.connection_logs_start,
            &routes.hidden_discrepancies_start,
            &routes.gmc_data,
            &routes.trainee_update,
        ] {
            let (queue, exchange, options) = (heard.as_str(), exchange.as_str(), QueueBindOptions::default());
            channel
                .queue_bind(queue.into(), exchange.into(), key.as_str().into(), options, FieldTable::default())
                .await?;
        }
        Ok(())
    }

    /// Where the service sends.
    pub(super) fn routes(&self) -> Routes {
        Routes { exchange: self.exchange.clone(), ..Routes::default() }
    }

    /// A link to the broker that can be cut.
    pub(super) fn link(&self) -> Result<Proxy, BadCase> {
        Proxy::start(socket(&self.address)?).map_err(|error| BadCase::because("a link to RabbitMQ", &error))
    }

    /// How the service reaches it over `link`.
    pub(super) fn settings(&self, link: &Proxy) -> Result<rabbit::Settings, BadCase> {
        let port = link.port().to_string();
        let mut pairs = vec![
            ("RABBITMQ_HOST", "127.0.0.1"),
            ("RABBITMQ_PORT", &port),
            ("RABBITMQ_USERNAME", self.address.username()),
            ("RABBITMQ_PASSWORD", self.address.password().unwrap_or_default()),
            ("REVAL_SYNC_RABBIT_DECLARE", "true"),
            ("REVAL_RABBIT_EXCHANGE", &self.exchange),
        ];
        pairs.extend(self.names.iter().map(|(_, setting, name)| (*setting, name.as_str())));
        pairs.extend(self.others.iter().map(|(setting, name)| (*setting, name.as_str())));
        settings::read(pairs, rabbit::Settings::declare).map_err(|error| BadCase::because("settings", &error))
    }

    /// Puts a message straight into a queue, past the exchange; `false`: RabbitMQ does not carry it.
    pub(super) async fn put(&self, queue: Queue, body: &Bytes, message: u64) -> Result<bool, BadCase> {
        let Some((_, _, name)) = self.names.iter().find(|(known, ..)| *known == queue) else { return Ok(false) };
        let mut headers = FieldTable::default();
        headers.insert(MESSAGE.into(), AMQPValue::LongString(LongString::from(message.to_string())));
        let properties = BasicProperties::default().with_content_type("application/json".into()).with_headers(headers);
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let sent = self.channel.basic_publish("".into(), name.as_str().into(), options, body, properties).await;
        let confirmed = sent.map_err(|error| failed(&error))?.await.map_err(|error| failed(&error))?;
        match confirmed {
            lapin::Confirmation::Ack(None) => Ok(true),
            other => Err(BadCase::new(format!("RabbitMQ did not take a message: {other:?}"))),
        }
    }

    /// What the service sent since the last call, in order.
    pub(super) async fn heard(&self) -> Result<Vec<Outgoing>, BadCase> {
        let mut heard = Vec::new();
        let options = BasicGetOptions { no_ack: true };
        while let Some(message) =
            self.channel.basic_get(self.heard.as_str().into(), options).await.map_err(|error| failed(&error))?
        {
            let exchange = match message.exchange.as_str() {
                own if own == self.exchange => Routes::default().exchange,
                other => other.to_owned(),
            };
            let (routing_key, body) = (message.routing_key.as_str().to_owned(), Bytes::from(message.data.clone()));
            heard.push(Outgoing { exchange, routing_key, body, run: None });
        }
        Ok(heard)
    }

    /// How many messages wait in a queue of the service.
    pub(super) async fn waiting(&self, queue: Queue) -> Result<u64, BadCase> {
        let Some((_, _, name)) = self.names.iter().find(|(known, ..)| *known == queue) else { return Ok(0) };
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let asked = self.channel.queue_declare(name.as_str().into(), passive, FieldTable::default()).await;
        Ok(asked.map_err(|error| failed(&error))?.message_count().into())
    }

    /// Removes all of it.
    pub(super) async fn clear(&self) -> Result<(), BadCase> {
        let names = self.names.iter().map(|(_, _, name)| name).chain(self.others.iter().map(|(_, name)| name));
        for name in names {
            let deleted = self.channel.queue_delete(name.as_str().into(), QueueDeleteOptions::default()).await;
            deleted.map_err(|error| failed(&error))?;
        }
        let deleted = self.channel.exchange_delete(self.exchange.as_str().into(), ExchangeDeleteOptions::default());
        deleted.await.map_err(|error| failed(&error))
    }
}

/// Where a server listens.
pub(super) fn socket(address: &Url) -> Result<SocketAddr, BadCase> {
    let found = address.socket_addrs(|| None).map_err(|error| BadCase::because("an address", &error))?;
    found.first().copied().ok_or_else(|| BadCase::new("an address of a server names none"))
}

fn failed(error: &lapin::Error) -> BadCase {
    BadCase::because("RabbitMQ", error)
}
