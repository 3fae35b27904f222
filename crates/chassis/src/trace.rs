//! Traces: what happened to one message, from its record to its publication, across processes.
//!
//! Spans are recorded only while traces are exported ([`Settings`]). Otherwise a span is nothing but the context that came in, which goes on
//! with what is sent; without one there is nothing at all. What is recorded is named here, call by call: no span comes from a library, so
//! nothing is recorded that nobody looked at. Source: `docs/reliability.md`, section 6.

mod context;
mod export;

#[cfg(test)]
mod tests;

use std::{borrow::Cow, future::Future, sync::OnceLock};

use opentelemetry::{
    KeyValue, Value,
    trace::{Link, Span as _, SpanKind, Status, TraceContextExt as _, Tracer as _},
};
use opentelemetry_sdk::trace::{SdkTracer, Span as SdkSpan};
use tracing::Instrument as _;

pub use self::{
    context::{Context, NotAContext, TRACEPARENT},
    export::{Exporting, Settings},
};

/// Set once, where traces are exported.
static TRACER: OnceLock<SdkTracer> = OnceLock::new();

tokio::task_local! {
    static CURRENT: Context;
}

/// What a span is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A message that came.
    Consumer,
    /// A message that leaves.
    Producer,
    /// A call to somebody else.
    Client,
    /// Work of our own.
    Internal,
}

/// Something that takes time. Dropped, it has ended.
#[derive(Debug, Default)]
#[must_use = "a span ends when it is dropped"]
pub struct Span {
    context: Option<Context>,
    recorded: Option<Box<SdkSpan>>,
}

impl Span {
    /// Begins a span below `parent`; without one it is the root of a new trace. While traces are not exported it is `parent`, passed on.
    ///
    /// `name` is made only when it is needed; like every attribute it holds no data about people.
    pub fn begin<N: Into<Cow<'static, str>>>(kind: Kind, name: impl FnOnce() -> N, parent: Option<Context>) -> Self {
        match TRACER.get() {
            Some(tracer) => Self::recorded(tracer, kind, name().into(), parent, Vec::new()),
            None => Self::passed(parent),
        }
    }

    /// A span of somebody else: its context, and nothing to record.
    pub fn passed(context: Option<Context>) -> Self {
        Self { context, recorded: None }
    }

    /// Begins the root of a new trace for work that is done for many at once; it links to each of `parts`. Nothing while traces are not exported.
    pub fn over<N: Into<Cow<'static, str>>>(
        kind: Kind,
        name: impl FnOnce() -> N,
        parts: impl Iterator<Item = Context>,
    ) -> Self {
        let Some(tracer) = TRACER.get() else { return Self::default() };
        let links = parts.map(|part| Link::with_context(part.to_span())).collect();
        Self::recorded(tracer, kind, name().into(), None, links)
    }

    fn recorded(
        tracer: &SdkTracer,
        kind: Kind,
        name: Cow<'static, str>,
        parent: Option<Context>,
        links: Vec<Link>,
    ) -> Self {
        let kind = match kind {
            Kind::Consumer => SpanKind::Consumer,
            Kind::Producer => SpanKind::Producer,
            Kind::Client => SpanKind::Client,
            Kind::Internal => SpanKind::Internal,
        };
        let none = opentelemetry::Context::new();
        let parent = parent.map_or_else(|| none.clone(), |parent| none.with_remote_span_context(parent.to_span()));
        let builder = tracer.span_builder(name).with_kind(kind).with_links(links);
        let span = tracer.build_with_context(builder, &parent);
        Self { context: Context::of_span(span.span_context()), recorded: Some(Box::new(span)) }
    }

    /// The context of what belongs to the span.
    #[must_use]
    pub fn context(&self) -> Option<Context> {
        self.context
    }

    /// Whether anybody will see what is said about the span.
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        self.recorded.as_ref().is_some_and(|span| span.is_recording())
    }

    /// Says something about the span.
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        if let Some(span) = &mut self.recorded {
            span.set_attribute(KeyValue::new(key, value));
        }
    }

    /// Says that what the span is about has failed, and how: a word of a closed set.
    pub fn fail(&mut self, error: &'static str) {
        self.set("error.type", error);
        if let Some(span) = &mut self.recorded {
            span.set_status(Status::error(error));
        }
    }

    /// Points to what was done for this span in another trace.
    pub fn link(&mut self, other: Option<Context>) {
        if let (Some(span), Some(other)) = (&mut self.recorded, other) {
            span.add_link(other.to_span(), Vec::new());
        }
    }

    /// Ends the span; its context stays. Twice is the same as once.
    pub fn end(&mut self) {
        drop(self.recorded.take());
    }
}

/// The context that the work of this task [belongs to](within).
#[must_use]
pub fn current() -> Option<Context> {
    CURRENT.try_with(|context| *context).ok()
}

/// Does `work` as part of `context`: what it logs has the trace id, and [`current`] says so.
pub async fn within<T>(context: Option<Context>, work: impl Future<Output = T>) -> T {
    match context {
        Some(context) => CURRENT.scope(context, work.instrument(line(context))).await,
        None => work.await,
    }
}

/// What gives a log line its trace id. Of the highest level, so that no filter takes it from a line that it lets through.
fn line(context: Context) -> tracing::Span {
    tracing::error_span!("trace", trace_id = context.trace_id())
}
