//! Who may use the public API: the bearer of a token that our identity provider issued for us (docs/spec/arena-acl.md 7.1).

mod keys;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use chassis::{
    exit::causes,
    http::{Client, transport::Transport},
};
use http::HeaderValue;
use tokio::{
    sync::{Mutex, MutexGuard, watch},
    time::Instant,
};
use url::Url;

pub use self::keys::FetchError;
use self::keys::Keys;

/// An unknown key leads to a request at most this often, or strangers could make us ask without end.
const BETWEEN_FETCHES: Duration = Duration::from_secs(60);
/// After a failure there may be no key at all, so the next try is sooner.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// After this the keys are fetched again, so that one that was withdrawn ceases to count.
const FRESH: Duration = Duration::from_secs(3600);

/// Checks tokens against the keys of the identity provider, which are fetched when they are first needed.
pub struct Auth {
    provider: Client,
    well_known: Url,
    transport: Arc<dyn Transport>,
    audience: String,
    keys: watch::Sender<Option<Arc<Keys>>>,
    /// When the provider may be asked again; held while it is asked.
    next_fetch: Mutex<Option<Instant>>,
}

/// Why a request is refused. Nothing of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unauthorized {
    /// No bearer token.
    #[error("no bearer token")]
    Missing,
    /// The token is not one of ours, or not any more.
    #[error("bearer token refused")]
    Refused,
    /// The provider has not yet told its keys.
    #[error("bearer token cannot be checked now")]
    Unchecked,
}

impl Auth {
    /// Checks tokens for `audience` from the provider whose discovery document is at `well_known`. Calls nothing yet.
    pub fn new(transport: Arc<dyn Transport>, well_known: Url, audience: String) -> Self {
        let provider = Client::new(well_known.clone(), Arc::clone(&transport));
        let (keys, _) = watch::channel(None);
        Self { provider, well_known, transport, audience, keys, next_fetch: Mutex::new(None) }
    }

    /// Whether the value of an `Authorization` header holds a token that counts now: RS256 by a key of the provider, its
    /// issuer, our audience, not expired and already valid, with a minute of grace between clocks. No scope or role is needed.
    ///
    /// # Errors
    /// [`Unauthorized`]; the answer is 401 in each case.
    pub async fn check(&self, authorization: Option<&HeaderValue>) -> Result<(), Unauthorized> {
        let token = authorization.and_then(bearer).ok_or(Unauthorized::Missing)?;
        let key_id = keys::key_id(token).ok_or(Unauthorized::Refused)?;
        let keys = self.keys_with(&key_id).await.ok_or(Unauthorized::Unchecked)?;
        if keys.accept(&key_id, token) { Ok(()) } else { Err(Unauthorized::Refused) }
    }

    /// The keys, fetched anew if `key_id` is not among them or they are old; `None` when there are none yet.
    async fn keys_with(&self, key_id: &str) -> Option<Arc<Keys>> {
        let held = self.keys.borrow().clone();
        match &held {
            Some(keys) if keys.has(key_id) && keys.fetched.elapsed() < FRESH => held,
            // Old ones serve on while one request sees to new ones.
            Some(keys) if keys.has(key_id) => match self.next_fetch.try_lock() {
                Ok(next_fetch) => self.fetch(key_id, next_fetch).await,
                Err(_) => held,
            },
            _ => self.fetch(key_id, self.next_fetch.lock().await).await,
        }
    }

    async fn fetch(&self, key_id: &str, mut next_fetch: MutexGuard<'_, Option<Instant>>) -> Option<Arc<Keys>> {
        let held = self.keys.borrow().clone();
        let now = Instant::now();
        // Whoever held the lock before may have fetched what is missing.
        let known = held.as_ref().is_some_and(|keys| keys.has(key_id) && keys.fetched.elapsed() < FRESH);
        if known || next_fetch.is_some_and(|next| now < next) {
            return held;
        }
        *next_fetch = Some(now + BETWEEN_FETCHES);
        match self.ask().await {
            Ok(keys) => {
                let keys = Some(Arc::new(keys));
                self.keys.send_replace(keys.clone());
                keys
            }
            Err(error) => {
                *next_fetch = Some(now + AFTER_FAILURE);
                tracing::warn!("keys for the public API could not be fetched: {}", causes(&error));
                held
            }
        }
    }

    /// Whether the provider tells its keys now; they are not kept.
    ///
    /// # Errors
    /// What stands in the way, without anything of an answer.
    pub async fn reachable(&self) -> Result<(), FetchError> {
        self.ask().await.map(drop)
    }

    async fn ask(&self) -> Result<Keys, FetchError> {
        keys::fetch(&self.provider, &self.well_known, Arc::clone(&self.transport), &self.audience).await
    }
}

/// The token of `Bearer TOKEN`; the name of the scheme is not case-sensitive (RFC 9110, 11.1).
fn bearer(header: &HeaderValue) -> Option<&str> {
    let (scheme, token) = header.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
