//! What the ports of the stores promise, against a real server. Names of databases are one's own.

mod sources;
mod store;

use chassis::settings as chassis_settings;
use mongodb::Client;
use testkit::servers;

use super::*;

/// Settings for a database of one's own.
fn settings(more: &[(&'static str, &str)]) -> Settings {
    let (uri, database) = (servers::mongodb(), servers::unique("reval"));
    let pairs = [("MONGODB_URI", uri.as_str()), ("MONGODB_DATABASE", database.as_str())];
    chassis_settings::read(pairs.into_iter().chain(more.iter().copied()), Settings::declare).unwrap()
}

async fn fresh() -> (Client, Settings) {
    let settings = settings(&[]);
    (client(&settings).await.unwrap(), settings)
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    use crate::{
        run_store::Control as _,
        sources::{Collection, Sources as _},
    };
    let pairs = [("MONGODB_URI", "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100")];
    let settings = chassis_settings::read(pairs, Settings::declare).unwrap();
    let client = client(&settings).await.unwrap();
    assert!(matches!(Store::new(&client, &settings).read().await, Err(StoreError::Unavailable(_))));
    assert!(matches!(
        Sources::new(&client, &settings).read(Collection::Doctors).await,
        Err(StoreError::Unavailable(_))
    ));
}
