//! `POST /standalone/messages`: more records by hand, for whoever tries the service out.

use axum::{
    Json, Router,
    extract::{State, rejection::JsonRejection},
    response::{IntoResponse as _, Response},
    routing::post,
};
use bytes::Bytes;
use chassis::admin::problem;
use http::StatusCode;
use kafka::{Outgoing, memory::Broker};
use serde::Deserialize;
use serde_json::{json, value::RawValue};

/// A record; exactly one of `value` (JSON, sent as it stands), `raw` (a text that need not be JSON) and `tombstone`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRecord {
    topic: String,
    partition: Option<i32>,
    key: Option<String>,
    value: Option<Box<RawValue>>,
    raw: Option<String>,
    #[serde(default)]
    tombstone: bool,
}

/// The route, over the topics of `broker`.
pub(super) fn routes(broker: Broker) -> Router {
    Router::new().route("/standalone/messages", post(publish)).with_state(broker)
}

/// Answers where the record stands.
async fn publish(
    State(broker): State<Broker>,
    record: Result<Json<NewRecord>, JsonRejection>,
) -> Result<Response, Response> {
    let refused = |why: &str| problem(StatusCode::BAD_REQUEST, "not a record", Some(why.to_owned()));
    let Json(NewRecord { topic, partition, key, value, raw, tombstone }) = record.map_err(|_quotes| {
        refused("a JSON object with topic, partition?, key?, and one of value, raw, tombstone: true")
    })?;
    let payload = match (value, raw, tombstone) {
        (Some(value), None, false) => Some(Bytes::from(value.get().to_owned())),
        (None, Some(raw), false) => Some(Bytes::from(raw)),
        (None, None, true) => None,
        _ => return Err(refused("exactly one of value, raw and tombstone: true")),
    };
    let record = Outgoing { topic: topic.as_str().into(), key: key.map(Bytes::from), payload, headers: Vec::new() };
    let (partition, offset) = broker.append(record, partition).map_err(|error| refused(&error.to_string()))?;
    Ok((StatusCode::CREATED, Json(json!({ "topic": topic, "partition": partition, "offset": offset }))).into_response())
}
