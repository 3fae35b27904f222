//! MongoDB, or what speaks its protocol: the collections of other teams, and what the service itself remembers.
//!
//! No sessions, transactions, update pipelines or collations are asked for, and no write is repeated by the driver (14.1 no. 1).

mod errors;
mod settings;
mod sources;
mod store;

#[cfg(test)]
mod tests;

use std::time::Duration;

use mongodb::Client;

pub use self::{
    settings::Settings,
    sources::{Cursor, Sources},
    store::Store,
};
use crate::sources::StoreError;

/// Bound of a call that is no cursor.
const CALL: Duration = Duration::from_secs(15);

/// A client; connects when it is used.
///
/// # Errors
/// [`StoreError::Refused`]: the settings make no client.
pub async fn client(settings: &Settings) -> Result<Client, StoreError> {
    let options = settings.options().await.map_err(|error| errors::problem(&error))?;
    Client::with_options(options).map_err(|error| errors::problem(&error))
}

/// Waits for one call, at most [`CALL`].
async fn call<T>(asked: impl Future<Output = mongodb::error::Result<T>>) -> Result<T, StoreError> {
    match tokio::time::timeout(CALL, asked).await {
        Ok(answer) => answer.map_err(|error| errors::problem(&error)),
        Err(_elapsed) => Err(StoreError::Unavailable("no answer in time".to_owned())),
    }
}
