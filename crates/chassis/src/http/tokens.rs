//! Access tokens by OAuth2 client credentials, with a signed assertion in place of a secret
//! (`docs/spec/arena-acl.md`, section 8 "Tokens"; RFC 7523).

mod key;

#[cfg(test)]
pub(super) mod tests;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::{BoxFuture, FutureExt, WeakShared};
use http::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};
use url::Url;
use uuid::Uuid;

pub use self::key::{KeyError, PrivateJwk};
use super::{CallError, Client, transport::Transport};
use crate::clock;

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const ASSERTION_LIFETIME: TimeDelta = TimeDelta::seconds(30);
const LONGEST_KEPT: TimeDelta = TimeDelta::hours(1);
const RENEWED_BEFORE_EXPIRY: TimeDelta = TimeDelta::seconds(30);

/// Access tokens of one client, kept per scope. Clones share them.
///
/// A token is kept for at most an hour and renewed when it expires within 30 s. All who want one at the same time wait
/// for the same request; its failure is the failure of each of them, and the next to ask tries again.
#[derive(Clone)]
pub struct Tokens(Arc<Issuer>);

struct Issuer {
    endpoint: Client,
    audience: String,
    client_id: String,
    key: PrivateJwk,
    scopes: Mutex<HashMap<String, Scope>>,
}

#[derive(Default)]
struct Scope {
    kept: Option<Kept>,
    /// The request that is under way. Weak: when all who wait for it are gone, so is it.
    request: Option<WeakShared<BoxFuture<'static, Result<HeaderValue, TokenError>>>>,
}

struct Kept {
    bearer: HeaderValue,
    until: DateTime<Utc>,
}

/// No access token.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TokenError {
    /// The token endpoint did not give one.
    #[error("the token endpoint gave no token")]
    Endpoint(#[source] Box<CallError>),
    /// The assertion could not be signed.
    #[error("the client assertion could not be signed")]
    Assertion,
    /// What the endpoint gave cannot stand in a header.
    #[error("the token endpoint gave a token that cannot be sent")]
    Unsendable,
}

#[derive(Serialize)]
struct Assertion<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    jti: String,
    iat: i64,
    nbf: i64,
    exp: i64,
}

#[derive(Deserialize)]
struct Grant {
    access_token: String,
}

#[derive(Deserialize)]
struct Claims {
    exp: i64,
}

impl Tokens {
    /// Tokens that `endpoint` gives to `client_id` for assertions signed with `key`.
    #[must_use]
    pub fn new(endpoint: Url, client_id: String, key: PrivateJwk, transport: Arc<dyn Transport>) -> Self {
        let audience = endpoint.to_string();
        let endpoint = Client::new(endpoint, transport);
        Self(Arc::new(Issuer { endpoint, audience, client_id, key, scopes: Mutex::default() }))
    }

    /// The value of an `Authorization` header for `scope`: a token that is kept, or a new one.
    ///
    /// # Errors
    /// [`TokenError`]: none is kept and none was given. It is not remembered.
    pub async fn bearer(&self, scope: &str) -> Result<HeaderValue, TokenError> {
        self.get(scope, None).await
    }

    /// The same after `refused` was answered 401: a new token, unless another caller got one since.
    ///
    /// # Errors
    /// As [`bearer`](Self::bearer).
    pub async fn bearer_after(&self, scope: &str, refused: &HeaderValue) -> Result<HeaderValue, TokenError> {
        self.get(scope, Some(refused)).await
    }

    async fn get(&self, scope: &str, refused: Option<&HeaderValue>) -> Result<HeaderValue, TokenError> {
        let request = {
            let mut scopes = self.0.scopes.lock().unwrap_or_else(PoisonError::into_inner);
            let place = scopes.entry(scope.to_owned()).or_default();
            if let Some(kept) = &place.kept
                && kept.until > clock::real_now()
                && refused != Some(&kept.bearer)
            {
                return Ok(kept.bearer.clone());
            }
            match place.request.as_ref().and_then(WeakShared::upgrade) {
                Some(under_way) => under_way,
                None => {
                    let request = self.clone().request(scope.to_owned()).shared();
                    place.request = request.downgrade();
                    request
                }
            }
        };
        request.await
    }

    fn request(self, scope: String) -> BoxFuture<'static, Result<HeaderValue, TokenError>> {
        async move {
            let result = self.0.grant(&scope).await;
            let mut scopes = self.0.scopes.lock().unwrap_or_else(PoisonError::into_inner);
            let place = scopes.entry(scope).or_default();
            place.request = None;
            let (bearer, until) = result?;
            place.kept = Some(Kept { bearer: bearer.clone(), until });
            Ok(bearer)
        }
        .boxed()
    }
}

impl Issuer {
    async fn grant(&self, scope: &str) -> Result<(HeaderValue, DateTime<Utc>), TokenError> {
        let asked = clock::real_now();
        let assertion = self.assertion(asked)?;
        let form = [
            ("grant_type", "client_credentials"),
            ("scope", scope),
            ("audience", scope),
            ("client_assertion_type", ASSERTION_TYPE),
            ("client_assertion", &assertion),
        ];
        let grant: Grant = self
            .endpoint
            .post_form(&[], &form, &HeaderMap::new())
            .await
            .map_err(|error| TokenError::Endpoint(Box::new(error)))?;
        let Ok(mut bearer) = HeaderValue::try_from(format!("Bearer {}", grant.access_token)) else {
            return Err(TokenError::Unsendable);
        };
        bearer.set_sensitive(true);
        Ok((bearer, kept_until(asked, expiry(&grant.access_token))))
    }

    fn assertion(&self, now: DateTime<Utc>) -> Result<String, TokenError> {
        let claims = Assertion {
            iss: &self.client_id,
            sub: &self.client_id,
            aud: &self.audience,
            jti: Uuid::new_v4().to_string(),
            iat: now.timestamp(),
            nbf: now.timestamp(),
            exp: (now + ASSERTION_LIFETIME).timestamp(),
        };
        self.key.sign(&claims).ok_or(TokenError::Assertion)
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("client_id", &self.0.client_id).finish_non_exhaustive()
    }
}

/// When the token says that it expires. The signature is for those who accept the token.
fn expiry(token: &str) -> Option<DateTime<Utc>> {
    let claims: Claims = jsonwebtoken::dangerous::insecure_decode_claims(token).ok()?;
    DateTime::from_timestamp(claims.exp, 0)
}

/// A token that does not say when it expires is used once and not kept.
fn kept_until(now: DateTime<Utc>, expiry: Option<DateTime<Utc>>) -> DateTime<Utc> {
    expiry.map_or(now, |expiry| (expiry - RENEWED_BEFORE_EXPIRY).min(now + LONGEST_KEPT))
}
