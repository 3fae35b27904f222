//! What was answered as done is there after the engine was killed, and while it is away every request says so.

use std::{path::Path, process::Command, sync::Arc, time::Duration};

use chassis::http::{
    Client,
    transport::{Limits, Reqwest},
};
use search::{
    Http,
    engine::{Engine, Error, Operation, Outcome, Query, Source},
};
use serde_json::json;

const LIMITS: Limits = Limits {
    connect: Duration::from_secs(2),
    read: Duration::from_secs(20),
    total: Duration::from_secs(20),
    answer_bytes: 1 << 20,
};
const LINES: usize = 50;
const KILLED_AFTER: usize = 20;

/// An engine beside that of other tests, with data and ports of its own. Dropped, it is gone.
struct Server;

impl Server {
    fn start() -> Self {
        let server = Self; // stopped also when its start fails half-way
        server.is_told("destroy");
        server.is_told("start");
        server
    }

    fn engine(&self) -> Http {
        let address = self.is_told("address").trim().parse().unwrap();
        Http::new(Client::new(address, Arc::new(Reqwest::new(LIMITS).unwrap())))
    }

    fn is_told(&self, command: &str) -> String {
        let server = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/local/server");
        let told = Command::new(server).args(["opensearch", command]).env("TRUECOPY_STACK", "search").output().unwrap();
        assert!(told.status.success(), "server opensearch {command}: {}", String::from_utf8_lossy(&told.stderr));
        String::from_utf8(told.stdout).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_told("destroy");
    }
}

/// Creates documents until the engine is away; their ids, those of which it said that they are done.
async fn write_until_away(engine: Http, index: String, written: tokio::sync::watch::Sender<usize>) -> Vec<String> {
    let mut done = Vec::new();
    for round in 0.. {
        let ids: Vec<_> = (0..LINES).map(|line| format!("{round}-{line}")).collect();
        let source = |id: &String| Source::from_iter([("at".to_owned(), json!(id))]);
        let lines: Vec<_> = ids.iter().map(|id| Operation::Create { id: id.clone(), source: source(id) }).collect();
        match engine.bulk(&index, &lines).await {
            Ok(outcomes) => {
                assert_eq!(outcomes, vec![Outcome::Done; LINES]);
                done.extend(ids);
                written.send_replace(round + 1);
            }
            Err(Error::Unavailable(_)) => break,
            Err(other) => panic!("{other}"),
        }
    }
    done
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs OpenSearch: ./dev test"]
async fn what_is_done_survives_a_kill() {
    let server = Server::start();
    let engine = server.engine();
    let index = "killed".to_owned();
    let mapping = json!({"dynamic": false, "properties": {"at": {"type": "keyword"}}});
    let settings = json!({"number_of_replicas": 0, "refresh_interval": "-1"});
    engine.create(&index, &json!({"settings": settings, "mappings": mapping})).await.unwrap();
    let (written, mut seen) = tokio::sync::watch::channel(0);
    let mut writers = tokio::task::JoinSet::new();
    writers.spawn(write_until_away(engine.clone(), index.clone(), written));
    seen.wait_for(|rounds| *rounds >= KILLED_AFTER).await.unwrap();
    server.is_told("kill9");
    let done = writers.join_next().await.unwrap().unwrap();
    assert!(done.len() >= KILLED_AFTER * LINES);
    for error in [
        engine.version().await.unwrap_err(),
        engine.count(&index, &Query::All).await.unwrap_err(),
        engine.indices("*").await.unwrap_err(),
        engine.healthy(&index, Duration::from_secs(1)).await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::Unavailable(_)), "{error}");
    }

    server.is_told("start");
    assert!(engine.healthy(&index, Duration::from_secs(30)).await.unwrap());
    for ids in done.chunks(1_000) {
        let read = engine.get(&index, ids).await.unwrap();
        let missing: Vec<_> = ids.iter().zip(&read).filter(|(_, read)| read.is_none()).collect();
        assert!(missing.is_empty(), "{} of {} are gone", missing.len(), done.len());
    }
    engine.refresh(&index).await.unwrap();
    let found = engine.count(&index, &Query::All).await.unwrap();
    let (least, most) = (done.len() as u64, (done.len() + LINES) as u64);
    assert!((least..=most).contains(&found), "{found} found, {least} done, at most {LINES} in doubt");
}
