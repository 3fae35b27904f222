//! The service's own routes (docs/spec/arena-acl.md 7.1, 7.2); probes and metrics are on the admin listener.

mod operators;

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::{ConnectInfo, Path, Request, State, rejection::PathRejection},
    http::{HeaderMap, StatusCode, header::AUTHORIZATION, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use chassis::{
    clock::Clock,
    listener::{self, Routes},
};
use domain::arena_acl::long_uuid;
use serde_json::json;
use tracing::error;

use crate::{
    auth::Auth,
    inbox::{Inbox, Outbox, StoreError, Translation},
    jobs::Jobs,
    operations::Operations,
    settings::Handling,
};

/// What the routes work on.
pub struct Api<I> {
    /// The store.
    pub inbox: Arc<I>,
    /// Who checks the tokens of the public routes.
    pub auth: Arc<Auth>,
    /// The jobs.
    pub jobs: Jobs<I>,
    /// How many rows a page of a job has when the caller does not say.
    pub handling: Handling,
    /// Where tombstones go.
    pub single_place_topic: Arc<str>,
    /// The time of day.
    pub clock: Clock,
    /// Whether what takes long is answered before it is done.
    pub background: Background,
}

/// Whether what takes long is answered before it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Background {
    /// At once; how it ended is logged.
    Yes,
    /// When it is done, with what it did: in test mode.
    No,
}

/// Every route of the service port. `internal` is added below `/internal`, behind the same loopback check.
pub fn routes<I: Inbox + Outbox + Operations>(api: Api<I>, internal: Router) -> Routes {
    let api = Arc::new(api);
    let public = Router::new()
        .route("/translation/{id}", get(translation::<I>))
        .route("/v2/translation/{id}", get(translation_v2::<I>))
        .layer(middleware::from_fn_with_state(api.clone(), authorised::<I>))
        .with_state(api.clone());
    let operators = Router::new()
        .route("/api/jobs/{job}", post(operators::run_job::<I>))
        .route("/api/requeue-latest", post(operators::requeue_latest::<I>))
        .route("/api/check-latest", get(operators::check_latest::<I>).post(operators::mend_latest::<I>))
        .route("/api/relast-deltakere/{tiltakskode}", post(operators::relast::<I>))
        .route("/api/tombstone-enkeltplass-deltaker", post(operators::tombstone::<I>))
        .with_state(api);
    let router = Router::new()
        .nest("/api", public)
        .nest("/internal", operators.merge(internal).fallback(not_found))
        .fallback(not_found);
    Routes::new(router, listener::Limits::default()).behind(internal_from_loopback)
}

/// Comes before any other check, also before the body is read (7.2).
fn internal_from_loopback(head: &Parts) -> Option<Response> {
    let path = head.uri.path();
    let internal = path.strip_prefix("/internal").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let peer = head.extensions.get::<ConnectInfo<SocketAddr>>();
    let is_loopback = peer.is_some_and(|ConnectInfo(peer)| peer.ip().to_canonical().is_loopback());
    (internal && !is_loopback).then(|| Refusal(StatusCode::UNAUTHORIZED, "only from loopback").into_response())
}

async fn authorised<I: Inbox>(
    State(api): State<Arc<Api<I>>>,
    headers: HeaderMap,
    request: Request,
    next: Next,
) -> Response {
    match api.auth.check(headers.get(AUTHORIZATION)).await {
        Ok(()) => next.run(request).await,
        Err(_) => Refusal(StatusCode::UNAUTHORIZED, "a valid bearer token is needed").into_response(),
    }
}

async fn translation<I: Inbox>(State(api): State<Arc<Api<I>>>, id: Id) -> Result<Response, Refusal> {
    // history ids are not returned: the caller could not tell them apart
    match find(&api, id).await?.arena_id {
        Some(arena_id) => Ok(Json(json!({ "arenaId": arena_id })).into_response()),
        None => Err(Refusal(StatusCode::NOT_FOUND, "no Arena id belongs to this id")),
    }
}

async fn translation_v2<I: Inbox>(State(api): State<Arc<Api<I>>>, id: Id) -> Result<Response, Refusal> {
    let Translation { arena_id, arena_hist_id } = find(&api, id).await?;
    Ok(Json(json!({ "arenaId": arena_id, "arenaHistId": arena_hist_id })).into_response())
}

/// The id of the path, as long as it is text.
type Id = Result<Path<String>, PathRejection>;

async fn find<I: Inbox>(api: &Api<I>, id: Id) -> Result<Translation, Refusal> {
    let id =
        id.ok().and_then(|Path(id)| long_uuid(&id)).ok_or(Refusal(StatusCode::BAD_REQUEST, "the id is not a UUID"))?;
    Ok(api.inbox.translation(id).await?)
}

async fn not_found() -> Refusal {
    Refusal(StatusCode::NOT_FOUND, "no such route")
}

/// An answer that is not the wanted one: a stable sentence, no internals.
pub struct Refusal(pub StatusCode, pub &'static str);

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        error!(%error, "a request failed at the store");
        if error.outage {
            return Self(StatusCode::SERVICE_UNAVAILABLE, "the store is away");
        }
        Self(StatusCode::INTERNAL_SERVER_ERROR, "the store failed")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(status, error) = self;
        (status, Json(json!({ "status": status.as_u16(), "error": error }))).into_response()
    }
}
