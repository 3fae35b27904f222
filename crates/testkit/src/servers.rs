//! Real servers for live tests, found by the variables that `deploy/local/server NAME environment` prints.
//!
//! A live test is `#[ignore = "needs Postgres: ./dev test"]`; run without its server it fails, and never passes.

mod admin;
mod database;
mod queues;
mod topics;

use std::error::Error;

use chassis::settings::{self, Slot, Table};
use secrecy::ExposeSecret as _;
use tokio::net::TcpStream;
use url::Url;

pub use self::{
    database::FreshDatabase,
    queues::TestQueues,
    topics::{Record, TestTopics},
};

/// What a server refused or did not do in time.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Kafka said no.
    #[error("Kafka could not {what}")]
    Kafka {
        /// What was asked of it.
        what: &'static str,
        /// What it said.
        #[source]
        source: rdkafka::error::KafkaError,
    },
    /// Postgres said no.
    #[error("Postgres could not {what}")]
    Postgres {
        /// What was asked of it.
        what: &'static str,
        /// What it said.
        #[source]
        source: sqlx::Error,
    },
    /// The SQS server said no.
    #[error("ElasticMQ could not {what}")]
    Queues {
        /// What was asked of it.
        what: &'static str,
        /// What it said.
        #[source]
        source: std::io::Error,
    },
    /// Nothing came of it in the time it had.
    #[error("{0} took too long")]
    TooLate(&'static str),
}

impl ServerError {
    fn kafka(what: &'static str) -> impl Fn(rdkafka::error::KafkaError) -> Self {
        move |source| Self::Kafka { what, source }
    }
}

/// A new, empty database on the test server.
///
/// # Panics
/// There is no test server, or it makes no database.
pub async fn postgres() -> FreshDatabase {
    let url = configured("Postgres", "TRUECOPY_TEST_DATABASE", |table| {
        let slot = table.secret("TRUECOPY_TEST_DATABASE", "URL of a Postgres that may be given databases").required();
        table.all(|ok| ok.take(slot))
    });
    postgres_at(url.expose_secret()).await
}

/// A new, empty database on a server that a test has started itself.
///
/// # Panics
/// It makes no database.
pub async fn postgres_at(url: &str) -> FreshDatabase {
    match FreshDatabase::create(url).await {
        Ok(database) => database,
        Err(error) => unusable("Postgres", &error),
    }
}

/// Topics of one's own on the test broker.
///
/// # Panics
/// There is no test broker, or it does not answer.
pub async fn kafka() -> TestTopics {
    let brokers = configured("Kafka", "KAFKA_BROKERS", |table| {
        let slot = table.value::<String>("KAFKA_BROKERS", "Kafka brokers, `host:port`, separated by commas").required();
        table.all(|ok| ok.take(slot))
    });
    kafka_at(&brokers).await
}

/// Topics of one's own on a broker that a test has started itself.
///
/// # Panics
/// It does not answer.
pub async fn kafka_at(brokers: &str) -> TestTopics {
    match TestTopics::connect(brokers).await {
        Ok(topics) => topics,
        Err(error) => unusable("Kafka", &error),
    }
}

/// Queues of one's own on the test server for SQS.
///
/// # Panics
/// There is no test server.
#[must_use]
pub fn sqs() -> TestQueues {
    TestQueues::at(address("ElasticMQ", "AWS_ENDPOINT_URL_SQS"))
}

/// The address of the test broker for AMQP, `amqp://user:password@host:port/vhost`. Names of one's own come from [`unique`].
///
/// # Panics
/// There is no test broker.
#[must_use]
pub fn rabbitmq() -> String {
    address("RabbitMQ", "TRUECOPY_TEST_RABBITMQ")
}

/// The address of the test server for MongoDB, `mongodb://host:port/?options`. A name for a database of one's own comes from [`unique`].
///
/// # Panics
/// There is no test server.
#[must_use]
pub fn mongodb() -> String {
    address("MongoDB", "TRUECOPY_TEST_MONGODB")
}

/// `name` and something random: a name that no other test uses.
#[must_use]
pub fn unique(name: &str) -> String {
    format!("{name}-{}", uuid::Uuid::new_v4().simple())
}

fn address(server: &str, name: &'static str) -> String {
    configured(server, name, |table| {
        let slot = table.value::<String>(name, "where a test server listens").required();
        table.all(|ok| ok.take(slot))
    })
}

/// The address of the test search engine. Whoever uses it has names of their own: it is one for all tests of a run.
///
/// # Panics
/// There is none.
pub async fn search() -> Url {
    let url = configured("OpenSearch", "TRUECOPY_TEST_SEARCH", |table| {
        let slot = table.value::<Url>("TRUECOPY_TEST_SEARCH", "URL of an OpenSearch for tests").required();
        table.all(|ok| ok.take(slot))
    });
    let addresses = url.socket_addrs(|| None).unwrap_or_default();
    if TcpStream::connect(addresses.as_slice()).await.is_err() {
        unusable("OpenSearch", &ServerError::TooLate("reaching it"));
    }
    url
}

#[expect(clippy::panic, reason = "a live test without its server must fail")]
fn configured<T>(server: &str, name: &str, declare: impl FnOnce(&mut Table) -> Slot<T>) -> T {
    settings::load(declare).unwrap_or_else(|_| panic!("this test needs {server}, and {name} is not set: ./dev test"))
}

#[expect(clippy::panic, reason = "a live test without its server must fail")]
fn unusable(server: &str, error: &ServerError) -> ! {
    let cause = error.source().map_or_else(String::new, |cause| format!(": {cause}"));
    panic!("this test needs {server}, and {error}{cause}: ./dev test")
}

#[cfg(test)]
mod tests;
