//! `sync`: runs, over the HTTP API of a service that runs.

use std::time::Duration;

use axum::http::{
    HeaderMap, HeaderValue, Method,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use bytes::Bytes;
use chassis::{
    exit::Done,
    http::{CallError, Client},
};
use clap::Subcommand;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::terminal;

/// Between two looks at a run.
const LOOK: Duration = Duration::from_secs(1);

/// What is done about runs.
#[derive(Debug, Subcommand)]
pub enum Sync {
    /// Request a run
    Start {
        /// Wait for its end, and show how it goes on
        #[arg(long)]
        watch: bool,
        /// Accept a result that is much smaller than what is live
        #[arg(long)]
        force: bool,
    },
    /// Show the current run, or the last one
    Status,
    /// Stop the current run before its swap
    Cancel,
    /// Make the generation before the last run live again
    Rollback,
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The service could not be called.
    #[error("the service cannot be called")]
    Call(#[from] CallError),
    /// The service said no.
    #[error("the service refused with {status}: {message}")]
    Refused {
        /// The status.
        status: u16,
        /// Its words.
        message: String,
    },
    /// The run did not complete.
    #[error("the run ended as {0}")]
    Ended(String),
}

/// Calls a service.
pub(crate) struct Caller {
    client: Client,
    token: Option<SecretString>,
}

impl Caller {
    pub(crate) fn new(client: Client, token: Option<SecretString>) -> Self {
        Self { client, token }
    }

    async fn call(&self, method: Method, path: &[&str], body: Option<Value>) -> Result<Value, SyncError> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let bearer = self.token.as_ref().map(|token| format!("Bearer {}", token.expose_secret()));
        if let Some(bearer) = bearer.and_then(|bearer| HeaderValue::from_str(&bearer).ok()) {
            headers.insert(AUTHORIZATION, bearer);
        }
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let path: Vec<&str> = ["api", "v1", "sync", "runs"].into_iter().chain(path.iter().copied()).collect();
        let response = self.client.send(method, &path, &[], headers, body).await?;
        let answer: Value = serde_json::from_slice(response.body()).unwrap_or_default();
        if response.status().is_success() {
            return Ok(answer);
        }
        let message = text(&answer, "message").unwrap_or("no reason was given").to_owned();
        Err(SyncError::Refused { status: response.status().as_u16(), message })
    }
}

pub(crate) async fn run(caller: &Caller, asked: Sync) -> Result<Done, SyncError> {
    let (path, method): (&[&str], _) = match asked {
        Sync::Start { watch, force } => {
            let run = caller.call(Method::POST, &[], Some(json!({ "force": force }))).await?;
            terminal::print_json(&run);
            return if watch { follow(caller, text(&run, "id").unwrap_or("current")).await } else { Ok(Done::All) };
        }
        Sync::Status => (&["current"], Method::GET),
        Sync::Cancel => (&["current", "cancel"], Method::POST),
        Sync::Rollback => (&["current", "rollback"], Method::POST),
    };
    terminal::print_json(&caller.call(method, path, None).await?);
    Ok(Done::All)
}

/// Shows a run whenever it moved on, until it ends.
async fn follow(caller: &Caller, id: &str) -> Result<Done, SyncError> {
    let mut shown = Value::Null;
    loop {
        let run = caller.call(Method::GET, &[id], None).await?;
        let line = json!({"stage": run.get("stage"), "percent": run.get("percent"), "documents": run.get("documents")});
        if line != shown {
            terminal::print_json(&line);
            shown = line;
        }
        match text(&run, "state") {
            Some("running") => sleep(LOOK).await,
            Some("completed") => return Ok(Done::All),
            other => return Err(SyncError::Ended(other.unwrap_or("unknown").to_owned())),
        }
    }
}

fn text<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str)
}
