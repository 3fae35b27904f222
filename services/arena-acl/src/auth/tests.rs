//! Tokens from a scripted provider; every key here is generated for the run.

use std::sync::{
    LazyLock,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
};
use chassis::{
    clock,
    http::transport::{Request, Response, TransportError, answer},
};
use futures::future::{BoxFuture, FutureExt};
use http::StatusCode;
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use serde_json::{Value, json};

use super::*;

const WELL_KNOWN: &str = "https://login.test/tenant/.well-known/openid-configuration?appid=1";
const ISSUER: &str = "https://login.test/tenant/v2.0";
const AUDIENCE: &str = "client id of arena-acl";

fn generated() -> EncodingKey {
    let der: Pkcs8V1Der<'_> = KeyPair::generate(KeySize::Rsa2048).unwrap().as_der().unwrap();
    // PKCS#8 is a head of 26 bytes for this size of key, and the PKCS#1 key.
    EncodingKey::from_rsa_der(&der.as_ref()[26..])
}

/// Made once per run: making a key takes long.
static OURS: LazyLock<EncodingKey> = LazyLock::new(generated);
static THEIRS: LazyLock<EncodingKey> = LazyLock::new(generated);

/// A provider whose one key is `OURS`, under an id that changes with each rotation.
struct Provider {
    asked: AtomicUsize,
    away: AtomicBool,
    rotation: AtomicUsize,
    keys_at: &'static str,
}

impl Provider {
    fn new() -> Arc<Self> {
        Self::with_keys_at("https://login.test/tenant/keys")
    }

    fn with_keys_at(keys_at: &'static str) -> Arc<Self> {
        let (asked, away, rotation) = (AtomicUsize::new(0), AtomicBool::new(false), AtomicUsize::new(1));
        Arc::new(Self { asked, away, rotation, keys_at })
    }

    fn auth(self: &Arc<Self>) -> Auth {
        Auth::new(Arc::<Self>::clone(self), WELL_KNOWN.parse().unwrap(), AUDIENCE.to_owned())
    }

    fn kid(&self) -> String {
        format!("key {}", self.rotation.load(Ordering::SeqCst))
    }

    fn rotate(&self) {
        self.rotation.fetch_add(1, Ordering::SeqCst);
    }

    fn away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// An `Authorization` header with a good token, after `change` had its way with claims and header.
    fn token(&self, key: &EncodingKey, change: impl FnOnce(&mut Value, &mut Header)) -> HeaderValue {
        let now = clock::real_now().timestamp();
        let mut claims = json!({"iss": ISSUER, "aud": AUDIENCE, "exp": now + 300, "nbf": now, "sub": "x", "x": [{}]});
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(self.kid());
        change(&mut claims, &mut header);
        HeaderValue::try_from(format!("Bearer {}", jsonwebtoken::encode(&header, &claims, key).unwrap())).unwrap()
    }

    fn good(&self) -> HeaderValue {
        self.token(&OURS, |_, _| {})
    }
}

impl Transport for Provider {
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Response, TransportError>> {
        async move {
            self.asked.fetch_add(1, Ordering::SeqCst);
            assert_eq!(request.method(), http::Method::GET);
            assert!(!request.headers().contains_key("authorization"), "tokens never leave");
            tokio::time::sleep(Duration::from_millis(5)).await;
            if self.away.load(Ordering::SeqCst) {
                return Err(TransportError::Timeout);
            }
            let body = match request.uri().path() {
                "/tenant/.well-known/openid-configuration" => json!({"issuer": ISSUER, "jwks_uri": self.keys_at}),
                "/tenant/keys" => {
                    let mut key =
                        serde_json::to_value(Jwk::from_encoding_key(&OURS, Algorithm::RS256).unwrap()).unwrap();
                    key["kid"] = json!(self.kid());
                    let other = json!({"kty": "EC", "kid": "curve", "crv": "P-999", "x": "", "y": "", "alg": "ES999"});
                    json!({"keys": [other, {"kty": "RSA", "kid": "broken", "n": "*"}, {}, key]})
                }
                _ => return Ok(answer(StatusCode::INTERNAL_SERVER_ERROR, "")),
            };
            Ok(answer(StatusCode::OK, body.to_string()))
        }
        .boxed()
    }
}

