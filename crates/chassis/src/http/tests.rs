//! The client over a scripted transport.

use std::{
    io::Write,
    sync::{Mutex, PoisonError},
};

use http::header::LOCATION;
use serde::Deserialize;

use crate::exit::causes;

use super::{
    tokens::tests as given,
    transport::{Scripted, TransportError, answer},
    *,
};

#[derive(Debug, PartialEq, Deserialize)]
struct Person {
    fnr: String,
}

fn client(base: &str, script: &Scripted) -> Client {
    Client::new(base.parse().unwrap(), Arc::new(script.clone()))
}

async fn get(client: &Client, path: &[&str], query: &[(&str, &str)]) -> Result<Person, CallError> {
    client.get_json(path, query, &HeaderMap::new()).await
}

#[tokio::test]
async fn segments_and_query_are_encoded_below_the_base() {
    let script = Scripted::new();
    script.set(Method::GET, "/below/a%2Fb%3Fc/%C3%A5?person=1%262%3D3", StatusCode::OK, r#"{"fnr":"x","more":[1]}"#);
    for base in ["https://host.test/below", "https://host.test/below/"] {
        let person = get(&client(base, &script), &["a/b?c", "å"], &[("person", "1&2=3")]).await.unwrap();
        assert_eq!(person, Person { fnr: "x".to_owned() });
    }
}

#[tokio::test]
async fn a_base_is_called_as_it_stands_when_nothing_is_added() {
    let script = Scripted::new();
    script.set(Method::GET, "/keys/?tenant=1", StatusCode::OK, r#"{"fnr":"x"}"#);
    get(&client("https://host.test/keys/?tenant=1", &script), &[], &[]).await.unwrap();
}

#[tokio::test]
async fn a_segment_that_would_lead_elsewhere_is_not_sent() {
    let script = Scripted::answering(|_| panic!("nothing may be sent"));
    for segment in ["..", ".", ""] {
        let error = get(&client("https://host.test/below", &script), &["api", segment], &[]).await.unwrap_err();
        assert!(matches!(error.problem, Problem::Unsendable), "{error}");
    }
}

#[tokio::test]
async fn any_2xx_is_read_and_everything_else_is_its_status() {
    let script = Scripted::new();
    script.set(Method::GET, "/201", StatusCode::CREATED, r#"{"fnr":"x"}"#);
    script.set(Method::GET, "/404", StatusCode::NOT_FOUND, r#"{"fnr":"x"}"#);
    script.set(Method::GET, "/302", StatusCode::FOUND, r#"{"fnr":"x"}"#);
    let client = client("https://host.test", &script);
    get(&client, &["201"], &[]).await.unwrap();
    assert_eq!(get(&client, &["404"], &[]).await.unwrap_err().status(), Some(404));
    assert_eq!(causes(&get(&client, &["302"], &[]).await.unwrap_err()), "call to host.test failed: answered 302");
    assert_eq!(get(&client, &["unscripted"], &[]).await.unwrap_err().status(), Some(500));
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_takes_no_token_along() {
    let hosts = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&hosts);
    let script = Scripted::answering(move |request| {
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(request.uri().host().unwrap().to_owned());
        let mut redirect = answer(StatusCode::TEMPORARY_REDIRECT, "");
        redirect.headers_mut().insert(LOCATION, HeaderValue::from_static("https://other.test/"));
        Ok(redirect)
    });
    let error = get(&client("https://host.test", &script), &["a"], &[]).await.unwrap_err();
    assert_eq!(error.status(), Some(307));
    assert_eq!(*hosts.lock().unwrap(), ["host.test"]);
}

#[tokio::test]
async fn an_unreadable_answer_is_named_by_place_and_not_quoted() {
    let script = Scripted::new();
    script.set(Method::GET, "/a", StatusCode::OK, "{\n\"fnr\": 12345678901}");
    let error = get(&client("https://host.test", &script), &["a"], &[]).await.unwrap_err();
    assert_eq!(causes(&error), "call to host.test failed: answer cannot be read, line 2, column 18");
    assert!(!format!("{error:?}").contains("12345678901"));
}

#[tokio::test]
async fn a_body_is_sent_as_json_or_as_a_form_with_the_headers_given() {
    let script = Scripted::answering(|request| {
        assert_eq!(request.headers()["nav-call-id"], "7");
        assert_eq!(request.headers()["accept"], "application/json");
        let (kind, body) = match request.uri().path() {
            "/json" => ("application/json", r#"{"a":"ø & b"}"#),
            _ => ("application/x-www-form-urlencoded", "a=%C3%B8+%26+b"),
        };
        assert_eq!(
            (&request.headers()["content-type"], request.body().as_ref()),
            (&HeaderValue::from_static(kind), body.as_bytes())
        );
        Ok(answer(StatusCode::OK, r#"{"fnr":"x"}"#))
    });
    let client = client("https://host.test", &script);
    let mut headers = HeaderMap::new();
    headers.insert("Nav-Call-Id", HeaderValue::from_static("7"));
    let body = serde_json::json!({"a": "ø & b"});
    client.post_json::<_, Person>(&["json"], &body, &headers).await.unwrap();
    client.post_form::<Person>(&["form"], &[("a", "ø & b")], &headers).await.unwrap();
}

#[tokio::test]
async fn a_call_as_it_is_brings_back_any_answer() {
    let script = Scripted::answering(|request| {
        assert_eq!((request.method(), request.uri().path()), (&Method::DELETE, "/a*"));
        assert_eq!(request.body().as_ref(), b"x");
        Ok(answer(StatusCode::CONFLICT, "why"))
    });
    let client = client("https://host.test", &script);
    let answer = client.send(Method::DELETE, &["a*"], &[], HeaderMap::new(), "x".into()).await.unwrap();
    assert_eq!((answer.status(), answer.body().as_ref()), (StatusCode::CONFLICT, &b"why"[..]));
}

/// A neighbour that accepts tokens from the `valid`th on.
fn guarded(valid: usize) -> (Client, given::Endpoint) {
    let endpoint = given::Endpoint::new();
    let tokens = endpoint.tokens();
    let script = Scripted::answering(move |request| {
        let bearer = request.headers()["authorization"].to_str().unwrap().to_owned();
        let number: usize = given::number_of(bearer.strip_prefix("Bearer ").unwrap());
        let status = if number >= valid { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
        Ok(answer(status, r#"{"fnr":"x"}"#))
    });
    (client("https://host.test", &script).with_tokens(tokens, "scope"), endpoint)
}

#[tokio::test]
async fn a_401_renews_the_token_once() {
    let (client, endpoint) = guarded(2);
    get(&client, &["a"], &[]).await.unwrap();
    get(&client, &["a"], &[]).await.unwrap();
    assert_eq!(endpoint.asked(), 2, "the second token is kept");
}

#[tokio::test]
async fn a_second_401_is_the_answer() {
    let (client, endpoint) = guarded(usize::MAX);
    assert_eq!(get(&client, &["a"], &[]).await.unwrap_err().status(), Some(401));
    assert_eq!(endpoint.asked(), 2);
}

#[tokio::test]
async fn callers_refused_together_share_the_new_token() {
    let (client, endpoint) = guarded(2);
    let calls = futures::future::join_all((0..20).map(|_| get(&client, &["a"], &[]))).await;
    assert!(calls.iter().all(Result::is_ok));
    assert_eq!(endpoint.asked(), 2);
}

#[tokio::test]
async fn without_a_token_nothing_is_sent() {
    let endpoint = given::Endpoint::new();
    endpoint.fail(true);
    let client = client("https://host.test", &Scripted::answering(|_| panic!("nothing may be sent")))
        .with_tokens(endpoint.tokens(), "scope");
    let error = get(&client, &["a"], &[]).await.unwrap_err();
    assert_eq!(
        causes(&error),
        "call to host.test failed: no access token: the token endpoint gave no token: call to login.test failed: answered 503"
    );
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_names_the_path_but_neither_query_nor_token_nor_answer() {
    let (client, _endpoint) = guarded(1);
    let failing = self::client("https://host.test", &Scripted::answering(|_| Err(TransportError::Timeout)));
    let call_both = async || {
        get(&client, &["api", "fnr"], &[("personId", "5001")]).await.unwrap();
        get(&failing, &["api", "other"], &[("personId", "5001")]).await.unwrap_err();
    };
    // tracing remembers for the whole process who wants a line, and with one subscriber it asks the thread that comes to
    // the line first, which may be that of another test: so the lines are met before, and asked about again from here.
    call_both().await;
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let logging = tracing::subscriber::set_default(subscriber);
    tracing::callsite::rebuild_interest_cache();
    call_both().await;
    drop(logging);
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    for wanted in
        ["method=GET", "path=\"/api/fnr\"", "status=200", "ms=", "/api/other", "called host.test: no answer in time"]
    {
        assert!(text.contains(wanted), "{wanted} is missing in {text}");
    }
    for secret in ["5001", "personId", "Bearer", "eyJ", "fnr\":"] {
        assert!(!text.contains(secret), "{secret} stands in {text}");
    }
}
