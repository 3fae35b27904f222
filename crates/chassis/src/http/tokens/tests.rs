//! Tokens from a scripted endpoint; every key here is generated for the run.

use std::sync::{
    LazyLock,
    atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
};

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use http::StatusCode;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use pkcs1::{RsaPrivateKeyRef, der::Decode};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::time::Duration;

use super::*;
use crate::http::transport::{Request, Response, TransportError, answer};

/// A private key as the platform gives it, made once per run: making one takes long.
static JWK: LazyLock<Value> = LazyLock::new(|| {
    let der: Pkcs8V1Der<'_> = KeyPair::generate(KeySize::Rsa2048).unwrap().as_der().unwrap();
    // PKCS#8 is a head of 26 bytes for this size of key, and the PKCS#1 key.
    let key = RsaPrivateKeyRef::from_der(&der.as_ref()[26..]).unwrap();
    let text = |number: pkcs1::UintRef<'_>| BASE64_URL_SAFE_NO_PAD.encode(number.as_bytes());
    json!({
        "kty": "RSA", "kid": "key of the test", "use": "sig", "alg": "RS256",
        "n": text(key.modulus), "e": text(key.public_exponent), "d": text(key.private_exponent),
        "p": text(key.prime1), "q": text(key.prime2),
        "dp": text(key.exponent1), "dq": text(key.exponent2), "qi": text(key.coefficient),
    })
});

fn read(jwk: &str) -> Result<PrivateJwk, KeyError> {
    PrivateJwk::read(&SecretString::from(jwk))
}

const ENDPOINT: &str = "https://login.test/tenant/token";

/// A token endpoint that gives numbered tokens and takes a moment for each.
#[derive(Clone)]
pub(in crate::http) struct Endpoint(Arc<EndpointState>);

struct EndpointState {
    asked: AtomicUsize,
    fails: AtomicBool,
    lifetime: AtomicI64,
    last_form: Mutex<HashMap<String, String>>,
}

impl Endpoint {
    pub(in crate::http) fn new() -> Self {
        Self(Arc::new(EndpointState {
            asked: AtomicUsize::new(0),
            fails: AtomicBool::new(false),
            lifetime: AtomicI64::new(3_600),
            last_form: Mutex::default(),
        }))
    }

    pub(in crate::http) fn tokens(&self) -> Tokens {
        let key = read(&JWK.to_string()).unwrap();
        Tokens::new(ENDPOINT.parse().unwrap(), "client".to_owned(), key, Arc::new(self.clone()))
    }

    pub(in crate::http) fn asked(&self) -> usize {
        self.0.asked.load(Ordering::SeqCst)
    }

    pub(in crate::http) fn fail(&self, fails: bool) {
        self.0.fails.store(fails, Ordering::SeqCst);
    }

    fn expire_after(&self, seconds: i64) {
        self.0.lifetime.store(seconds, Ordering::SeqCst);
    }
}

impl Transport for Endpoint {
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Response, TransportError>> {
        async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            let form = url::form_urlencoded::parse(request.body()).into_owned().collect();
            *self.0.last_form.lock().unwrap() = form;
            let number = self.0.asked.fetch_add(1, Ordering::SeqCst) + 1;
            if self.0.fails.load(Ordering::SeqCst) {
                return Ok(answer(StatusCode::SERVICE_UNAVAILABLE, ""));
            }
            let exp = clock::real_now().timestamp() + self.0.lifetime.load(Ordering::SeqCst);
            let claims = json!({"number": number, "exp": exp});
            let token = jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(b"-")).unwrap();
            Ok(answer(StatusCode::OK, json!({"access_token": token, "token_type": "Bearer"}).to_string()))
        }
        .boxed()
    }
}

/// The number that the endpoint gave the token.
pub(in crate::http) fn number_of(token: &str) -> usize {
    let claims: Value = jsonwebtoken::dangerous::insecure_decode_claims(token).unwrap();
    claims["number"].as_u64().unwrap().try_into().unwrap()
}

#[tokio::test]
async fn the_assertion_says_what_the_specification_wants_and_is_signed() {
    let endpoint = Endpoint::new();
    let before = clock::real_now().timestamp();
    endpoint.tokens().bearer("api://other/.default").await.unwrap();
    let form = endpoint.0.last_form.lock().unwrap().clone();
    let mut names: Vec<_> = form.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["audience", "client_assertion", "client_assertion_type", "grant_type", "scope"]);
    assert_eq!(form["grant_type"], "client_credentials");
    assert_eq!((form["scope"].as_str(), form["audience"].as_str()), ("api://other/.default", "api://other/.default"));
    assert_eq!(form["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");

    let key = DecodingKey::from_rsa_components(JWK["n"].as_str().unwrap(), JWK["e"].as_str().unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_audience(&[ENDPOINT]);
    let assertion = jsonwebtoken::decode::<Value>(&form["client_assertion"], &key, &validation).unwrap();
    assert_eq!(assertion.header.kid.as_deref(), Some("key of the test"));
    assert_eq!(assertion.header.typ.as_deref(), Some("JWT"));
    let claims = assertion.claims;
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!("client"), &json!("client")));
    let issued = claims["iat"].as_i64().unwrap();
    assert!((before..=before + 60).contains(&issued));
    assert_eq!((claims["nbf"].as_i64().unwrap(), claims["exp"].as_i64().unwrap()), (issued, issued + 30));
    Uuid::parse_str(claims["jti"].as_str().unwrap()).unwrap();
}

