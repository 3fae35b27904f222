//! The connection, made when it is needed.

use std::{sync::Arc, time::Duration};

use lapin::{
    Channel, Connection, ConnectionProperties,
    tcp::OwnedTLSConfig,
    uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo},
};
use secrecy::ExposeSecret as _;
use tokio::{sync::Mutex, time::timeout};
use tracing::info;

use super::{
    CALL, Settings,
    errors::{late, problem},
    topology,
};
use crate::deliveries::QueueError;

/// A silent broker is noticed after twice this time.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// The way to the broker.
pub(super) struct Link {
    settings: Arc<Settings>,
    connection: Mutex<Option<Connection>>,
}

impl Link {
    pub(super) fn new(settings: &Arc<Settings>) -> Self {
        Self { settings: Arc::clone(settings), connection: Mutex::default() }
    }

    /// A new channel, over a new connection if there is none that works.
    pub(super) async fn channel(&self) -> Result<Channel, QueueError> {
        let mut kept = self.connection.lock().await;
        let connection = match kept.take().filter(|connection| connection.status().connected()) {
            Some(connection) => connection,
            None => timeout(CALL, self.connect()).await.map_err(late)??,
        };
        let channel =
            timeout(CALL, connection.create_channel()).await.map_err(late)?.map_err(|error| problem(&error))?;
        *kept = Some(connection);
        Ok(channel)
    }

    async fn connect(&self) -> Result<Connection, QueueError> {
        let Settings { host, port, username, password, vhost, tls, declare, .. } = &*self.settings;
        let uri = AMQPUri {
            scheme: if *tls { AMQPScheme::AMQPS } else { AMQPScheme::AMQP },
            authority: AMQPAuthority {
                userinfo: AMQPUserInfo { username: username.clone(), password: password.expose_secret().to_owned() },
                host: host.clone(),
                port: *port,
            },
            vhost: vhost.clone(),
            query: AMQPQueryString { heartbeat: u16::try_from(HEARTBEAT.as_secs()).ok(), ..AMQPQueryString::default() },
        };
        let certificates = self.settings.certificates();
        let cert_chain = certificates.map_err(|error| QueueError::Refused(format!("CA file: {}", error.kind())))?;
        let tls = OwnedTLSConfig { identity: None, cert_chain };
        // without its recovery: that would hand out deliveries which the broker no longer knows as ours
        let properties = ConnectionProperties::default().with_connection_name("reval-sync".into());
        let runtime = lapin::runtime::default_runtime().map_err(|error| problem(&error))?;
        let connected = Connection::connect_uri_with_config(uri, properties, tls, runtime).await;
        let connection = connected.map_err(|error| problem(&error))?;
        info!("RabbitMQ is reached");
        if *declare {
            let channel = connection.create_channel().await.map_err(|error| problem(&error))?;
            topology::declare(&channel, &self.settings).await.map_err(|error| problem(&error))?;
        }
        Ok(connection)
    }
}
