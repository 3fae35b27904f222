use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, TcpListener, ToSocketAddrs},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use axum::{Router, body::to_bytes, response::IntoResponse};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header::CONTENT_TYPE};
use serde_json::Value;
use tokio::{runtime::Builder, sync::oneshot};
use url::form_urlencoded;

/// The largest body that a stub reads; a larger one is answered 413.
const BODY_BYTES: usize = 1 << 20;

/// An HTTP server on a free loopback port, on a thread of its own, until it is dropped.
///
/// What is not scripted is answered 500 with an empty body. Scripts may be added and replaced at any time.
#[derive(Debug)]
pub struct Stub {
    url: String,
    scripts: Arc<Mutex<Scripts>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// One request, as a script sees it.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// The path as it came, percent-encoded.
    pub path: String,
    /// The pairs of the query, decoded.
    pub query: Vec<(String, String)>,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Request {
    /// The body as JSON; `null` if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The value of `name` in a body that is a form.
    #[must_use]
    pub fn form(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(&self.body).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

/// What a stub answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// A JSON body; `None` for an empty one.
    pub body: Option<Value>,
}

impl Stub {
    /// A stub that listens now.
    ///
    /// # Errors
    /// No port or no thread can be had.
    pub fn start() -> io::Result<Self> {
        Self::listen((Ipv4Addr::LOCALHOST, 0))
    }

    /// A stub that listens now, at `address`.
    ///
    /// # Errors
    /// The address or a thread cannot be had.
    pub fn listen(address: impl ToSocketAddrs) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let url = format!("http://{}", listener.local_addr()?);
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let scripts = Arc::<Mutex<Scripts>>::default();
        let (stop, stopped) = oneshot::channel();
        let router = {
            let scripts = Arc::clone(&scripts);
            Router::new().fallback(move |request: axum::extract::Request| respond(Arc::clone(&scripts), request))
        };
        let thread = thread::Builder::new().name("stub".to_owned()).spawn(move || {
            runtime.block_on(async {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                tokio::select! {
                    _ = axum::serve(listener, router) => {}
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        })?;
        Ok(Self { url, scripts, stop: Some(stop), thread: Some(thread) })
    }

    /// `http://127.0.0.1:PORT`, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Begins the script for requests with this method and this path (percent-encoded, without query).
    ///
    /// Of several scripts that fit a request the newest answers it.
    pub fn on(&self, method: &str, path: &str) -> Script<'_> {
        Script { stub: self, method: method.to_owned(), path: path.to_owned(), conditions: Vec::new() }
    }

    /// How many requests came with this method and path, scripted or not.
    #[must_use]
    pub fn calls(&self, method: &str, path: &str) -> usize {
        lock(&self.scripts).calls.get(&(method.to_owned(), path.to_owned())).copied().unwrap_or_default()
    }

    /// Forgets every script and every count.
    pub fn forget(&self) {
        *lock(&self.scripts) = Scripts::default();
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

type Condition = Box<dyn Fn(&Request) -> bool + Send + Sync>;

/// A script that still needs its answer.
#[must_use = "a script without an answer is never used"]
pub struct Script<'a> {
    stub: &'a Stub,
    method: String,
    path: String,
    conditions: Vec<Condition>,
}

impl Script<'_> {
    /// Only where the query has this pair (decoded).
    pub fn query(self, name: &str, value: &str) -> Self {
        let pair = (name.to_owned(), value.to_owned());
        self.when(move |request| request.query.contains(&pair))
    }

    /// Only where `condition` holds.
    pub fn when(mut self, condition: impl Fn(&Request) -> bool + Send + Sync + 'static) -> Self {
        self.conditions.push(Box::new(condition));
        self
    }

    /// Answers with `status` and this JSON.
    pub fn answers(self, status: u16, body: Value) {
        self.answers_with(move |_| Answer { status, body: Some(body.clone()) });
    }

    /// Answers with `status` and no body.
    pub fn answers_empty(self, status: u16) {
        self.answers_with(move |_| Answer { status, body: None });
    }

    /// Answers with what `answer` makes of the request.
    pub fn answers_with(self, answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) {
        let Self { stub, method, path, conditions } = self;
        let fits = move |request: &Request| {
            request.method == method && request.path == path && conditions.iter().all(|holds| holds(request))
        };
        lock(&stub.scripts).answers.push(Arc::new(move |request| fits(request).then(|| answer(request))));
    }
}

type MaybeAnswer = Arc<dyn Fn(&Request) -> Option<Answer> + Send + Sync>;

#[derive(Default)]
struct Scripts {
    answers: Vec<MaybeAnswer>,
    calls: HashMap<(String, String), usize>,
}

impl std::fmt::Debug for Scripts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scripts").field("answers", &self.answers.len()).field("calls", &self.calls).finish()
    }
}

async fn respond(scripts: Arc<Mutex<Scripts>>, request: axum::extract::Request) -> axum::response::Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    let query = form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let request = Request {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query,
        headers: head.headers,
        body,
    };
    let answers = {
        let mut scripts = lock(&scripts);
        *scripts.calls.entry((request.method.clone(), request.path.clone())).or_default() += 1;
        scripts.answers.clone()
    };
    match answers.iter().rev().find_map(|answer| answer(&request)) {
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Some(Answer { status, body }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            match body {
                Some(body) => (status, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response(),
                None => status.into_response(),
            }
        }
    }
}

fn lock(scripts: &Mutex<Scripts>) -> MutexGuard<'_, Scripts> {
    scripts.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http1;

