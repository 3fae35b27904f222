//! Outgoing HTTP: calls below one configured address, over a transport that tests and standalone script.
//!
//! No call is repeated, except once with a new access token after a 401. Redirects are answers like any other, so nothing
//! is ever sent to another host. Source: `docs/reliability.md`, section 7.

mod error;
pub mod tokens;
pub mod transport;

#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::Instant;
use url::Url;

pub use self::error::{CallError, Problem};
use self::{
    tokens::Tokens,
    transport::{Response, Transport},
};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// Calls below one address. Clones share the transport and the tokens.
#[derive(Clone)]
pub struct Client {
    base: Url,
    host: Arc<str>,
    transport: Arc<dyn Transport>,
    access: Option<Access>,
}

#[derive(Clone)]
struct Access {
    tokens: Tokens,
    scope: Arc<str>,
}

/// What a call carries beside its address.
struct Content {
    method: Method,
    headers: HeaderMap,
    body: Bytes,
}

impl Client {
    /// Calls below `base`, which may have a path of its own, without authentication.
    #[must_use]
    pub fn new(base: Url, transport: Arc<dyn Transport>) -> Self {
        let host = base.host_str().unwrap_or_default().into();
        Self { base, host, transport, access: None }
    }

    /// The same with `Authorization: Bearer` for `scope` on each call.
    #[must_use]
    pub fn with_tokens(self, tokens: Tokens, scope: impl Into<Arc<str>>) -> Self {
        Self { access: Some(Access { tokens, scope: scope.into() }), ..self }
    }

    /// `GET` of `path` with `query`; the answer is JSON. Segments and query are percent-encoded here.
    ///
    /// # Errors
    /// [`CallError`]: no answer, an answer other than 2xx, or one that is not a `T`. Members that `T` does not know are ignored.
    pub async fn get_json<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        headers: &HeaderMap,
    ) -> Result<T, CallError> {
        let content = Content { method: Method::GET, headers: headers.clone(), body: Bytes::new() };
        self.call(path, query, content).await
    }

    /// `POST` of `body` as JSON to `path`; the answer is JSON.
    ///
    /// # Errors
    /// As [`get_json`](Self::get_json), and a `body` that is not JSON.
    pub async fn post_json<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &B,
        headers: &HeaderMap,
    ) -> Result<T, CallError> {
        // serde's text may quote the value.
        let Ok(body) = serde_json::to_vec(body) else { return Err(self.error(Problem::Unsendable)) };
        let mut headers = headers.clone();
        headers.insert(CONTENT_TYPE, JSON);
        self.call(path, &[], Content { method: Method::POST, headers, body: body.into() }).await
    }

    /// `POST` of `form`, URL-encoded, to `path`; the answer is JSON.
    ///
    /// # Errors
    /// As [`get_json`](Self::get_json).
    pub async fn post_form<T: DeserializeOwned>(
        &self,
        path: &[&str],
        form: &[(&str, &str)],
        headers: &HeaderMap,
    ) -> Result<T, CallError> {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let mut headers = headers.clone();
        headers.insert(CONTENT_TYPE, FORM);
        self.call(path, &[], Content { method: Method::POST, headers, body: body.into() }).await
    }

    /// `method` on `path` with `query` and a body that says what it is in `headers`; the answer, whatever its status.
    ///
    /// # Errors
    /// [`CallError`]: no answer.
    pub async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response, CallError> {
        self.exchange(path, query, Content { method, headers, body }).await
    }

    async fn exchange(&self, path: &[&str], query: &[(&str, &str)], content: Content) -> Result<Response, CallError> {
        let url = self.url(path, query)?;
        match &self.access {
            None => self.attempt(&url, &content, None).await,
            Some(access) => self.authorised(&url, &content, access).await,
        }
    }

    async fn call<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        content: Content,
    ) -> Result<T, CallError> {
        let response = self.exchange(path, query, content).await?;
        if !response.status().is_success() {
            return Err(self.error(Problem::Status(response.status().as_u16())));
        }
        serde_json::from_slice(response.body()).map_err(|error| self.error(Problem::unreadable(&error)))
    }

    async fn authorised(&self, url: &Url, content: &Content, access: &Access) -> Result<Response, CallError> {
        let no_token = |error| self.error(Problem::Token(Box::new(error)));
        let bearer = access.tokens.bearer(&access.scope).await.map_err(no_token)?;
        let response = self.attempt(url, content, Some(&bearer)).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let bearer = access.tokens.bearer_after(&access.scope, &bearer).await.map_err(no_token)?;
        self.attempt(url, content, Some(&bearer)).await
    }

    async fn attempt(&self, url: &Url, content: &Content, bearer: Option<&HeaderValue>) -> Result<Response, CallError> {
        let request = http::Request::builder().method(&content.method).uri(url.as_str()).body(content.body.clone());
        // The error of http would be about the address, which may hold what must not be shown.
        let Ok(mut request) = request else { return Err(self.error(Problem::Unsendable)) };
        request.headers_mut().insert(ACCEPT, JSON);
        request.headers_mut().extend(content.headers.clone());
        if let Some(bearer) = bearer {
            request.headers_mut().insert(AUTHORIZATION, bearer.clone());
        }
        let start = Instant::now();
        let result = self.transport.send(request).await.map_err(|error| self.error(error.into()));
        self.log(&content.method, url, result.as_ref(), start);
        result
    }

    /// The query is left out: it names people.
    fn log(&self, method: &Method, url: &Url, result: Result<&Response, &CallError>, start: Instant) {
        let (host, path, ms) = (&*self.host, url.path(), start.elapsed().as_millis());
        match result {
            Ok(response) if response.status().is_success() => {
                tracing::debug!(%method, host, path, status = response.status().as_u16(), ms, "called {host}");
            }
            Ok(response) => {
                tracing::info!(%method, host, path, status = response.status().as_u16(), ms, "called {host}");
            }
            Err(error) => tracing::info!(%method, host, path, ms, "called {host}: {}", error.problem),
        }
    }

    fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Url, CallError> {
        let mut url = self.base.clone();
        // Dot segments and empty ones would lead to another resource; url drops the former without a word.
        let mut segments = match url.path_segments_mut() {
            Ok(segments) if !path.iter().any(|segment| matches!(*segment, "" | "." | "..")) => segments,
            _ => return Err(self.error(Problem::Unsendable)),
        };
        if !path.is_empty() {
            segments.pop_if_empty().extend(path);
        }
        drop(segments);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    fn error(&self, problem: Problem) -> CallError {
        CallError { host: Arc::clone(&self.host), problem }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("host", &self.host).finish_non_exhaustive()
    }
}
