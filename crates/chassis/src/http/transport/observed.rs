//! A transport that counts, times and traces what goes through it.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt};
use http::HeaderValue;
use tokio::time::Instant;

use super::{Request, Response, Transport, TransportError};
use crate::{
    metrics::Metrics,
    trace::{self, Kind, Span, TRACEPARENT},
};

/// Calls to one dependency: each in `truecopy_call_duration_seconds`, and, inside a trace, with a span of its own and the header
/// `traceparent`.
pub struct Observed {
    transport: Arc<dyn Transport>,
    metrics: Metrics,
    dependency: &'static str,
}

impl Observed {
    /// The calls to `dependency` over `transport`.
    pub fn new(transport: Arc<dyn Transport>, metrics: Metrics, dependency: &'static str) -> Self {
        Self { transport, metrics, dependency }
    }

    async fn exchange(&self, mut request: Request) -> Result<Response, TransportError> {
        let mut span = self.span(&request);
        let header = span.context().and_then(|context| HeaderValue::try_from(context.to_string()).ok());
        header.and_then(|header| request.headers_mut().insert(TRACEPARENT, header));
        let start = Instant::now();
        let result = self.transport.send(request).await;
        let outcome = outcome(&result);
        self.metrics.called(self.dependency, outcome, start.elapsed());
        if let Ok(response) = &result {
            span.set("http.response.status_code", i64::from(response.status().as_u16()));
        }
        if outcome != "2xx" {
            span.fail(outcome);
        }
        result
    }

    /// Without the query, which names people.
    fn span(&self, request: &Request) -> Span {
        let parent = trace::current();
        if parent.is_none() {
            return Span::default();
        }
        let mut span = Span::begin(Kind::Client, || request.method().to_string(), parent);
        if span.is_recorded() {
            span.set("http.request.method", request.method().to_string());
            span.set("server.address", request.uri().host().unwrap_or_default().to_owned());
            span.set("url.path", request.uri().path().to_owned());
        }
        span
    }
}

impl Transport for Observed {
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Response, TransportError>> {
        self.exchange(request).boxed()
    }
}

fn outcome(result: &Result<Response, TransportError>) -> &'static str {
    match result {
        Ok(response) => match response.status().as_u16() / 100 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        },
        Err(TransportError::Timeout) => "timeout",
        Err(TransportError::Connection(_)) => "connection",
        Err(TransportError::TooLarge(_)) => "too_large",
    }
}
