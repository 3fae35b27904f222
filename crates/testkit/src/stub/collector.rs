//! A collector of traces.

use std::{
    fmt::Write as _,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    trace::v1::{Span as Sent, status::StatusCode},
};
use prost::Message as _;

use super::{Answer, Stub};

/// Takes OTLP over HTTP in protobuf, and keeps all of it.
#[derive(Debug)]
pub struct Collector {
    stub: Stub,
    taken: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
}

/// A span as it was sent. Ids are hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Its name.
    pub name: String,
    /// The trace it belongs to.
    pub trace: String,
    /// Its own id.
    pub id: String,
    /// The id of the span it is below; empty for a root.
    pub parent: String,
    /// The spans it points to: trace and id.
    pub links: Vec<(String, String)>,
    /// Whether what it is about has failed.
    pub failed: bool,
}

impl Collector {
    /// A collector that listens now.
    ///
    /// # Errors
    /// No port or no thread can be had.
    pub fn start() -> io::Result<Self> {
        let taken = Arc::<Mutex<Vec<ExportTraceServiceRequest>>>::default();
        let stub = Stub::start()?;
        let keep = Arc::clone(&taken);
        stub.on("POST", "/v1/traces").answers_with(move |request| {
            match ExportTraceServiceRequest::decode(request.body.clone()) {
                Ok(sent) => {
                    keep.lock().unwrap_or_else(PoisonError::into_inner).push(sent);
                    Answer { status: 200, body: None }
                }
                Err(_) => Answer { status: 400, body: None },
            }
        });
        Ok(Self { stub, taken })
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        self.stub.url()
    }

    /// Every span so far.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let resources = taken.iter().flat_map(|request| &request.resource_spans);
        resources.flat_map(|resource| &resource.scope_spans).flat_map(|scope| &scope.spans).map(span).collect()
    }

    /// Everything that was sent so far, attributes and all, as a text to search in.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{:?}", self.taken.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn span(sent: &Sent) -> Span {
    Span {
        name: sent.name.clone(),
        trace: hex(&sent.trace_id),
        id: hex(&sent.span_id),
        parent: hex(&sent.parent_span_id),
        links: sent.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect(),
        failed: sent.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // a String takes everything
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}
