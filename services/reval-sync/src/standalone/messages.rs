//! `POST /standalone/messages`: messages by hand, for whoever tries the service out.

use axum::{
    Json, Router,
    extract::{State, rejection::JsonRejection},
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::post,
};
use bytes::Bytes;
use chassis::admin::problem;
use serde::Deserialize;
use serde_json::{json, value::RawValue};

use crate::{deliveries::Queue, memory::Queues};

/// A message: the name of its queue, as in dead letters, and JSON that is sent as it stands.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewMessage {
    queue: String,
    body: Box<RawValue>,
}

/// The route, over `queues`.
pub(super) fn routes(queues: Queues) -> Router {
    Router::new().route("/standalone/messages", post(publish)).with_state(queues)
}

async fn publish(
    State(queues): State<Queues>,
    message: Result<Json<NewMessage>, JsonRejection>,
) -> Result<Response, Response> {
    let refused = |why: &str| problem(StatusCode::BAD_REQUEST, "not a message", Some(why.to_owned()));
    let Json(NewMessage { queue, body }) = message.map_err(|_quotes| refused("a JSON object with queue and body"))?;
    let queue = Queue::named(&queue).ok_or_else(|| refused("no such queue; one is cdc.doctor"))?;
    queues.deliver(queue, Bytes::from(body.get().to_owned()), false);
    Ok((StatusCode::CREATED, Json(json!({ "queue": queue.name() }))).into_response())
}
