use std::io;

use chassis::clock;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Answer, Request, Stub,
    keys::{KeyError, RsaKey},
};

/// A stub of an OAuth2 server (Azure AD): discovery document, key set, token endpoint for one client.
///
/// Its keys are made at its start. The token endpoint accepts client credentials with a private-key JWT and nothing else:
/// `docs/spec/arena-acl.md` section 8.
pub struct Issuer {
    stub: Stub,
    key: RsaKey,
    client: RsaKey,
}

/// How long a token is valid.
const VALID_SECONDS: i64 = 3600;

impl Issuer {
    /// An issuer with one client, `client_id`.
    ///
    /// # Errors
    /// No port can be had or no key made.
    pub fn start(client_id: &str) -> io::Result<Self> {
        Self::on(Stub::start()?, client_id)
    }

    /// The same on a stub that has other routes too.
    ///
    /// # Errors
    /// No key can be made.
    pub fn on(stub: Stub, client_id: &str) -> io::Result<Self> {
        let issuer = Self { stub, key: made()?, client: made()? };
        let url = issuer.url().to_owned();
        for (path, document) in issuer.documents() {
            issuer.stub.on("GET", path).answers(200, document);
        }
        let endpoint = TokenEndpoint {
            url: issuer.token_endpoint(),
            issuer: url,
            key: issuer.key.clone(),
            client_id: client_id.to_owned(),
            client: issuer.client.decoding().map_err(io::Error::other)?,
        };
        issuer.stub.on("POST", "/token").answers_with(move |request| endpoint.answer(request));
        Ok(issuer)
    }

    /// The stub that it answers on.
    #[must_use]
    pub fn stub(&self) -> &Stub {
        &self.stub
    }

    /// The `iss` of its tokens.
    #[must_use]
    pub fn url(&self) -> &str {
        self.stub.url()
    }

    /// Where its discovery document is.
    #[must_use]
    pub fn well_known_url(&self) -> String {
        format!("{}/.well-known/openid-configuration", self.url())
    }

    /// What it publishes, by path: the discovery document and the key set. For transports that are scripted.
    #[must_use]
    pub fn documents(&self) -> [(&'static str, Value); 2] {
        let url = self.url();
        let discovery = json!({
            "issuer": url,
            "jwks_uri": format!("{url}/jwks"),
            "token_endpoint": self.token_endpoint(),
        });
        [("/.well-known/openid-configuration", discovery), ("/jwks", json!({ "keys": [self.key.public_jwk()] }))]
    }

    /// Where its client gets tokens.
    #[must_use]
    pub fn token_endpoint(&self) -> String {
        format!("{}/token", self.url())
    }

    /// The client's own key, private members included, as a JWK in JSON.
    #[must_use]
    pub fn client_jwk(&self) -> String {
        self.client.private_jwk().to_string()
    }

    /// A token for `audience` that is valid for an hour.
    ///
    /// # Errors
    /// It cannot be signed.
    pub fn token(&self, audience: &str) -> Result<String, jsonwebtoken::errors::Error> {
        self.token_with(&claims(self.url(), audience))
    }

    /// A token with these claims and no others, signed with the issuer's key.
    ///
    /// # Errors
    /// It cannot be signed.
    pub fn token_with(&self, claims: &Value) -> Result<String, jsonwebtoken::errors::Error> {
        sign(&self.key, claims)
    }

    /// How many requests came to its token endpoint.
    #[must_use]
    pub fn tokens_asked(&self) -> usize {
        self.stub.calls("POST", "/token")
    }
}

struct TokenEndpoint {
    url: String,
    issuer: String,
    key: RsaKey,
    client_id: String,
    client: DecodingKey,
}

impl TokenEndpoint {
    fn answer(&self, request: &Request) -> Answer {
        const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        let form = |name: &str| request.form(name).unwrap_or_default();
        let scope = form("scope");
        if form("grant_type") != "client_credentials" || form("client_assertion_type") != JWT_BEARER || scope.is_empty()
        {
            return refused(400, "invalid_request");
        }
        if !self.is_from_client(&form("client_assertion")) {
            return refused(401, "invalid_client");
        }
        match sign(&self.key, &claims(&self.issuer, &scope)) {
            Ok(token) => {
                let body = json!({ "access_token": token, "token_type": "Bearer", "expires_in": VALID_SECONDS });
                Answer { status: 200, body: Some(body) }
            }
            Err(_) => refused(500, "server_error"),
        }
    }

