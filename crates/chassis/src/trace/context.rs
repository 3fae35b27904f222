//! Where in which trace something happens, as the header `traceparent` has it.

use std::{
    fmt::{self, Write as _},
    str::FromStr,
};

use bytes::Bytes;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// The name of the header and of the column that hold a context. Source: W3C Trace Context, level 1.
pub const TRACEPARENT: &str = "traceparent";

/// A place in a trace: which trace, which span of it, and whether the trace is recorded.
///
/// Its text is the value of `traceparent`, and always the same for the same context. What a producer puts into `tracestate` is its own and
/// may be anything: it is not read and not sent on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Context {
    trace: TraceId,
    span: SpanId,
    sampled: bool,
}

/// The text is no `traceparent`. It is not quoted: it came from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a traceparent")]
pub struct NotAContext;

impl Context {
    /// The context in `headers`, whose names are compared without regard to case; `None` where there is none that can be read.
    #[must_use]
    pub fn of(headers: &[(String, Bytes)]) -> Option<Self> {
        let mut values = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(TRACEPARENT));
        values.find_map(|(_, value)| str::from_utf8(value).ok()?.parse().ok())
    }

    /// The header to send.
    #[must_use]
    pub fn header(&self) -> (String, Bytes) {
        (TRACEPARENT.to_owned(), Bytes::from(self.to_string()))
    }

    /// The id of the trace, 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(&self) -> String {
        self.trace.to_string()
    }

    pub(super) fn of_span(span: &SpanContext) -> Option<Self> {
        span.is_valid().then(|| Self { trace: span.trace_id(), span: span.span_id(), sampled: span.is_sampled() })
    }

    pub(super) fn to_span(self) -> SpanContext {
        let flags = TraceFlags::default().with_sampled(self.sampled);
        SpanContext::new(self.trace, self.span, flags, true, TraceState::NONE)
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('<')?;
        fmt::Display::fmt(self, f)?;
        f.write_char('>')
    }
}

impl FromStr for Context {
    type Err = NotAContext;

    /// As the standard says: a version that is not known may have more behind the four parts of the first one.
    fn from_str(text: &str) -> Result<Self, NotAContext> {
        let mut parts = text.trim().splitn(5, '-');
        let mut part = |length| parts.next().filter(|part| part.len() == length && is_hex(part)).ok_or(NotAContext);
        let (version, trace, span, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        if version == "ff" || (version == "00" && parts.next().is_some()) {
            return Err(NotAContext);
        }
        let trace = TraceId::from_hex(trace).map_err(|_not_hex| NotAContext)?;
        let span = SpanId::from_hex(span).map_err(|_not_hex| NotAContext)?;
        let flags = u8::from_str_radix(flags, 16).map_err(|_not_hex| NotAContext)?;
        if trace == TraceId::INVALID || span == SpanId::INVALID {
            return Err(NotAContext);
        }
        Ok(Self { trace, span, sampled: flags & 1 == 1 })
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_context_is_its_text() {
        let context: Context = KNOWN.parse().unwrap();
        assert_eq!(context.to_string(), KNOWN);
        assert_eq!(context.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(Context::of_span(&context.to_span()), Some(context));
        assert_eq!(KNOWN.replace("-01", "-00").parse::<Context>().unwrap().to_string(), KNOWN.replace("-01", "-00"));
    }

    #[test]
    fn what_is_no_traceparent_is_no_context() {
        for text in [
            "",
            "canary",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0é",
        ] {
            assert_eq!(text.parse::<Context>(), Err(NotAContext), "{text}");
        }
        let later = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes-later";
        assert_eq!(later.parse::<Context>().unwrap().to_string(), KNOWN);
    }

    #[test]
    fn the_header_is_found_however_it_is_written() {
        let header = |name: &str, value: &'static str| (name.to_owned(), Bytes::from_static(value.as_bytes()));
        let found = Context::of(&[header("a", "b"), header("TraceParent", "canary"), header("TRACEPARENT", KNOWN)]);
        assert_eq!(found.unwrap().header(), header("traceparent", KNOWN));
        assert_eq!(Context::of(&[header("tracestate", KNOWN)]), None);
    }
}
