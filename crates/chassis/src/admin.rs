//! The listener for operators and machines: probes, metrics, and what a service adds.
//!
//! Probes read flags that the parts set while they work; no probe calls a dependency.

#[cfg(test)]
mod tests;

use std::{io, net::SocketAddr};

use axum::{
    Router,
    extract::State,
    response::{IntoResponse as _, Response},
    routing::get,
};
use http::{
    HeaderValue, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE},
    request::Parts,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use subtle::ConstantTimeEq as _;
use tokio::net::TcpListener;

use crate::{
    listener::{self, Limits, Routes},
    metrics::Metrics,
    parts::{Health, Part},
    settings::{Slot, Table},
};

/// Where the admin listener is and who may use it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its address.
    pub listen: SocketAddr,
    /// The bearer token of the routes that need one.
    pub token: Option<SecretString>,
}

impl Settings {
    /// `TRUECOPY_ADMIN_LISTEN` and `TRUECOPY_ADMIN_TOKEN`.
    pub fn declare(table: &mut Table) -> Slot<Self> {
        let listen = table.value("TRUECOPY_ADMIN_LISTEN", "address of probes and metrics").or("127.0.0.1:9464");
        let token = table
            .secret("TRUECOPY_ADMIN_TOKEN", "bearer token of the admin routes; probes and metrics need none")
            .optional();
        table.all(|ok| Self { listen: ok.take(listen), token: ok.take(token) })
    }
}

/// Answers probes, metrics and the service's own `routes` until the part is told to stop. Those below
/// `/admin` are for whoever has the token.
///
/// # Errors
/// When the address cannot be had.
pub async fn serve(settings: Settings, health: Health, metrics: Metrics, routes: Router, part: Part) -> io::Result<()> {
    let listener = TcpListener::bind(settings.listen).await?;
    listener::serve(listener, guarded(settings.token, router(health, metrics).merge(routes)), part).await
}

/// `routes`, of which those below `/admin` are for whoever has the token: anybody else is answered 401, and everybody 403 where the
/// settings have none.
pub(crate) fn guarded(token: Option<SecretString>, routes: Router) -> Routes {
    // a message of a service, written as JSON, is the largest body
    let limits = Limits { body_bytes: 2 * 1024 * 1024, ..Limits::default() };
    Routes::new(routes, limits).behind(move |head| refused(token.as_ref(), head))
}

fn refused(token: Option<&SecretString>, head: &Parts) -> Option<Response> {
    let below = head.uri.path().strip_prefix("/admin");
    if !below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
        return None;
    }
    let Some(token) = token else {
        let detail = "TRUECOPY_ADMIN_TOKEN is not set, so nobody may use this".to_owned();
        return Some(problem(StatusCode::FORBIDDEN, "forbidden", Some(detail)));
    };
    let given = head.headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    if bool::from(given.unwrap_or_default().ct_eq(token.expose_secret().as_bytes())) {
        return None;
    }
    let mut refused = problem(StatusCode::UNAUTHORIZED, "a valid bearer token is needed", None);
    refused.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    Some(refused)
}

fn router(health: Health, metrics: Metrics) -> Router {
    Router::new()
        .route("/livez", get(|State(health): State<Health>| async move { probe(health.is_live(), "not alive") }))
        .route("/readyz", get(|State(health): State<Health>| async move { probe(health.is_ready(), "not ready") }))
        .route(
            "/startupz",
            get(|State(health): State<Health>| async move { probe(health.is_started(), "not started") }),
        )
        .with_state(health)
        .route("/metrics", get(|State(metrics): State<Metrics>| async move { exposition(&metrics) }))
        .with_state(metrics)
        .fallback(|| async { problem(StatusCode::NOT_FOUND, "not found", None) })
        .method_not_allowed_fallback(|| async { problem(StatusCode::METHOD_NOT_ALLOWED, "method not allowed", None) })
}

fn probe(answer: Result<(), Vec<String>>, title: &str) -> Response {
    match answer {
        Ok(()) => "ok\n".into_response(),
        Err(reasons) => problem(StatusCode::SERVICE_UNAVAILABLE, title, Some(reasons.join("; "))),
    }
}

fn exposition(metrics: &Metrics) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render()).into_response()
}

/// An answer that is not the wanted one, as RFC 9457 has it. `detail` quotes nothing of a message.
#[must_use]
pub fn problem(status: StatusCode, title: &str, detail: Option<String>) -> Response {
    let mut body = json!({ "type": "about:blank", "title": title, "status": status.as_u16() });
    if let (Some(detail), Some(members)) = (detail, body.as_object_mut()) {
        members.insert("detail".to_owned(), detail.into());
    }
    (status, [(CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
}
