//! The transport of tests and standalone: no network, answers as they were written down.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use bytes::Bytes;
use futures::future::{self, BoxFuture, FutureExt};
use http::{Method, StatusCode};

use super::{Request, Response, Transport, TransportError};

type Script = dyn Fn(&Request) -> Result<Response, TransportError> + Send + Sync;

/// Answers at once from a table and, where that has none, from a function. Clones share both.
///
/// It keeps nothing of what it is asked.
#[derive(Clone)]
pub struct Scripted {
    table: Arc<RwLock<HashMap<(Method, String), Response>>>,
    otherwise: Arc<Script>,
}

impl Scripted {
    /// A script without answers: every call is answered 500 with an empty body.
    #[must_use]
    pub fn new() -> Self {
        Self::answering(|_| Ok(answer(StatusCode::INTERNAL_SERVER_ERROR, "")))
    }

    /// A script that answers through `otherwise` what its table does not.
    #[must_use]
    pub fn answering(otherwise: impl Fn(&Request) -> Result<Response, TransportError> + Send + Sync + 'static) -> Self {
        Self { table: Arc::default(), otherwise: Arc::new(otherwise) }
    }

    /// From now on `method` on `target`, path and query as they are sent, whatever the host, is answered like this.
    pub fn set(&self, method: Method, target: impl Into<String>, status: StatusCode, body: impl Into<Bytes>) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        table.insert((method, target.into()), answer(status, body));
    }

    fn find(&self, request: &Request) -> Option<Response> {
        let target = request.uri().path_and_query()?.to_string();
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.get(&(request.method().clone(), target)).cloned()
    }
}

impl Default for Scripted {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scripted").finish_non_exhaustive()
    }
}

impl Transport for Scripted {
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Response, TransportError>> {
        let found = self.find(&request);
        future::ready(found.map_or_else(|| (self.otherwise)(&request), Ok)).boxed()
    }
}

/// An answer for a script.
pub fn answer(status: StatusCode, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response
}
