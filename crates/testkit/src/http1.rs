//! A minimal HTTP/1.1 client for probes and tests: one request on a connection of its own, no redirects, no TLS.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use url::Url;

/// Bound of a whole call.
const CALL: Duration = Duration::from_secs(5);
/// The largest answer that is read.
const ANSWER_BYTES: u64 = 4 << 20;

/// The status and body of the answer. The body is what came until the other side closed; chunks are not put together.
///
/// # Errors
/// `url` is none, nobody listens, or no whole answer came within 5 s.
pub async fn call(method: &str, url: &str, body: &str) -> io::Result<(u16, Vec<u8>)> {
    call_with(method, url, &[], body).await
}

/// The same with headers.
///
/// # Errors
/// As [`call`].
pub async fn call_with(method: &str, url: &str, headers: &[(&str, String)], body: &str) -> io::Result<(u16, Vec<u8>)> {
    match timeout(CALL, answer(method, url, headers, body)).await {
        Ok(answer) => answer,
        Err(elapsed) => Err(io::Error::new(io::ErrorKind::TimedOut, elapsed)),
    }
}

async fn answer(method: &str, url: &str, headers: &[(&str, String)], body: &str) -> io::Result<(u16, Vec<u8>)> {
    let url = Url::parse(url).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or(80);
    let target = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    let mut stream = TcpStream::connect((host, port)).await?;
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!(
        "{method} {target} HTTP/1.1\r\nhost: {host}:{port}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    let mut bytes = Vec::new();
    stream.take(ANSWER_BYTES).read_to_end(&mut bytes).await?;
    let bad = || io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP/1.1");
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").ok_or_else(bad)?;
    let status = bytes.get(9..12).and_then(|digits| str::from_utf8(digits).ok()?.parse().ok()).ok_or_else(bad)?;
    Ok((status, bytes.split_off(end + 4)))
}