#[tokio::test(start_paused = true)]
async fn a_good_token_is_accepted_and_its_keys_are_kept() {
    let provider = Provider::new();
    let auth = provider.auth();
    assert_eq!(provider.asked(), 0, "nothing is asked before it is needed");
    auth.check(Some(&provider.good())).await.unwrap();
    auth.check(Some(&provider.token(&OURS, |claims, _| claims["aud"] = json!(["other", AUDIENCE])))).await.unwrap();
    assert_eq!(provider.asked(), 2, "the document and the keys");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_bearer_token_is_refused_without_asking() {
    let provider = Provider::new();
    let auth = provider.auth();
    assert_eq!(auth.check(None).await, Err(Unauthorized::Missing));
    let good = provider.good().to_str().unwrap().to_owned();
    for (header, expected) in [
        ("", Unauthorized::Missing),
        ("Bearer", Unauthorized::Missing),
        ("Basic YTpi", Unauthorized::Missing),
        ("Bearer x", Unauthorized::Refused),
        ("Bearer x.y.z", Unauthorized::Refused),
    ] {
        assert_eq!(auth.check(Some(&HeaderValue::from_static(header))).await, Err(expected), "{header}");
    }
    assert_eq!(auth.check(Some(&HeaderValue::from_bytes(b"Bearer \xff").unwrap())).await, Err(Unauthorized::Missing));
    assert_eq!(provider.asked(), 0);
    auth.check(Some(&HeaderValue::try_from(good.replace("Bearer", "bEARER")).unwrap())).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn each_claim_counts() {
    let provider = Provider::new();
    let auth = provider.auth();
    let now = clock::real_now().timestamp();
    for (name, value) in [
        ("aud", json!("another audience")),
        ("aud", Value::Null),
        ("iss", json!("https://login.test/another/v2.0")),
        ("iss", Value::Null),
        ("exp", json!(now - 120)),
        ("exp", Value::Null),
        ("nbf", json!(now + 120)),
    ] {
        let token = provider.token(&OURS, |claims, _| {
            let claims = claims.as_object_mut().unwrap();
            claims.remove(name);
            if !value.is_null() {
                claims.insert(name.to_owned(), value.clone());
            }
        });
        assert_eq!(auth.check(Some(&token)).await, Err(Unauthorized::Refused), "{name} = {value}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_rs256_by_a_published_key_counts() {
    let provider = Provider::new();
    let auth = provider.auth();
    let refused = async |token: HeaderValue| assert_eq!(auth.check(Some(&token)).await, Err(Unauthorized::Refused));
    refused(provider.token(&THEIRS, |_, _| {})).await;
    refused(provider.token(&OURS, |_, header| header.alg = Algorithm::RS512)).await;
    refused(provider.token(&OURS, |_, header| header.kid = None)).await;
    let secret = EncodingKey::from_secret(b"-");
    refused(provider.token(&secret, |_, header| header.alg = Algorithm::HS256)).await;
    // {"alg":"none","kid":"key 1"} and the good claims, without a signature.
    let good = provider.good().to_str().unwrap().to_owned();
    let claims = good.split('.').nth(1).unwrap();
    let unsigned = format!("Bearer eyJhbGciOiJub25lIiwia2lkIjoia2V5IDEifQ.{claims}.");
    refused(HeaderValue::try_from(unsigned).unwrap()).await;
    let (rest, _) = good.rsplit_once('.').unwrap();
    refused(HeaderValue::try_from(format!("{rest}.")).unwrap()).await;
    auth.check(Some(&provider.good())).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_unknown_key_fetches_the_keys_at_most_once_a_minute() {
    let provider = Provider::new();
    let auth = provider.auth();
    auth.check(Some(&provider.good())).await.unwrap();
    provider.rotate();
    let rotated = provider.good();
    assert_eq!(auth.check(Some(&rotated)).await, Err(Unauthorized::Refused), "asked a moment ago");
    tokio::time::advance(Duration::from_secs(60)).await;
    auth.check(Some(&rotated)).await.unwrap();
    assert_eq!(provider.asked(), 4);
    for number in 0..100 {
        let strange = provider.token(&OURS, |_, header| header.kid = Some(format!("strange {number}")));
        assert_eq!(auth.check(Some(&strange)).await, Err(Unauthorized::Refused));
    }
    assert_eq!(provider.asked(), 4);
}

#[tokio::test(start_paused = true)]
async fn requests_that_come_together_fetch_the_keys_once() {
    let provider = Provider::new();
    let auth = provider.auth();
    let good = provider.good();
    let all = futures::future::join_all((0..20).map(|_| auth.check(Some(&good)))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(provider.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_withdrawn_ceases_to_count_within_the_hour() {
    let provider = Provider::new();
    let auth = provider.auth();
    let old = provider.good();
    auth.check(Some(&old)).await.unwrap();
    provider.rotate();
    tokio::time::advance(Duration::from_secs(3_599)).await;
    auth.check(Some(&old)).await.unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(auth.check(Some(&old)).await, Err(Unauthorized::Refused));
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_is_away_is_asked_again_soon_and_its_old_keys_serve_on() {
    let provider = Provider::new();
    let auth = provider.auth();
    provider.away(true);
    assert_eq!(auth.check(Some(&provider.good())).await, Err(Unauthorized::Unchecked));
    provider.away(false);
    assert_eq!(auth.check(Some(&provider.good())).await, Err(Unauthorized::Unchecked), "not with each request");
    tokio::time::advance(Duration::from_secs(5)).await;
    auth.check(Some(&provider.good())).await.unwrap();
    provider.away(true);
    tokio::time::advance(Duration::from_secs(7_200)).await;
    auth.check(Some(&provider.good())).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn keys_at_another_host_are_not_fetched() {
    for elsewhere in ["https://other.test/tenant/keys", "http://login.test/tenant/keys", "/tenant/keys", "file:///keys"]
    {
        let provider = Provider::with_keys_at(elsewhere);
        assert_eq!(provider.auth().check(Some(&provider.good())).await, Err(Unauthorized::Unchecked), "{elsewhere}");
        assert_eq!(provider.asked(), 1);
    }
}
