use std::{convert::Infallible, future::pending, time::Duration};

use axum::body::{Body, to_bytes};
use http::{Method, Request};
use serde_json::Value;
use tokio::{sync::oneshot, task::JoinSet, time::sleep};
use tower::ServiceExt as _;

use super::*;
use crate::{parts::Parts, settings};

const SECOND: Duration = Duration::from_secs(1);

async fn ask(router: &Router, method: Method, path: &str) -> (u16, String, String) {
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    let answer = router.clone().oneshot(request).await.unwrap();
    let kind = answer.headers().get(CONTENT_TYPE).unwrap().to_str().unwrap().to_owned();
    let status = answer.status().as_u16();
    let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    (status, kind, String::from_utf8(body.to_vec()).unwrap())
}

async fn problem_of(router: &Router, method: Method, path: &str) -> Value {
    let (status, kind, body) = ask(router, method, path).await;
    assert_eq!(kind, "application/problem+json");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["status"], status);
    body
}

#[tokio::test(start_paused = true)]
async fn probes_answer_by_the_flags_of_the_parts() {
    let mut parts = Parts::new(pending());
    let router = router(parts.health(), Metrics::new());
    let (given, part) = oneshot::channel();
    parts.spawn("kafka", SECOND, |part| async move {
        given.send(part.clone()).unwrap();
        part.stopping().await;
        Ok::<(), Infallible>(())
    });
    let part = part.await.unwrap();
    let mut run = JoinSet::new();
    run.spawn(parts.run());
    sleep(SECOND).await;

    assert_eq!(problem_of(&router, Method::GET, "/readyz").await["detail"], "kafka: starting");
    assert_eq!(problem_of(&router, Method::GET, "/startupz").await["detail"], "kafka: not ready yet");
    part.ready();
    for path in ["/readyz", "/startupz", "/livez"] {
        assert_eq!(ask(&router, Method::GET, path).await.0, 200, "{path}");
    }
    part.progress_within(SECOND);
    sleep(2 * SECOND).await;
    let dead = problem_of(&router, Method::GET, "/livez").await;
    assert_eq!(dead["status"], 503);
    assert_eq!(dead["detail"], "kafka: no progress within 1000 ms");
}

#[tokio::test]
async fn metrics_are_text() {
    let metrics = Metrics::new();
    metrics.received("deltaker");
    let router = router(Health::default(), metrics);
    let (status, kind, body) = ask(&router, Method::GET, "/metrics").await;
    assert_eq!((status, kind.as_str()), (200, "text/plain; version=0.0.4; charset=utf-8"));
    assert!(body.contains(r#"truecopy_messages_received_total{source="deltaker"} 1"#), "{body}");
}

#[tokio::test]
async fn everything_else_is_a_problem() {
    let router = router(Health::default(), Metrics::new());
    for path in ["/", "/admin/dead-letters", "/livez/"] {
        assert_eq!(problem_of(&router, Method::GET, path).await["status"], 404, "{path}");
    }
    assert_eq!(problem_of(&router, Method::POST, "/livez").await["status"], 405);
}

#[tokio::test]
async fn an_address_that_cannot_be_had_ends_the_process() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = Settings { listen: taken.local_addr().unwrap(), token: None };
    let mut parts = Parts::new(pending());
    let health = parts.health();
    parts.spawn_last("admin", SECOND, |part| serve(settings, health, Metrics::new(), Router::new(), part));
    let error = parts.run().await.unwrap_err();
    assert!(error.to_string().starts_with("part admin failed"));
}

#[test]
fn it_listens_on_loopback_and_its_token_is_a_secret() {
    let settings = settings::read([("TRUECOPY_ADMIN_TOKEN", "canary")], Settings::declare).unwrap();
    assert!(settings.listen.ip().is_loopback());
    assert!(!format!("{settings:?}").contains("canary"));
}
