//! The transport that ships: reqwest over rustls.

use std::{error::Error, time::Duration};

use ::reqwest::Certificate;
use bytes::{Bytes, BytesMut};
use futures::future::{BoxFuture, FutureExt};

use super::{Request, Response, Transport, TransportError};

/// How long a call may take and how large its answer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Until the connection stands, TLS included.
    pub connect: Duration,
    /// Between two signs of life of the other side.
    pub read: Duration,
    /// For the whole call, so that an answer that drips ends too.
    pub total: Duration,
    /// The largest body of an answer, in bytes, after which the call fails.
    pub answer_bytes: usize,
}

/// HTTP over the network. TLS is always checked, against the certificates of the system and of the authority that was named. Connections are reused; nothing is sent
/// twice, no redirect is followed, and no proxy is taken from the environment.
#[derive(Debug, Clone)]
pub struct Reqwest {
    client: reqwest::Client,
    answer_bytes: usize,
}

/// The transport could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The system has no usable certificates, or those that were given are none.
    #[error("outgoing HTTP cannot be set up")]
    Tls(#[source] reqwest::Error),
    /// What was given for an authority holds no certificate at all.
    #[error("no certificate in what was given for a certificate authority")]
    NoCertificate,
}

impl Reqwest {
    /// A transport with these limits for each call.
    ///
    /// # Errors
    /// [`BuildError`] when TLS cannot be set up, also where only plain HTTP would be used.
    pub fn new(limits: Limits) -> Result<Self, BuildError> {
        Self::build(limits, Vec::new())
    }

    /// The same, trusting also the certificate authorities in `pem`: one certificate or several.
    ///
    /// # Errors
    /// [`BuildError`] as above, and when there is no usable certificate in `pem`.
    pub fn trusting(limits: Limits, pem: &[u8]) -> Result<Self, BuildError> {
        let authorities = Certificate::from_pem_bundle(pem).map_err(BuildError::Tls)?;
        if authorities.is_empty() {
            return Err(BuildError::NoCertificate);
        }
        Self::build(limits, authorities)
    }

    fn build(limits: Limits, authorities: Vec<Certificate>) -> Result<Self, BuildError> {
        let client = reqwest::Client::builder()
            .tls_certs_merge(authorities)
            .connect_timeout(limits.connect)
            .read_timeout(limits.read)
            .timeout(limits.total)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .build()
            .map_err(BuildError::Tls)?;
        Ok(Self { client, answer_bytes: limits.answer_bytes })
    }

    async fn exchange(&self, request: Request) -> Result<Response, TransportError> {
        let request = reqwest::Request::try_from(request).map_err(named)?;
        let mut answer = self.client.execute(request).await.map_err(named)?;
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = answer.status();
        *response.headers_mut() = answer.headers().clone();
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(named)? {
            if body.len() + chunk.len() > self.answer_bytes {
                // Of a refusal the status is all that counts, however long its page.
                if !answer.status().is_success() {
                    break;
                }
                return Err(TransportError::TooLarge(self.answer_bytes));
            }
            body.extend_from_slice(&chunk);
        }
        *response.body_mut() = body.freeze();
        Ok(response)
    }
}

impl Transport for Reqwest {
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Response, TransportError>> {
        self.exchange(request).boxed()
    }
}

fn named(error: reqwest::Error) -> TransportError {
    if error.is_timeout() {
        return TransportError::Timeout;
    }
    // The outer texts quote the address; the innermost says what the system said.
    let error = error.without_url();
    let mut cause: &dyn Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    TransportError::Connection(cause.to_string())
}
