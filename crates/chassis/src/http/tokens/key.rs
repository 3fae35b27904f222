//! The client's own key: an RSA private key as a JWK (RFC 7517, RFC 7518 section 6.3).

use std::fmt;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use pkcs1::{EncodeRsaPrivateKey, RsaPrivateKeyRef, UintRef};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

/// A key that has signed, and whose public half has confirmed it.
#[derive(Clone)]
pub struct PrivateJwk {
    id: String,
    key: EncodingKey,
}

/// The text is not a usable key. It quotes nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a JSON object with the members of an RSA private key and a `kid`.
    #[error("not an RSA private key as a JWK with kid, n, e, d, p, q, dp, dq and qi")]
    Form,
    /// The numbers are no key of at least 2048 bits, or the public ones do not belong to the private ones.
    #[error("the numbers of the JWK do not make an RSA key of at least 2048 bits")]
    Numbers,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: String,
    n: String,
    e: String,
    d: String,
    p: String,
    q: String,
    dp: String,
    dq: String,
    qi: String,
}

impl PrivateJwk {
    /// Reads a JWK and tries it out.
    ///
    /// # Errors
    /// [`KeyError`]: a problem of the settings.
    pub fn read(text: &SecretString) -> Result<Self, KeyError> {
        let jwk: Jwk = serde_json::from_str(text.expose_secret())
            .ok()
            .filter(|jwk: &Jwk| jwk.kty == "RSA")
            .ok_or(KeyError::Form)?;
        let der = pkcs1(&jwk)?;
        let key = Self { id: jwk.kid, key: EncodingKey::from_rsa_der(&der) };
        key.try_out(&jwk.n, &jwk.e).then_some(key).ok_or(KeyError::Numbers)
    }

    /// `claims` as an RS256 JWT; `None` when they cannot be signed.
    pub(super) fn sign(&self, claims: &impl Serialize) -> Option<String> {
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(self.id.clone());
        jsonwebtoken::encode(&header, claims, &self.key).ok()
    }

    fn try_out(&self, modulus: &str, exponent: &str) -> bool {
        let mut validation = Validation::new(Algorithm::RS256);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        let claims = serde_json::json!({});
        let token = self.sign(&claims).zip(DecodingKey::from_rsa_components(modulus, exponent).ok());
        token.is_some_and(|(token, key)| jsonwebtoken::decode::<serde_json::Value>(token, &key, &validation).is_ok())
    }
}

impl fmt::Debug for PrivateJwk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateJwk").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The key in the one form that the signing library reads (RFC 8017, appendix A.1.2).
fn pkcs1(jwk: &Jwk) -> Result<Vec<u8>, KeyError> {
    let number = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok().ok_or(KeyError::Form);
    let (n, e, d) = (number(&jwk.n)?, number(&jwk.e)?, number(&jwk.d)?);
    let (p, q) = (number(&jwk.p)?, number(&jwk.q)?);
    let (dp, dq, qi) = (number(&jwk.dp)?, number(&jwk.dq)?, number(&jwk.qi)?);
    let unsigned = |bytes| UintRef::new(bytes).ok().ok_or(KeyError::Numbers);
    let key = RsaPrivateKeyRef {
        modulus: unsigned(&n)?,
        public_exponent: unsigned(&e)?,
        private_exponent: unsigned(&d)?,
        prime1: unsigned(&p)?,
        prime2: unsigned(&q)?,
        exponent1: unsigned(&dp)?,
        exponent2: unsigned(&dq)?,
        coefficient: unsigned(&qi)?,
        other_prime_infos: None,
    };
    key.to_pkcs1_der().ok().map(|der| der.as_bytes().to_vec()).ok_or(KeyError::Numbers)
}
