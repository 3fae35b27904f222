//! The service's own routes (7.2); probes, metrics and dead letters are on the admin listener.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{AUTHORIZATION, LOCATION},
        request::Parts,
    },
    response::{IntoResponse, Response},
    routing::{get, post},
};
use chassis::listener::{Limits, Routes};
use chrono::TimeDelta;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::{Value, json};
use subtle::{Choice, ConstantTimeEq as _};
use tracing::{error, info};

use crate::{
    board::{Board, Command},
    record::{Record, stage_name},
    run_store::Runs as _,
    settings::Auth,
    shared::{Ports, Shared},
    signals::{Outgoing, Signals as _},
    sources::StoreError,
};

/// Persons of one targeted resync.
const PERSONS: usize = 5000;

/// Every route of the service port.
pub fn routes<P: Ports>(shared: Arc<Shared<P>>, base: &str, auth: Auth) -> Routes {
    let routes = Router::new()
        .route("/api/sync", get(trigger::<P>))
        .route("/api/v1/sync/runs", post(start::<P>).get(list::<P>))
        .route("/api/v1/sync/runs/{id}", get(one::<P>))
        .route("/api/v1/sync/runs/{id}/cancel", post(cancel::<P>))
        .route("/api/v1/sync/runs/{id}/rollback", post(rollback::<P>))
        .route("/api/v1/sync/trainees", post(trainees::<P>))
        .with_state(shared);
    let base = base.trim_end_matches('/');
    let router = if base.is_empty() { routes } else { Router::new().nest(base, routes) };
    let router = router.fallback(|| async { Refusal::new(StatusCode::NOT_FOUND, "not-found", "no such route") });
    Routes::new(router, Limits::default()).behind(move |head| refused(&auth, head))
}

/// Anybody who is not let in gets the same answer, after the same time.
fn refused(auth: &Auth, head: &Parts) -> Option<Response> {
    let Auth::Bearer(tokens) = auth else { return None };
    let given = head.headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    let given = given.unwrap_or_default();
    let known =
        tokens.iter().fold(Choice::from(0), |known, token| known | given.ct_eq(token.expose_secret().as_bytes()));
    if known.into() {
        return None;
    }
    Some(Refusal::new(StatusCode::UNAUTHORIZED, "unauthorized", "a valid bearer token is needed").into_response())
}

/// An answer that is not the wanted one.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    error: &'static str,
    message: String,
    run: Option<String>,
}

impl Refusal {
    fn new(status: StatusCode, error: &'static str, message: impl Into<String>) -> Self {
        Self { status, error, message: message.into(), run: None }
    }

    fn conflict(error: &'static str, message: impl Into<String>, run: Option<&Record>) -> Self {
        Self { run: run.map(|run| run.id.clone()), ..Self::new(StatusCode::CONFLICT, error, message) }
    }

    fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", message)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        error!(%error, "a request failed at the run store");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", "the run store cannot be reached")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({"error": self.error, "message": self.message, "runId": self.run});
        (self.status, Json(body)).into_response()
    }
}

/// What a run is asked for with.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    force: Option<bool>,
    reason: Option<String>,
    stages: Option<Vec<String>>,
}

async fn trigger<P: Ports>(State(shared): State<Arc<Shared<P>>>) -> Result<Response, Refusal> {
    request(&shared, Asked::default()).await
}

async fn start<P: Ports>(State(shared): State<Arc<Shared<P>>>, body: Bytes) -> Result<Response, Refusal> {
    let asked = if body.is_empty() {
        Asked::default()
    } else {
        serde_json::from_slice(&body).map_err(|_error| Refusal::bad("the body is not what this route takes"))?
    };
    request(&shared, asked).await
}

async fn request<P: Ports>(shared: &Shared<P>, asked: Asked) -> Result<Response, Refusal> {
    let all = domain::reval_sync::run::Stage::ALL.map(stage_name);
    if asked.stages.is_some_and(|stages| all.iter().any(|stage| !stages.iter().any(|named| named == stage))) {
        // without trainees, say, it would swap them away
        return Err(Refusal::bad("a run has all stages"));
    }
    if !shared.handling.roles.orchestrator {
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", "this instance does not run"));
    }
    let record = accept(shared, "http", asked.force.unwrap_or_default(), asked.reason).await?;
    let mut headers = HeaderMap::new();
    if let Ok(location) = HeaderValue::from_str(&format!("/api/v1/sync/runs/{}", record.id)) {
        headers.insert(LOCATION, location);
    }
    Ok((StatusCode::ACCEPTED, headers, Json(record.shown())).into_response())
}

