//! RSA keys that are made for one test and never stored.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    error::Unspecified,
    rsa::{KeyPair, KeySize},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{DecodingKey, EncodingKey};
use pkcs1::{
    RsaPrivateKeyRef,
    der::{
        self, Decode as _, Reader as _, SliceReader,
        asn1::{AnyRef, OctetStringRef, UintRef},
    },
};
use serde_json::{Value, json};

/// A new 2048-bit key with a random id.
#[derive(Clone)]
pub(super) struct RsaKey {
    pub(super) id: String,
    pub(super) encoding: EncodingKey,
    private_jwk: Value,
}

/// A key could not be made or read back.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeyError {
    #[error("no RSA key could be made")]
    Made(#[from] Unspecified),
    #[error("the RSA key that was made is not readable")]
    Read(#[from] der::Error),
    #[error("the RSA key that was made is not usable")]
    Used(#[from] jsonwebtoken::errors::Error),
}

impl RsaKey {
    pub(super) fn generate() -> Result<Self, KeyError> {
        let made: Pkcs8V1Der<'_> = KeyPair::generate(KeySize::Rsa2048)?.as_der()?;
        let pkcs1 = inner(made.as_ref())?;
        let key = RsaPrivateKeyRef::from_der(pkcs1)?;
        let id = uuid::Uuid::new_v4().to_string();
        let private_jwk = json!({
            "kty": "RSA",
            "use": "sig",
            "alg": "RS256",
            "kid": id,
            "n": text(&key.modulus),
            "e": text(&key.public_exponent),
            "d": text(&key.private_exponent),
            "p": text(&key.prime1),
            "q": text(&key.prime2),
            "dp": text(&key.exponent1),
            "dq": text(&key.exponent2),
            "qi": text(&key.coefficient),
        });
        Ok(Self { id, encoding: EncodingKey::from_rsa_der(pkcs1), private_jwk })
    }

    /// With its private members: what a service is given as its own key.
    pub(super) fn private_jwk(&self) -> &Value {
        &self.private_jwk
    }

    /// Without its private members: what a key set shows.
    pub(super) fn public_jwk(&self) -> Value {
        let mut jwk = self.private_jwk.clone();
        if let Value::Object(members) = &mut jwk {
            members.retain(|name, _| !["d", "p", "q", "dp", "dq", "qi"].contains(&name.as_str()));
        }
        jwk
    }

    pub(super) fn decoding(&self) -> Result<DecodingKey, KeyError> {
        let member = |name| self.private_jwk.get(name).and_then(Value::as_str).unwrap_or_default();
        Ok(DecodingKey::from_rsa_components(member("n"), member("e"))?)
    }
}

/// The PKCS#1 key inside a PKCS#8 one (RFC 5958: version, algorithm, key as octets).
fn inner(pkcs8: &[u8]) -> Result<&[u8], der::Error> {
    let mut reader = SliceReader::new(pkcs8)?;
    let key: &OctetStringRef = reader.sequence(|reader| {
        u8::decode(reader)?;
        AnyRef::decode(reader)?;
        <&OctetStringRef>::decode(reader)
    })?;
    Ok(key.as_bytes())
}

fn text(number: &UintRef<'_>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(number.as_bytes())
}
