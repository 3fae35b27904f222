//! What the ports of the stores promise, against a real server. Names of databases are one's own.

mod sources;
mod store;

use std::net::ToSocketAddrs as _;

use chassis::settings as chassis_settings;
use mongodb::{
    Client,
    bson::{Document, doc},
};
use serde_json::json;
use testkit::{proxy::Proxy, servers};

use super::*;
use crate::{
    run_store::Control as _,
    sources::{Collection, Cursor as _, Sources as _},
};

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
#[ignore = "needs MongoDB: ./dev test"]
async fn a_server_that_was_away_is_used_again_and_a_cursor_that_broke_says_so() {
    let server = url::Url::parse(&servers::mongodb()).unwrap();
    let proxy =
        Proxy::start((server.host_str().unwrap(), server.port().unwrap()).to_socket_addrs().unwrap().next().unwrap());
    let proxy = proxy.unwrap();
    let (near, settings) = fresh().await;
    let doctors = near.database(&settings.database).collection::<Document>(Collection::Doctors.name());
    doctors.insert_many((0..5_000).map(|number| doc! { "_id": format!("{number:07}") })).await.unwrap();
    let uri = format!("mongodb://127.0.0.1:{}/?retryReads=false", proxy.port());
    let pairs = [("MONGODB_URI", uri.as_str()), ("MONGODB_DATABASE", settings.database.as_str())];
    let settings = chassis_settings::read(pairs, Settings::declare).unwrap();
    let far = client(&settings).await.unwrap();
    let (store, sources) = (Store::new(&far, &settings), Sources::new(&far, &settings));
    assert!(store.replace(None, &json!(1)).await.unwrap());
    let mut cursor = sources.read(Collection::Doctors).await.unwrap();
    assert!(!cursor.next().await.unwrap().is_empty());

    proxy.cut();
    assert!(matches!(store.replace(Some(0), &json!(2)).await, Err(StoreError::Unavailable(_))));
    let broke = async {
        loop {
            match cursor.next().await {
                Ok(more) => assert!(!more.is_empty(), "it ended as if nothing were missing"),
                Err(error) => break error,
            }
        }
    };
    assert!(matches!(broke.await, StoreError::Unavailable(_)));

    proxy.restore();
    let again = async {
        while store.read().await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), again).await.expect("it never came back");
    assert_eq!(store.read().await.unwrap(), Some((0, json!(1))));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let pairs = [("MONGODB_URI", "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100")];
    let settings = chassis_settings::read(pairs, Settings::declare).unwrap();
    let client = client(&settings).await.unwrap();
    assert!(matches!(Store::new(&client, &settings).read().await, Err(StoreError::Unavailable(_))));
    assert!(matches!(
        Sources::new(&client, &settings).read(Collection::Doctors).await,
        Err(StoreError::Unavailable(_))
    ));
}
