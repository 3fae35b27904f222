//! Routes that exist in test mode only, on loopback only (docs/spec/arena-acl.md section 12).

use std::{future::Future, pin::Pin, sync::Arc};

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use chassis::clock::{self, Clock};
use serde::Deserialize;
use serde_json::json;

use crate::{OSLO, duration, http::Refusal, records::Backfilled};

/// Whether nothing is under way, as far as the caller of `GET /internal/test/idle` may rely on it.
pub(crate) type Idle = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;

/// Feeds one record to the import of single-place participants (4.15).
pub(crate) type Import =
    Arc<dyn Fn(Bytes) -> Pin<Box<dyn Future<Output = Result<Backfilled, Refusal>> + Send>> + Send + Sync>;

#[derive(Clone)]
struct TestMode {
    clock: Clock,
    idle: Idle,
    backfill: Import,
}

/// The routes of test mode, below `/internal`.
pub(crate) fn routes(clock: Clock, idle: Idle, backfill: Import) -> Router {
    Router::new()
        .route("/test/clock", post(set_clock))
        .route("/test/idle", get(is_idle))
        .route("/test/backfill", post(import))
        .with_state(TestMode { clock, idle, backfill })
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum SetClock {
    Now(chrono::NaiveDateTime),
    Advance(String),
}

async fn set_clock(State(mode): State<TestMode>, Json(asked): Json<SetClock>) -> Result<StatusCode, Refusal> {
    let refused = |why| Refusal(StatusCode::BAD_REQUEST, why);
    match asked {
        SetClock::Now(local) => mode.clock.freeze(clock::to_utc(local, OSLO)),
        SetClock::Advance(text) => {
            mode.clock.advance(duration::parse(&text).ok_or(refused("not an ISO 8601 duration"))?);
        }
    }
    Ok(StatusCode::OK)
}

async fn is_idle(State(mode): State<TestMode>) -> Response {
    if (mode.idle)().await {
        return StatusCode::OK.into_response();
    }
    Refusal(StatusCode::SERVICE_UNAVAILABLE, "work is under way").into_response()
}

async fn import(State(mode): State<TestMode>, record: Bytes) -> Result<Response, Refusal> {
    let result = match (mode.backfill)(record).await? {
        Backfilled::Stored => "stored",
        Backfilled::Failed => "failed",
        Backfilled::Skipped => "skipped",
        Backfilled::Blocked(_) => "blocked",
    };
    Ok(Json(json!({ "result": result })).into_response())
}
