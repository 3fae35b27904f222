//! The network transport against a real server on loopback.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{HeaderValue, StatusCode, header::LOCATION},
    response::{IntoResponse, Response as AxumResponse},
    routing::get,
};
use futures::{StreamExt, stream};
use http::Method;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
    time::Instant,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, pki_types::PrivatePkcs8KeyDer},
};

use super::*;

const LIMITS: Limits = Limits {
    connect: Duration::from_secs(5),
    read: Duration::from_millis(300),
    total: Duration::from_millis(900),
    answer_bytes: 1_000,
};

/// A server on loopback that ends with the set.
struct Server {
    address: String,
    _tasks: JoinSet<()>,
}

async fn server(router: Router) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
    Server { address, _tasks: tasks }
}

async fn fetch(url: String) -> Result<Response, TransportError> {
    let request = http::Request::builder().method(Method::GET).uri(url).body(Bytes::new()).unwrap();
    Reqwest::new(LIMITS).unwrap().send(request).await
}

fn drip(pause: Duration) -> AxumResponse {
    let drops = stream::repeat(Bytes::from_static(b"x")).then(move |drop| async move {
        tokio::time::sleep(pause).await;
        Ok::<_, std::io::Error>(drop)
    });
    Body::from_stream(drops).into_response()
}

