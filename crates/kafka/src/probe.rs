//! Whether the brokers are there and let us in, asked without consuming, joining or producing anything.

use std::time::Duration;

use rdkafka::{
    TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
};

use crate::{consumer::Group, settings::Settings};

/// What the brokers say.
#[derive(Debug)]
pub struct Seen {
    /// How many brokers there are.
    pub brokers: Result<usize, ProbeError>,
    /// Of each topic that was asked about, in order, its partitions.
    pub topics: Vec<(String, Result<usize, ProbeError>)>,
    /// Whether the group's offsets may be read.
    pub group: Result<(), ProbeError>,
}

/// Why something cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// No client could be made of the settings, for instance because a certificate cannot be read.
    #[error("no client can be made: {0}")]
    Client(String),
    /// No broker answered in time.
    #[error("no broker answers")]
    Unreachable,
    /// The topic does not exist, or not for us.
    #[error("does not exist")]
    NoTopic,
    /// The brokers do not let us.
    #[error("not allowed")]
    NotAllowed,
    /// Anything else, in librdkafka's words.
    #[error("{0}")]
    Other(String),
}

/// Asks for the brokers, the `topics`, and the offsets of the group on the topics that it reads; each question waits for at most `limit`.
///
/// Whether we may write to a topic is not asked: only a message would tell.
pub async fn look(settings: Settings, group: Group, topics: Vec<String>, limit: Duration) -> Seen {
    // librdkafka's questions block, for the time that they are given
    let asked = tokio::task::spawn_blocking({
        let topics = topics.clone();
        move || ask(&settings, &group, &topics, limit)
    });
    asked.await.unwrap_or_else(|_panicked| nothing(&topics, &ProbeError::Other("asking the brokers failed".to_owned())))
}

fn ask(settings: &Settings, group: &Group, topics: &[String], limit: Duration) -> Seen {
    let mut config = settings.client(&group.client_id);
    config.set("group.id", &group.id).set("enable.auto.commit", "false").set("allow.auto.create.topics", "false");
    let consumer: BaseConsumer = match config.create() {
        Ok(consumer) => consumer,
        Err(error) => return nothing(topics, &ProbeError::Client(error.to_string())),
    };
    let mut brokers = Err(ProbeError::Unreachable);
    let mut seen = Vec::with_capacity(topics.len());
    for topic in topics {
        let partitions = match consumer.fetch_metadata(Some(topic), limit) {
            Ok(metadata) => {
                brokers = Ok(metadata.brokers().len());
                metadata.topics().first().map_or(Err(ProbeError::NoTopic), |topic| match topic.error() {
                    Some(error) => Err(code(RDKafkaErrorCode::from(error))),
                    None => Ok(topic.partitions().len()),
                })
            }
            Err(error) => {
                let error = problem(&error);
                // who does not answer once is not asked five times
                if error == ProbeError::Unreachable {
                    return nothing(topics, &error);
                }
                Err(error)
            }
        };
        seen.push((topic.clone(), partitions));
    }
    let mut places = TopicPartitionList::new();
    for topic in &group.topics {
        places.add_partition(topic, 0);
    }
    let offsets = consumer.committed_offsets(places, limit).map(drop).map_err(|error| problem(&error));
    Seen { brokers, topics: seen, group: offsets }
}

fn nothing(topics: &[String], error: &ProbeError) -> Seen {
    let topics = topics.iter().map(|topic| (topic.clone(), Err(error.clone()))).collect();
    Seen { brokers: Err(error.clone()), topics, group: Err(error.clone()) }
}

fn problem(error: &KafkaError) -> ProbeError {
    error.rdkafka_error_code().map_or_else(|| ProbeError::Other(error.to_string()), code)
}

fn code(code: RDKafkaErrorCode) -> ProbeError {
    match code {
        RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic => ProbeError::NoTopic,
        RDKafkaErrorCode::TopicAuthorizationFailed
        | RDKafkaErrorCode::GroupAuthorizationFailed
        | RDKafkaErrorCode::ClusterAuthorizationFailed
        | RDKafkaErrorCode::SaslAuthenticationFailed => ProbeError::NotAllowed,
        RDKafkaErrorCode::BrokerTransportFailure
        | RDKafkaErrorCode::AllBrokersDown
        | RDKafkaErrorCode::OperationTimedOut
        | RDKafkaErrorCode::RequestTimedOut
        | RDKafkaErrorCode::WaitingForCoordinator => ProbeError::Unreachable,
        other => ProbeError::Other(other.to_string()),
    }
}