    fn is_from_client(&self, assertion: &str) -> bool {
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_audience(&[&self.url]);
        validation.set_issuer(&[&self.client_id]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.sub = Some(self.client_id.clone());
        jsonwebtoken::decode::<Value>(assertion, &self.client, &validation).is_ok()
    }
}

fn refused(status: u16, error: &str) -> Answer {
    Answer { status, body: Some(json!({ "error": error })) }
}

fn claims(issuer: &str, audience: &str) -> Value {
    let now = clock::real_now().timestamp();
    json!({
        "iss": issuer,
        "sub": "stub",
        "aud": audience,
        "jti": Uuid::new_v4().to_string(),
        "iat": now,
        "nbf": now,
        "exp": now + VALID_SECONDS,
    })
}

fn sign(key: &RsaKey, claims: &Value) -> Result<String, jsonwebtoken::errors::Error> {
    let header = Header { kid: Some(key.id.clone()), ..Header::new(Algorithm::RS256) };
    jsonwebtoken::encode(&header, claims, &key.encoding)
}

fn made() -> io::Result<RsaKey> {
    RsaKey::generate().map_err(|error: KeyError| io::Error::other(error))
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, jwk::JwkSet};

    use super::*;
    use crate::http1;

    async fn get(url: &str) -> Value {
        let (status, body) = http1::call("GET", url, "").await.unwrap();
        assert_eq!(status, 200);
        serde_json::from_slice(&body).unwrap()
    }

    async fn ask(issuer: &Issuer, assertion: &str) -> (u16, Value) {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials").append_pair("scope", "api://ords/.default");
        form.append_pair("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
        form.append_pair("client_assertion", assertion);
        let (status, body) = http1::call("POST", &issuer.token_endpoint(), &form.finish()).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    fn assertion(issuer: &Issuer, client_id: &str, audience: &str) -> String {
        let mut claims = claims(client_id, audience);
        claims["sub"] = json!(client_id);
        sign(&issuer.client, &claims).unwrap()
    }

    async fn assert_valid(issuer: &Issuer, token: &str, audience: &str) {
        let discovery = get(&issuer.well_known_url()).await;
        let keys: JwkSet = serde_json::from_value(get(discovery["jwks_uri"].as_str().unwrap()).await).unwrap();
        let kid = jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
        let key = DecodingKey::from_jwk(keys.find(&kid).unwrap()).unwrap();
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_audience(&[audience]);
        validation.set_issuer(&[discovery["issuer"].as_str().unwrap()]);
        jsonwebtoken::decode::<Value>(token, &key, &validation).unwrap();
    }

    #[tokio::test]
    async fn its_tokens_are_valid_by_its_own_documents() {
        let issuer = Issuer::start("client").unwrap();
        assert_valid(&issuer, &issuer.token("arena-acl").unwrap(), "arena-acl").await;
    }

    #[tokio::test]
    async fn its_client_gets_a_token_for_the_scope_it_asks_for() {
        let issuer = Issuer::start("client").unwrap();
        let (status, body) = ask(&issuer, &assertion(&issuer, "client", &issuer.token_endpoint())).await;
        assert_eq!(status, 200);
        assert_valid(&issuer, body["access_token"].as_str().unwrap(), "api://ords/.default").await;
        assert_eq!(issuer.tokens_asked(), 1);
    }

    #[tokio::test]
    async fn a_stranger_gets_no_token() {
        let issuer = Issuer::start("client").unwrap();
        let endpoint = issuer.token_endpoint();
        let stranger = Issuer::start("client").unwrap();
        let wrong = [
            assertion(&stranger, "client", &endpoint),
            assertion(&issuer, "another", &endpoint),
            assertion(&issuer, "client", "https://elsewhere.example"),
            String::new(),
        ];
        for assertion in wrong {
            assert_eq!(ask(&issuer, &assertion).await, (401, json!({"error": "invalid_client"})));
        }
        assert_eq!(http1::call("POST", &endpoint, "grant_type=password").await.unwrap().0, 400);
    }

    #[test]
    fn no_key_set_shows_a_private_member() {
        let key = RsaKey::generate().unwrap();
        let shown: Vec<_> = key.public_jwk().as_object().unwrap().keys().cloned().collect();
        assert_eq!(shown, ["alg", "e", "kid", "kty", "n", "use"]);
        assert_eq!(key.private_jwk().as_object().unwrap().len(), 12);
        let _same: &EncodingKey = &key.encoding;
    }
}