    async fn call(stub: &Stub, method: &str, target: &str, body: &str) -> (u16, Value) {
        let (status, body) = http1::call(method, &format!("{}{target}", stub.url()), body).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    #[tokio::test]
    async fn what_is_not_scripted_is_an_empty_500() {
        let stub = Stub::start().unwrap();
        assert_eq!(call(&stub, "GET", "/x?a=1", "").await, (500, Value::Null));
        assert_eq!((stub.calls("GET", "/x"), stub.calls("POST", "/x")), (1, 0));
    }

    #[tokio::test]
    async fn a_script_fits_by_method_path_and_query() {
        let stub = Stub::start().unwrap();
        stub.on("GET", "/api/ords/fnr").query("personId", "5 1").answers(200, json!({"fnr": "90000000051"}));
        stub.on("GET", "/api/ords/fnr").query("personId", "52").answers_empty(404);
        let target = "/api/ords/fnr?personId=";
        assert_eq!(call(&stub, "GET", &format!("{target}5%201"), "").await, (200, json!({"fnr": "90000000051"})));
        assert_eq!(call(&stub, "GET", &format!("{target}52"), "").await, (404, Value::Null));
        assert_eq!(call(&stub, "GET", &format!("{target}53"), "").await.0, 500);
        assert_eq!(call(&stub, "POST", &format!("{target}52"), "").await.0, 500);
        assert_eq!(stub.calls("GET", "/api/ords/fnr"), 3);
    }

    #[tokio::test]
    async fn a_script_fits_by_body() {
        let stub = Stub::start().unwrap();
        stub.on("POST", "/d").when(|request| request.json()["personIdent"] == "1").answers(200, json!([]));
        assert_eq!(call(&stub, "POST", "/d", r#"{"personIdent": "1"}"#).await, (200, json!([])));
        assert_eq!(call(&stub, "POST", "/d", r#"{"personIdent": "2"}"#).await.0, 500);
        assert_eq!(call(&stub, "POST", "/d", "{").await.0, 500);
    }

    #[tokio::test]
    async fn the_newest_script_answers_until_all_are_forgotten() {
        let stub = Stub::start().unwrap();
        stub.on("GET", "/x").answers(500, Value::Null);
        stub.on("GET", "/x").answers(200, json!(1));
        assert_eq!(call(&stub, "GET", "/x", "").await, (200, json!(1)));
        stub.forget();
        assert_eq!(stub.calls("GET", "/x"), 0);
        assert_eq!(call(&stub, "GET", "/x", "").await, (500, Value::Null));
    }

    #[tokio::test]
    async fn a_stub_that_is_dropped_no_longer_listens() {
        let stub = Stub::start().unwrap();
        let url = stub.url().to_owned();
        drop(stub);
        assert!(http1::call("GET", &url, "").await.is_err());
    }
}