#[tokio::test]
async fn an_answer_comes_back_whole() {
    let server = server(Router::new().route("/a", get(|| async { (StatusCode::ACCEPTED, "b") }))).await;
    let response = fetch(format!("{}/a", server.address)).await.unwrap();
    assert_eq!((response.status(), response.body().as_ref()), (StatusCode::ACCEPTED, &b"b"[..]));
    assert_eq!(response.headers()["content-length"], "1");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up_after_the_read_limit() {
    let server = server(Router::new().route("/", get(pending::<()>))).await;
    let start = Instant::now();
    assert_eq!(fetch(server.address.clone()).await.unwrap_err(), TransportError::Timeout);
    assert!((LIMITS.read..LIMITS.total).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[tokio::test]
async fn an_answer_that_stalls_or_drips_is_given_up() {
    let router = Router::new()
        .route("/stall", get(|| async { drip(Duration::from_secs(60)) }))
        .route("/drip", get(|| async { drip(Duration::from_millis(50)) }));
    let server = server(router).await;
    assert_eq!(fetch(format!("{}/stall", server.address)).await.unwrap_err(), TransportError::Timeout);
    let start = Instant::now();
    assert_eq!(fetch(format!("{}/drip", server.address)).await.unwrap_err(), TransportError::Timeout);
    assert!(start.elapsed() >= LIMITS.total, "each drop restarts the read limit: {:?}", start.elapsed());
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let followed = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&followed);
    let target = server(Router::new().fallback(move || async move {
        counter.fetch_add(1, Ordering::SeqCst);
    }))
    .await;
    let location = HeaderValue::try_from(format!("{}/elsewhere", target.address)).unwrap();
    let origin =
        server(Router::new().fallback(move || async move { (StatusCode::FOUND, [(LOCATION, location)]) })).await;
    assert_eq!(fetch(origin.address.clone()).await.unwrap().status(), StatusCode::FOUND);
    assert_eq!(followed.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_answer_is_read_up_to_its_limit() {
    let router = Router::new()
        .route("/fits", get(|| async { "x".repeat(1_000) }))
        .route("/large", get(|| async { "x".repeat(1_001) }))
        .route(
            "/endless",
            get(|| async { Body::from_stream(stream::repeat("x".repeat(64)).map(Ok::<_, std::io::Error>)) }),
        )
        .route("/refusal", get(|| async { (StatusCode::NOT_FOUND, "x".repeat(100_000)) }));
    let server = server(router).await;
    let at = |path: &str| fetch(format!("{}{path}", server.address));
    assert_eq!(at("/fits").await.unwrap().body().len(), 1_000);
    assert_eq!(at("/large").await.unwrap_err(), TransportError::TooLarge(1_000));
    assert_eq!(at("/endless").await.unwrap_err(), TransportError::TooLarge(1_000));
    let refusal = at("/refusal").await.unwrap();
    assert_eq!(refusal.status(), StatusCode::NOT_FOUND, "the status counts, however long the page");
    assert!(refusal.body().len() <= 1_000);
}

#[tokio::test]
async fn a_host_that_cannot_be_reached_is_named_by_cause_and_not_by_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = fetch(format!("http://{address}/person?personId=5001")).await.unwrap_err();
    let TransportError::Connection(detail) = &error else { panic!("{error}") };
    assert!(detail.contains("refused"), "{detail}");
    assert!(!detail.contains("5001") && !detail.contains(&address.port().to_string()), "{detail}");
}

#[tokio::test]
async fn a_request_is_sent_once_even_when_its_connection_breaks() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&seen);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut head = [0; 1_024];
            assert!(socket.read(&mut head).await.unwrap() > 0);
            counter.fetch_add(1, Ordering::SeqCst);
            socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await.unwrap();
        }
    });
    let error = fetch(format!("http://{address}/")).await.unwrap_err();
    assert!(matches!(error, TransportError::Connection(_)), "{error}");
    assert_eq!(seen.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_script_answers_from_its_table_then_from_its_function_and_otherwise_500() {
    let ask = async |script: &Scripted, method: Method, url: &str| {
        let request = http::Request::builder().method(method).uri(url).body(Bytes::new()).unwrap();
        script.send(request).await.map(|response| (response.status().as_u16(), response.into_body()))
    };
    let script = Scripted::new();
    script.set(Method::GET, "/a?b=1", StatusCode::OK, "one");
    assert_eq!(ask(&script, Method::GET, "http://any.test/a?b=1").await, Ok((200, Bytes::from("one"))));
    assert_eq!(ask(&script, Method::GET, "http://any.test/a?b=2").await, Ok((500, Bytes::new())));
    assert_eq!(ask(&script, Method::POST, "http://any.test/a?b=1").await, Ok((500, Bytes::new())));
    let clone = script.clone();
    clone.set(Method::GET, "/a?b=1", StatusCode::NOT_FOUND, "");
    assert_eq!(ask(&script, Method::GET, "http://any.test/a?b=1").await, Ok((404, Bytes::new())));
    let failing = Scripted::answering(|_| Err(TransportError::Timeout));
    failing.set(Method::GET, "/a", StatusCode::OK, "");
    assert_eq!(ask(&failing, Method::GET, "http://any.test/a").await, Ok((200, Bytes::new())));
    assert_eq!(ask(&failing, Method::GET, "http://any.test/b").await, Err(TransportError::Timeout));
}

/// A server over TLS that answers one call, and the authority that speaks for it, as PEM.
async fn tls_server() -> (Server, String) {
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let pem = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        loop {
            let (connection, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(connection).await else { continue };
            assert!(stream.read(&mut [0; 1_000]).await.unwrap() > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await.unwrap();
            stream.shutdown().await.ok();
        }
    });
    (Server { address, _tasks: tasks }, pem)
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_when_it_is_named() {
    let (server, pem) = tls_server().await;
    let request = || http::Request::builder().uri(&server.address).body(Bytes::new()).unwrap();
    let answer = Reqwest::trusting(LIMITS, pem.as_bytes()).unwrap().send(request()).await.unwrap();
    assert_eq!(answer.body().as_ref(), b"hi");
    let refused = Reqwest::new(LIMITS).unwrap().send(request()).await.unwrap_err();
    assert!(matches!(refused, TransportError::Connection(_)), "{refused}");
    let (_other, stranger) = tls_server().await;
    let refused = Reqwest::trusting(LIMITS, stranger.as_bytes()).unwrap().send(request()).await.unwrap_err();
    assert!(matches!(refused, TransportError::Connection(_)), "{refused}");
}

#[test]
fn an_authority_without_a_certificate_is_a_mistake() {
    for pem in ["", "not PEM at all"] {
        assert!(matches!(Reqwest::trusting(LIMITS, pem.as_bytes()), Err(BuildError::NoCertificate)));
    }
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(Reqwest::trusting(LIMITS, broken.as_bytes()), Err(BuildError::Tls(_))));
}
