//! HTTP/1 listeners with limits.

#[cfg(test)]
mod tests;

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{ConnectInfo, Request, State},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse as _, Response},
};
use http::{
    StatusCode,
    header::{CONNECTION, CONTENT_LENGTH},
    request::Parts,
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::{sleep, timeout},
};
use tower::ServiceExt as _;
use tracing::{debug, info, warn};

use crate::{parts::Part, telemetry::Quiet};

/// The pause after a connection could not be accepted, most often for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What one listener takes from others.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of a request's head; a longer one is answered 431.
    pub header_bytes: usize,
    /// Time for a request's head, counted from the connection or the answer before it; then the connection is closed.
    pub header_time: Duration,
    /// Bytes of a request's body; a longer one is answered 413.
    pub body_bytes: usize,
    /// Time for a request's body; a slower one is answered 408.
    pub body_time: Duration,
    /// Connections at a time; further ones wait to be accepted.
    pub connections: usize,
}

impl Default for Limits {
    /// Head 16 KiB and 5 s, body 1 MiB and 30 s, 1,024 connections.
    fn default() -> Self {
        Self {
            header_bytes: 16 * 1024,
            header_time: Duration::from_secs(5),
            body_bytes: 1024 * 1024,
            body_time: Duration::from_secs(30),
            connections: 1024,
        }
    }
}

/// Routes behind the limits of a listener.
pub struct Routes {
    router: Router,
    limits: Limits,
}

impl Routes {
    /// A handler of `router` gets its request with the whole body read, and the address of the other side as `ConnectInfo<SocketAddr>`.
    #[must_use]
    pub fn new(router: Router, limits: Limits) -> Self {
        Self { router: router.layer(from_fn_with_state(limits, whole_body)), limits }
    }

    /// The same behind `check`, which sees the head of each request before its body is read and may answer instead.
    #[must_use]
    pub fn behind(self, check: impl Fn(&Parts) -> Option<Response> + Clone + Send + Sync + 'static) -> Self {
        let gate = from_fn(move |request: Request, next: Next| {
            let (head, body) = request.into_parts();
            let answer = check(&head);
            async move {
                match answer {
                    // what comes after the head is not read: the connection cannot be used again
                    Some(answer) => ([(CONNECTION, "close")], answer).into_response(),
                    None => next.run(Request::from_parts(head, body)).await,
                }
            }
        });
        Self { router: self.router.layer(gate), ..self }
    }

    /// The routes alone, for calls without a connection.
    pub fn into_router(self) -> Router {
        self.router
    }
}

/// Serves `routes` on `listener` until the part is told to stop, then finishes the requests under way.
///
/// The part is ready as soon as connections are accepted.
///
/// # Errors
/// When the listener has no address, which is before anything is accepted; afterwards never.
pub async fn serve(listener: TcpListener, routes: Routes, part: Part) -> io::Result<()> {
    let Routes { router, limits } = routes;
    let address = listener.local_addr()?;
    let places = Arc::new(Semaphore::new(limits.connections));
    let quiet = Quiet::default();
    let mut connections = JoinSet::new();
    info!(%address, "listening on {address}");
    part.ready();
    loop {
        tokio::select! {
            biased;
            () = part.stopping() => break,
            Some(_) = connections.join_next() => {} // its handler's panic was logged where it happened
            accepted = accept(&listener, &places) => match accepted {
                Ok((stream, peer, place)) => {
                    connections.spawn(connection(stream, peer, place, router.clone(), limits, part.clone()));
                }
                Err(error) => {
                    if let Some(count) = quiet.admit("listener", "accept") {
                        warn!(%address, count, "a connection could not be accepted: {error}");
                    }
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, place))
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    place: OwnedSemaphorePermit,
    router: Router,
    limits: Limits,
    part: Part,
) {
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        let router = router.clone();
        async move { Ok::<Response, Infallible>(router.oneshot(request.map(Body::new)).await.into_response()) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .max_header_size(limits.header_bytes)
        .header_read_timeout(limits.header_time)
        .serve_connection(TokioIo::new(stream), service);
    let mut served = std::pin::pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = part.stopping() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        debug!("a connection ended early: {error}");
    }
    drop(place);
}

/// Reads the body before the handler runs, so that its limits hold for every route.
async fn whole_body(State(limits): State<Limits>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let length = head.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > limits.body_bytes as u64) {
        return refused(StatusCode::PAYLOAD_TOO_LARGE);
    }
    match timeout(limits.body_time, to_bytes(body, limits.body_bytes)).await {
        Ok(Ok(bytes)) => next.run(Request::from_parts(head, Body::from(bytes))).await,
        Ok(Err(error)) if is_too_long(&error) => refused(StatusCode::PAYLOAD_TOO_LARGE),
        Ok(Err(_)) => refused(StatusCode::BAD_REQUEST),
        Err(_) => refused(StatusCode::REQUEST_TIMEOUT),
    }
}

/// An answer to a request whose body is not read to its end: the connection cannot be used again.
fn refused(status: StatusCode) -> Response {
    (status, [(CONNECTION, "close")]).into_response()
}

fn is_too_long(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<http_body_util::LengthLimitError>())
}
