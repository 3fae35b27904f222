//! The listener for operators and machines: probes and metrics.
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
use http::{StatusCode, header::CONTENT_TYPE};
use secrecy::SecretString;
use serde_json::json;
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

/// Answers probes and metrics until the part is told to stop.
///
/// # Errors
/// When the address cannot be had.
pub async fn serve(settings: Settings, health: Health, metrics: Metrics, part: Part) -> io::Result<()> {
    let listener = TcpListener::bind(settings.listen).await?;
    let limits = Limits { body_bytes: 64 * 1024, ..Limits::default() };
    listener::serve(listener, Routes::new(router(health, metrics), limits), part).await
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

/// A problem as RFC 9457 has it.
fn problem(status: StatusCode, title: &str, detail: Option<String>) -> Response {
    let mut body = json!({ "type": "about:blank", "title": title, "status": status.as_u16() });
    if let (Some(detail), Some(members)) = (detail, body.as_object_mut()) {
        members.insert("detail".to_owned(), detail.into());
    }
    (status, [(CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
}
