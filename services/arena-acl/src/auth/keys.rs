//! The keys of the identity provider and what they say of a token (OpenID Connect Discovery 1.0; RFC 7517, RFC 7519).

use std::{collections::HashMap, sync::Arc};

use chassis::http::{CallError, Client, transport::Transport};
use http::HeaderMap;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, de::IgnoredAny};
use tokio::time::Instant;
use url::Url;

/// How far the clocks of issuer and checker may be apart.
const LEEWAY_SECONDS: u64 = 60;

pub(super) struct Keys {
    pub(super) fetched: Instant,
    by_id: HashMap<String, DecodingKey>,
    validation: Validation,
}

/// The provider did not tell its keys.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// It did not answer, or not with what was asked for.
    #[error("the identity provider did not answer")]
    Call(#[from] CallError),
    /// Keys of another host are none.
    #[error("the discovery document names keys at another host than its own")]
    Elsewhere,
    /// Tokens cannot be checked without.
    #[error("the discovery document names no issuer")]
    NoIssuer,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<PublishedKey>,
}

/// A published key of any kind; those that we cannot use are passed over, not refused.
#[derive(Deserialize)]
struct PublishedKey {
    kty: Option<String>,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

/// Asks for the discovery document and the keys it names. The keys must be at the host that was configured.
pub(super) async fn fetch(
    provider: &Client,
    well_known: &Url,
    transport: Arc<dyn Transport>,
    audience: &str,
) -> Result<Keys, FetchError> {
    let discovery: Discovery = provider.get_json(&[], &[], &HeaderMap::new()).await?;
    let address = Url::parse(&discovery.jwks_uri).ok().filter(|url| url.origin() == well_known.origin());
    let address = address.ok_or(FetchError::Elsewhere)?;
    if discovery.issuer.is_empty() {
        return Err(FetchError::NoIssuer);
    }
    let published: KeySet = Client::new(address, transport).get_json(&[], &[], &HeaderMap::new()).await?;
    let mut validation = Validation::new(Algorithm::RS256);
    validation.leeway = LEEWAY_SECONDS;
    validation.validate_nbf = true;
    validation.set_audience(&[audience]);
    validation.set_issuer(&[discovery.issuer]);
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    let by_id = published.keys.into_iter().filter_map(PublishedKey::into_usable).collect();
    Ok(Keys { fetched: Instant::now(), by_id, validation })
}

impl PublishedKey {
    fn into_usable(self) -> Option<(String, DecodingKey)> {
        let signs = self.usage.is_none_or(|usage| usage == "sig");
        let algorithm = self.alg.is_none_or(|alg| alg == "RS256");
        if self.kty.as_deref() != Some("RSA") || !signs || !algorithm {
            return None;
        }
        Some((self.kid?, DecodingKey::from_rsa_components(&self.n?, &self.e?).ok()?))
    }
}

impl Keys {
    pub(super) fn has(&self, key_id: &str) -> bool {
        self.by_id.contains_key(key_id)
    }

    pub(super) fn accept(&self, key_id: &str, token: &str) -> bool {
        let claims = self.by_id.get(key_id).map(|key| jsonwebtoken::decode::<IgnoredAny>(token, key, &self.validation));
        claims.is_some_and(|claims| claims.is_ok())
    }
}

/// The key that `token` says it was signed with; `None` when it is no token, or one by another algorithm.
pub(super) fn key_id(token: &str) -> Option<String> {
    let header = jsonwebtoken::decode_header(token).ok()?;
    header.kid.filter(|_| header.alg == Algorithm::RS256)
}
