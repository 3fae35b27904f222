//! The engine over HTTP: Elasticsearch 7.4 and later, OpenSearch 1 and later.
//!
//! It speaks only what all of them understand: no point in time, no `case_insensitive`, no types. Each method is one request, or one more
//! where the engine would otherwise make an index by itself; none is repeated. What it promises was run against Elasticsearch 7.4.2 and
//! OpenSearch 1.3.13 and 2.19.6; `./dev test` runs it against the last.

mod answers;
mod bulk;
mod engine;
mod problem;
mod query;
#[cfg(test)]
mod tests;

use ::http::{
    HeaderMap, HeaderValue, Method,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use chassis::http::{Client, transport::Response};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;

use self::problem::About;
use crate::engine::Error;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const LINES: HeaderValue = HeaderValue::from_static("application/x-ndjson");

/// An engine below the address of a client, whose limits of time and size hold for each request. Clones share the connections.
#[derive(Debug, Clone)]
pub struct Http {
    client: Client,
    login: Option<HeaderValue>,
}

impl Http {
    /// The engine that `client` calls, without a login.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client, login: None }
    }

    /// The same with a user and a password on each request (HTTP basic authentication).
    #[must_use]
    pub fn with_login(self, user: &str, password: &SecretString) -> Self {
        let login = STANDARD.encode(format!("{user}:{}", password.expose_secret()));
        // base64 always fits into a header
        let login = HeaderValue::try_from(format!("Basic {login}")).ok().map(|mut login| {
            login.set_sensitive(true);
            login
        });
        Self { login, ..self }
    }

    async fn fetch<T: DeserializeOwned>(
        &self,
        about: About<'_>,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<T, Error> {
        let answer = self.send(Method::GET, path, query, HeaderMap::new(), Bytes::new()).await?;
        about.read(&answer)
    }

    async fn call<T: DeserializeOwned>(
        &self,
        about: About<'_>,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: &Value,
    ) -> Result<T, Error> {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, JSON)]);
        about.read(&self.send(method, path, query, headers, body.to_string().into()).await?)
    }

    async fn lines(&self, path: &[&str], query: &[(&str, &str)], body: Bytes) -> Result<Response, Error> {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, LINES)]);
        self.send(Method::POST, path, query, headers, body).await
    }

    async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response, Error> {
        if let Some(login) = &self.login {
            headers.insert(AUTHORIZATION, login.clone());
        }
        self.client.send(method, path, query, headers, body).await.map_err(|error| problem::of_call(&error))
    }
}