/// Requests a run, unless one is active or nobody works.
pub(crate) async fn accept<P: Ports>(
    shared: &Shared<P>,
    trigger: &str,
    force: bool,
    reason: Option<String>,
) -> Result<Record, Refusal> {
    let now = shared.clock.now();
    let record = Record::new(shared.handling.plan(force), trigger, reason, now, shared.today());
    let accepted = shared.desk.change(|board| {
        if !board.is_attended(now) {
            return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", "no instance works"));
        }
        if board.rolling_back || board.active.is_some() {
            let run = board.active.as_ref().or(board.last.as_ref());
            return Err(Refusal::conflict("sync-already-running", "a run is active", run));
        }
        board.active = Some(record.clone());
        board.command = None;
        board.runs += 1;
        Ok(())
    });
    accepted.await??;
    info!(runId = record.id, "run {} is requested", record.id);
    shared.store.keep(&record.id, &record.shown()).await?;
    Ok(record)
}

#[derive(Debug, Deserialize)]
struct Limit {
    limit: Option<usize>,
}

async fn list<P: Ports>(
    State(shared): State<Arc<Shared<P>>>,
    Query(Limit { limit }): Query<Limit>,
) -> Result<Json<Vec<Value>>, Refusal> {
    Ok(Json(shared.store.newest(limit.unwrap_or(20).clamp(1, 1000)).await?))
}

async fn one<P: Ports>(State(shared): State<Arc<Shared<P>>>, Path(id): Path<String>) -> Result<Json<Value>, Refusal> {
    let unknown = || Refusal::new(StatusCode::NOT_FOUND, "not-found", "no such run");
    let id = if id == "current" { current(&shared.desk.look().await?).ok_or_else(unknown)?.id.clone() } else { id };
    Ok(Json(shared.store.run(&id).await?.ok_or_else(unknown)?))
}

fn current(board: &Board) -> Option<&Record> {
    board.active.as_ref().or(board.last.as_ref())
}

async fn cancel<P: Ports>(State(shared): State<Arc<Shared<P>>>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let wanted = shared.desk.change(|board| {
        let nothing = |run| Err(Refusal::conflict("not-cancellable", "there is nothing to cancel", run));
        match &board.active {
            Some(run) if (id == "current" || id == run.id) && !run.is_swapping() => {
                let run = run.clone();
                board.command = Some(Command::Cancel);
                Ok(run)
            }
            run => nothing(run.as_ref()),
        }
    });
    Ok((StatusCode::ACCEPTED, Json(wanted.await??.shown())).into_response())
}

async fn rollback<P: Ports>(State(shared): State<Arc<Shared<P>>>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let now = shared.clock.now();
    let retention = TimeDelta::from_std(shared.handling.rollback_retention).unwrap_or(TimeDelta::MAX);
    let wanted = shared.desk.change(|board| {
        let refuse = |message, run: Option<&Record>| Err(Refusal::conflict("not-rollbackable", message, run));
        if board.active.is_some() || board.rolling_back {
            return refuse("a run is active", board.active.as_ref());
        }
        match &board.last {
            Some(run) if id != "current" && id != run.id => refuse("it is not the last completed run", Some(run)),
            Some(run) if run.previous.is_none() => refuse("there is no previous generation", Some(run)),
            Some(run) if run.finished_at.is_none_or(|at| now - at > retention) => {
                refuse("the journal is not kept for that long", Some(run))
            }
            Some(run) => {
                let run = run.clone();
                board.rolling_back = true;
                board.command = Some(Command::Rollback);
                Ok(run)
            }
            None => refuse("no run was completed", None),
        }
    });
    Ok((StatusCode::ACCEPTED, Json(wanted.await??.shown())).into_response())
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Persons {
    tcs_person_ids: Vec<i64>,
}

async fn trainees<P: Ports>(State(shared): State<Arc<Shared<P>>>, body: Bytes) -> Result<Response, Refusal> {
    let Persons { tcs_person_ids: persons } =
        serde_json::from_slice(&body).map_err(|_error| Refusal::bad("tcsPersonIds is not a list of whole numbers"))?;
    if persons.len() > PERSONS {
        return Err(Refusal::bad(format!("more than {PERSONS} persons")));
    }
    if !persons.is_empty() {
        let routes = &shared.handling.routes;
        let texts: Vec<String> = persons.iter().map(ToString::to_string).collect();
        let body = Bytes::from(json!(texts).to_string());
        let (exchange, routing_key) = (routes.exchange.clone(), routes.trainee_update.clone());
        let asked = shared.queues.publish(&[Outgoing { exchange, routing_key, body, run: None }]).await;
        asked.map_err(|error| {
            error!(%error, "trainees could not be asked for");
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", "the broker cannot be reached")
        })?;
    }
    Ok((StatusCode::ACCEPTED, Json(json!({"requested": persons.len()}))).into_response())
}
