use std::{
    io,
    sync::{Mutex, PoisonError},
};

use serde_json::{Value, json};

use super::{ServerError, admin, unique};
use crate::http1;

/// Queues on a server of the SQS protocol that nobody else uses. Dropped, they are deleted.
#[derive(Debug)]
pub struct TestQueues {
    endpoint: String,
    created: Mutex<Vec<String>>,
}

impl TestQueues {
    pub(super) fn at(endpoint: String) -> Self {
        Self { endpoint, created: Mutex::default() }
    }

    /// Where the server listens, `http://host:port`. It takes any credentials.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Makes a queue and returns its full name, `name` and something random. A name that ends in `.fifo` makes a FIFO queue, in which the
    /// bytes of a message identify it.
    ///
    /// # Errors
    /// The server refuses, or is not there.
    pub async fn create(&self, name: &str) -> Result<String, ServerError> {
        let (full, attributes) = match name.strip_suffix(".fifo") {
            Some(name) => {
                let attributes = json!({"FifoQueue": "true", "ContentBasedDeduplication": "true"});
                (format!("{}.fifo", unique(name)), attributes)
            }
            None => (unique(name), json!({})),
        };
        let answer = call(&self.endpoint, "CreateQueue", &json!({"QueueName": full, "Attributes": attributes})).await;
        let answer = answer.map_err(|source| ServerError::Queues { what: "make a queue", source })?;
        let url = answer.get("QueueUrl").and_then(Value::as_str).unwrap_or_default().to_owned();
        self.created.lock().unwrap_or_else(PoisonError::into_inner).push(url);
        Ok(full)
    }
}

impl Drop for TestQueues {
    fn drop(&mut self) {
        let endpoint = &self.endpoint;
        let urls = std::mem::take(self.created.get_mut().unwrap_or_else(PoisonError::into_inner));
        if !urls.is_empty() {
            admin::finish(|| async move {
                for url in urls {
                    call(endpoint, "DeleteQueue", &json!({"QueueUrl": url})).await.ok();
                }
            });
        }
    }
}

/// One request of the protocol; signatures are not looked at.
async fn call(endpoint: &str, action: &str, body: &Value) -> io::Result<Value> {
    let headers =
        [("content-type", "application/x-amz-json-1.0".to_owned()), ("x-amz-target", format!("AmazonSQS.{action}"))];
    let (status, answer) = http1::call_with("POST", endpoint, &headers, &body.to_string()).await?;
    if status != 200 {
        return Err(io::Error::other(format!("{action} was answered with {status}")));
    }
    Ok(serde_json::from_slice(&answer).unwrap_or_default())
}
