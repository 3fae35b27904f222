//! What librdkafka says, through tracing.

use rdkafka::{
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
};
use tracing::{debug, error, info, warn};

/// A line of librdkafka's log. A broker that is away fills it, so only what needs a person is an error.
pub(crate) fn line(level: RDKafkaLogLevel, facility: &str, text: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            error!(librdkafka.facility = facility, "librdkafka: {text}");
        }
        // Connections that cannot be had are told by `error` below, and by readiness, once.
        RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning if facility == "FAIL" || facility == "ERROR" => {
            debug!(librdkafka.facility = facility, "librdkafka: {text}");
        }
        RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => {
            warn!(librdkafka.facility = facility, "librdkafka: {text}")
        }
        RDKafkaLogLevel::Notice => info!(librdkafka.facility = facility, "librdkafka: {text}"),
        RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => debug!(librdkafka.facility = facility, "librdkafka: {text}"),
    }
}

/// A client's own error. It goes on by itself after all but a fatal one, which its next call returns.
pub(crate) fn error(error: &KafkaError, reason: &str) {
    match error.rdkafka_error_code() {
        Some(
            RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::AllBrokersDown
            | RDKafkaErrorCode::Resolve
            | RDKafkaErrorCode::OperationTimedOut,
        ) => debug!("kafka client: {reason}"),
        _ => warn!("kafka client: {error}: {reason}"),
    }
}
