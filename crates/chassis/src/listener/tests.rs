use std::{future::pending, io::ErrorKind};

use axum::routing::{get, post};
use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::oneshot,
    time::Instant,
};

use super::*;
use crate::parts::PartsError;

/// Longer than anything here may take.
const BOUND: Duration = Duration::from_secs(20);

const LIMITS: Limits = Limits {
    header_bytes: 16 * 1024,
    header_time: Duration::from_millis(300),
    body_bytes: 1000,
    body_time: Duration::from_millis(300),
    connections: 2,
};

struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    run: JoinSet<Result<(), PartsError>>,
}

impl Server {
    async fn start(limits: Limits) -> Self {
        let router = Router::new()
            .route("/peer", get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() }))
            .route("/length", post(|body: Bytes| async move { body.len().to_string() }))
            .route("/slow", get(|| async { sleep(Duration::from_millis(500)).await }))
            .route(
                "/panic",
                get(|| async {
                    if true {
                        panic!("handler")
                    }
                }),
            )
            .route("/never", get(pending::<()>));
        let routes = Routes::new(router, limits)
            .behind(|head| head.uri.path().starts_with("/closed").then(|| StatusCode::UNAUTHORIZED.into_response()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let mut parts = crate::parts::Parts::new(async { stopped.await.unwrap() });
        parts.spawn("http", Duration::from_secs(1), |part| serve(listener, routes, part));
        let mut run = JoinSet::new();
        run.spawn(parts.run());
        Self { address, stop, run }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// What is answered until the connection is closed; empty where it is closed, or reset, without an answer.
    async fn ask(&self, request: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request).await.unwrap();
        answer(&mut stream).await
    }

    async fn stop(mut self) -> Result<(), PartsError> {
        self.stop.send(()).unwrap();
        self.run.join_next().await.unwrap().unwrap()
    }
}

async fn answer(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    match timeout(BOUND, stream.read_to_end(&mut bytes)).await.unwrap() {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    String::from_utf8(bytes).unwrap()
}

#[track_caller]
fn assert_status(answer: &str, status: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
}

fn get_request(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").into_bytes()
}

fn post_request(body: usize, length: usize) -> Vec<u8> {
    format!(
        "POST /length HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{}",
        "x".repeat(body)
    )
    .into_bytes()
}

#[tokio::test]
async fn a_handler_knows_the_other_side() {
    let server = Server::start(LIMITS).await;
    let mut stream = server.connect().await;
    let own = stream.local_addr().unwrap().to_string();
    stream.write_all(&get_request("/peer")).await.unwrap();
    let answer = answer(&mut stream).await;
    assert_status(&answer, "200");
    assert!(answer.ends_with(&own), "{answer}");
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let server = Server::start(LIMITS).await;
    let head = |bytes: usize| {
        format!("GET /peer HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx: {}\r\n\r\n", "y".repeat(bytes))
    };
    assert_status(&server.ask(head(15 * 1024).as_bytes()).await, "200");
    assert_status(&server.ask(head(17 * 1024).as_bytes()).await, "431");
}

#[tokio::test]
async fn a_head_that_does_not_come_in_time_ends_the_connection() {
    let server = Server::start(LIMITS).await;
    for begin in ["", "GET /peer HTTP/1.1\r\nhost"] {
        let begun = Instant::now();
        assert_eq!(server.ask(begin.as_bytes()).await, "");
        assert!(begun.elapsed() >= LIMITS.header_time);
    }
}

#[tokio::test]
async fn a_body_is_read_up_to_its_limit() {
    let server = Server::start(LIMITS).await;
    let answer = server.ask(&post_request(1000, 1000)).await;
    assert_status(&answer, "200");
    assert!(answer.ends_with("1000"), "{answer}");
    assert_status(&server.ask(&post_request(0, 1001)).await, "413");
}

#[tokio::test]
async fn a_body_without_a_length_is_read_up_to_its_limit() {
    let server = Server::start(LIMITS).await;
    let chunked = |bytes: usize| {
        let body = format!("{bytes:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(bytes));
        format!("POST /length HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{body}")
    };
    assert_status(&server.ask(chunked(1000).as_bytes()).await, "200");
    assert_status(&server.ask(chunked(1001).as_bytes()).await, "413");
}

#[tokio::test]
async fn what_is_behind_a_check_is_refused_before_its_body_is_read() {
    let server = Server::start(LIMITS).await;
    let announced = b"POST /closed HTTP/1.1\r\nhost: x\r\ncontent-length: 1001\r\n\r\n";
    assert_status(&server.ask(announced).await, "401");
}

#[tokio::test]
async fn a_body_that_does_not_come_in_time_is_refused() {
    let server = Server::start(LIMITS).await;
    assert_status(&server.ask(&post_request(999, 1000)).await, "408");
}

#[tokio::test]
async fn connections_above_the_limit_wait() {
    let server = Server::start(Limits { header_time: BOUND, ..LIMITS }).await;
    let first = server.connect().await;
    let _second = server.connect().await;
    let mut third = server.connect().await;
    third.write_all(&get_request("/peer")).await.unwrap();
    let mut byte = [0];
    assert!(timeout(Duration::from_millis(200), third.peek(&mut byte)).await.is_err());
    drop(first);
    assert_status(&answer(&mut third).await, "200");
}

#[tokio::test]
async fn a_panic_in_a_handler_costs_its_connection_only() {
    let server = Server::start(LIMITS).await;
    assert_eq!(server.ask(&get_request("/panic")).await, "");
    assert_status(&server.ask(&get_request("/peer")).await, "200");
}

#[tokio::test]
async fn a_stop_finishes_the_request_under_way_and_takes_no_other() {
    let server = Server::start(Limits { header_time: BOUND, ..LIMITS }).await;
    let address = server.address;
    let _idle = server.connect().await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    sleep(Duration::from_millis(100)).await;
    server.stop().await.unwrap();
    assert_status(&answer(&mut stream).await, "200");
    assert_eq!(TcpStream::connect(address).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn a_request_that_never_ends_is_cut_off_with_the_part() {
    let server = Server::start(LIMITS).await;
    let mut stream = server.connect().await;
    stream.write_all(&get_request("/never")).await.unwrap();
    sleep(Duration::from_millis(100)).await;
    assert!(matches!(server.stop().await, Err(PartsError::NotDrained { .. })));
    assert_eq!(answer(&mut stream).await, "");
}
