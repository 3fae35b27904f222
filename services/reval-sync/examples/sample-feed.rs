//! What surrounds reval-sync on a laptop: the stores of other teams, filled once, and the trainee service, played for one run.
//!
//! `sample-feed`, with the service's settings: fills the collections with sample/sample.json, requests a run, sends the extract once the run waits for it.

#![allow(clippy::print_stdout, reason = "it tells on a terminal what it did")]
#![allow(clippy::indexing_slicing, reason = "a member that a JSON value does not have is null")]

use std::{error::Error, sync::Arc, time::Duration};

use bson::{Bson, Document};
use bytes::Bytes;
use chassis::http::{
    Client,
    transport::{Limits, Reqwest},
};
use http::HeaderMap;
use reval_sync::{
    mongo,
    rabbit::Rabbit,
    settings::Settings,
    signals::{Outgoing, Signals as _},
    sources::Collection,
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

const LIMITS: Limits = Limits {
    connect: Duration::from_secs(2),
    read: Duration::from_secs(10),
    total: Duration::from_secs(20),
    answer_bytes: 1 << 20,
};
/// How long a run over a dozen persons may take.
const LIMIT: Duration = Duration::from_secs(120);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let settings = Settings::load()?;
    let sample: Value = serde_json::from_str(include_str!("../sample/sample.json"))?;
    fill(&settings, &sample).await?;
    let service = Client::new(format!("http://{}", settings.api.listen).parse()?, Arc::new(Reqwest::new(LIMITS)?));
    let begin = Instant::now();
    let run: Value =
        service.post_json(&["api", "v1", "sync", "runs"], &json!({"reason": "sample"}), &HeaderMap::new()).await?;
    println!("run {} is requested", run["id"]);
    until(&service, begin, |run| run["stage"] == "tcs" || run["state"] != "running").await?;
    let trainees = sample["trainees"].as_array().into_iter().flatten().map(Value::to_string);
    let message = |body: String| Outgoing {
        exchange: settings.rabbit.exchange.clone(),
        routing_key: settings.rabbit.keys.trainee_data.clone(),
        body: Bytes::from(body),
        run: None,
    };
    let extract: Vec<Outgoing> = trainees.chain([r#"{"syncEnd":true}"#.to_owned()]).map(message).collect();
    Rabbit::new(settings.rabbit.clone(), &[]).publish(&extract).await?;
    println!("{} trainees and the end marker are sent", extract.len() - 1);
    let run = until(&service, begin, |run| run["state"] != "running").await?;
    println!("run {} is {}: {}", run["id"], run["state"], run["documents"]);
    if run["state"] == "completed" { Ok(()) } else { Err(format!("the run failed: {}", run["failure"]).into()) }
}

async fn fill(settings: &Settings, sample: &Value) -> Result<(), Box<dyn Error>> {
    let database = mongo::client(&settings.mongo).await?.database(&settings.mongo.database);
    for collection in Collection::ALL {
        let documents = sample.get(collection.name()).and_then(Value::as_array).cloned().unwrap_or_default();
        let documents: Result<Vec<Document>, _> = documents
            .into_iter()
            .map(|document| match Bson::try_from(document)? {
                Bson::Document(document) => Ok::<_, Box<dyn Error>>(document),
                other => Err(format!("{other} is no document").into()),
            })
            .collect();
        let (documents, stored) = (documents?, database.collection::<Document>(collection.name()));
        stored.delete_many(Document::new()).await?;
        if !documents.is_empty() {
            stored.insert_many(documents).await?;
        }
    }
    Ok(())
}

/// The current run, once `holds` of it.
async fn until(service: &Client, begin: Instant, holds: impl Fn(&Value) -> bool) -> Result<Value, Box<dyn Error>> {
    loop {
        let run: Value = service.get_json(&["api", "v1", "sync", "runs", "current"], &[], &HeaderMap::new()).await?;
        if holds(&run) {
            return Ok(run);
        }
        if begin.elapsed() > LIMIT {
            return Err(format!("the run takes too long: {run}").into());
        }
        sleep(Duration::from_millis(200)).await;
    }
}