#[tokio::test]
async fn a_token_is_kept_per_scope() {
    let endpoint = Endpoint::new();
    let tokens = endpoint.tokens();
    let first = tokens.bearer("a").await.unwrap();
    assert_eq!(tokens.clone().bearer("a").await.unwrap(), first);
    assert_ne!(tokens.bearer("b").await.unwrap(), first);
    assert_eq!(endpoint.asked(), 2);
    assert!(first.is_sensitive(), "or it would stand in debug output of headers");
}

#[tokio::test]
async fn a_token_that_expires_within_30_seconds_is_renewed() {
    let endpoint = Endpoint::new();
    let tokens = endpoint.tokens();
    endpoint.expire_after(29);
    tokens.bearer("a").await.unwrap();
    tokens.bearer("a").await.unwrap();
    assert_eq!(endpoint.asked(), 2);
    endpoint.expire_after(60);
    tokens.bearer("a").await.unwrap();
    tokens.bearer("a").await.unwrap();
    assert_eq!(endpoint.asked(), 3);
}

#[test]
fn a_token_is_kept_until_30_seconds_before_it_expires_and_at_most_an_hour() {
    let now = DateTime::UNIX_EPOCH;
    let after = |seconds| now + TimeDelta::seconds(seconds);
    assert_eq!(kept_until(now, Some(after(600))), after(570));
    assert_eq!(kept_until(now, Some(after(86_400))), after(3_600));
    assert_eq!(kept_until(now, None), now, "whoever does not say how long is not trusted for long");
    assert_eq!(expiry("no.jwt.atall"), None);
}

#[tokio::test]
async fn all_who_ask_together_wait_for_one_request() {
    let endpoint = Endpoint::new();
    let tokens = endpoint.tokens();
    let all = futures::future::join_all((0..50).map(|_| tokens.bearer("a"))).await;
    assert!(all.iter().all(|bearer| bearer.as_ref().unwrap() == all[0].as_ref().unwrap()));
    assert_eq!(endpoint.asked(), 1);
}

#[tokio::test]
async fn a_failure_is_shared_by_those_who_wait_and_remembered_by_nobody() {
    let endpoint = Endpoint::new();
    let tokens = endpoint.tokens();
    endpoint.fail(true);
    let all = futures::future::join_all((0..50).map(|_| tokens.bearer("a"))).await;
    assert!(all.iter().all(|bearer| matches!(bearer, Err(TokenError::Endpoint(_)))));
    assert_eq!(endpoint.asked(), 1);
    endpoint.fail(false);
    tokens.bearer("a").await.unwrap();
}

#[tokio::test]
async fn a_request_whose_callers_went_away_does_not_stand_in_the_way() {
    let endpoint = Endpoint::new();
    let tokens = endpoint.tokens();
    tokio::time::timeout(Duration::from_millis(1), tokens.bearer("a")).await.unwrap_err();
    tokens.bearer("a").await.unwrap();
    assert_eq!(endpoint.asked(), 1, "the first never arrived");
}

#[test]
fn a_key_that_cannot_sign_is_refused_without_being_quoted() {
    let with = |member: &str, value: Value| {
        let mut jwk = JWK.clone();
        jwk[member] = value;
        jwk.to_string()
    };
    assert_eq!(read("canary").unwrap_err(), KeyError::Form);
    assert_eq!(read(&with("kty", json!("EC"))).unwrap_err(), KeyError::Form);
    assert_eq!(read(&with("d", Value::Null)).unwrap_err(), KeyError::Form);
    assert_eq!(read(&with("d", json!("*"))).unwrap_err(), KeyError::Form);
    assert_eq!(read(&with("p", JWK["q"].clone())).unwrap_err(), KeyError::Numbers);
    let other = BASE64_URL_SAFE_NO_PAD.encode([0xFF; 256]);
    assert_eq!(read(&with("n", json!(other))).unwrap_err(), KeyError::Numbers);
    assert!(!format!("{:?}", read(&JWK.to_string()).unwrap()).contains("EncodingKey"));
}
