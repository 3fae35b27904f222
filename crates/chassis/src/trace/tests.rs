//! Without a collector; with one, the live tests of the services show what arrives.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderValue, StatusCode};

use super::*;
use crate::{
    http::transport::{Observed, Scripted, Transport as _, TransportError, answer},
    metrics::Metrics,
    settings,
};

const KNOWN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn unnamed() -> String {
    panic!("nobody needs a name")
}

#[tokio::test]
async fn while_nothing_is_exported_a_context_is_passed_on_and_none_is_made() {
    let context: Context = KNOWN.parse().unwrap();
    let mut span = Span::begin(Kind::Consumer, unnamed, Some(context));
    assert_eq!((span.context(), span.is_recorded()), (Some(context), false));
    span.end();
    assert_eq!(span.context(), Some(context));
    assert_eq!(Span::begin(Kind::Consumer, unnamed, None).context(), None);
    assert_eq!(Span::over(Kind::Consumer, unnamed, [context].into_iter()).context(), None);
    within(Some(context), async { assert_eq!(current(), Some(context)) }).await;
    within(None, async { assert_eq!(current(), None) }).await;
}

#[tokio::test]
async fn a_call_is_counted_and_carries_the_trace_it_belongs_to() {
    let (metrics, sent) = (Metrics::new(), Arc::<Mutex<Vec<Option<HeaderValue>>>>::default());
    let seen = Arc::clone(&sent);
    let transport = Scripted::answering(move |request| {
        seen.lock().unwrap().push(request.headers().get(TRACEPARENT).cloned());
        if request.uri().path() == "/late" {
            return Err(TransportError::Timeout);
        }
        Ok(answer(StatusCode::NOT_FOUND, ""))
    });
    let observed = Observed::new(Arc::new(transport), metrics.clone(), "neighbour");
    let request = |uri: &str| http::Request::get(uri).body(Bytes::new()).unwrap();
    observed.send(request("http://neighbour/late?personId=canary")).await.unwrap_err();
    within(KNOWN.parse().ok(), observed.send(request("http://neighbour/"))).await.unwrap();
    assert_eq!(*sent.lock().unwrap(), [None, Some(HeaderValue::from_static(KNOWN))]);
    let shown = metrics.render();
    for outcome in ["timeout", "4xx"] {
        let series = format!(r#"truecopy_call_duration_seconds_count{{dependency="neighbour",outcome="{outcome}"}} 1"#);
        assert!(shown.contains(&series), "{shown}");
    }
    assert!(!shown.contains("canary"));
}

#[test]
fn wrong_settings_are_named_without_their_values() {
    let given = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "canary"),
        ("OTEL_TRACES_SAMPLER_ARG", "1.5"),
    ];
    let problems = settings::read(given, Settings::declare).unwrap_err();
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    for name in ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_TRACES_SAMPLER_ARG"] {
        assert!(lines.iter().any(|line| line.starts_with(name)), "{lines:?}");
    }
    assert!(!lines.concat().contains("canary"));
}

#[test]
fn a_protocol_that_is_not_spoken_is_no_matter_without_a_collector() {
    let given = [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.namespace=amt%20acl,pod=a+b"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20canary,b=c"),
    ];
    let settings = settings::read(given, Settings::declare).unwrap();
    let shown = format!("{settings:?}");
    assert!(shown.contains("amt acl") && shown.contains("a+b"), "{shown}");
    assert!(!shown.contains("canary"), "{shown}");
}
