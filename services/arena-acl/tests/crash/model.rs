//! The sequential model: the service's own use case over the memory store, one record at a time in the order of production, and
//! then the retry job until nothing is left to retry.

use std::sync::Arc;

use arena_acl::{
    jobs::{Jobs, Rerun},
    memory::{Memory, State},
    metrics::Metrics,
    neighbours::Neighbours,
    records::{Records, Rules},
    settings::{Calls, Handling},
    wire,
};
use chassis::{
    clock::Clock,
    dead_letters::{DeadLetter, DeadLetters as _},
    http::Client,
    settings,
};
use chrono::TimeDelta;
use domain::{
    arena_acl::{Backoff, IngestStatus, Pass},
    delivery::{Class, Message},
};
use url::Url;

use crate::{
    third,
    world::{Names, Produced},
};

/// Runs of the retry job that are enough for everything in the load: a delete leaves in the third.
const RUNS: usize = 12;

/// What an undisturbed run leaves. Its outbox is everything that it would have published, in order.
pub(crate) async fn run(produced: &[Produced], names: &Names) -> State {
    let memory = Arc::new(Memory::default());
    let records = Arc::new(records(&memory, names));
    let clock = Clock::system();
    for Produced { sent, topic, partition, offset } in produced {
        let Some(payload) = &sent.payload else { continue };
        match wire::read(payload) {
            Ok(item) => {
                let ended = records.handle(&[item], Pass::Live).await;
                assert!(ended.iter().all(|ended| matches!(ended, Ok(Some(_)))), "{ended:?}");
            }
            Err(unreadable) => {
                let message = Message {
                    source: topic.as_str().into(),
                    partition: *partition,
                    offset: *offset,
                    timestamp: None,
                    key: None,
                    payload: Some(payload.clone()),
                    headers: Vec::new(),
                    attempt: 1,
                };
                let class = Class::Permanent(unreadable.reason);
                let letter = DeadLetter::new(&message, unreadable.reason, class, unreadable.detail, clock.now());
                memory.put(&[letter]).await.unwrap();
            }
        }
    }
    let jobs = Jobs::new(memory.clone(), records, clock);
    for _ in 0..RUNS {
        if !memory.state().arena_data.iter().any(|row| row.ingest_status == IngestStatus::Retry) {
            break;
        }
        jobs.run(Rerun::Retry, 5000.try_into().unwrap()).await.unwrap();
    }
    memory.state()
}

fn records(memory: &Arc<Memory>, names: &Names) -> Records<Memory> {
    let calls = settings::read([("", ""); 0], Calls::declare).unwrap();
    let handling = settings::read([("", ""); 0], Handling::declare).unwrap();
    let client = || Client::new(Url::parse("http://third.invalid/").unwrap(), Arc::new(third::transport()));
    let rules = Rules {
        max_attempts: handling.max_attempts,
        delete_wait: handling.delete_wait,
        backoff: Backoff { least: TimeDelta::zero(), most: TimeDelta::zero() }, // the model does not wait
        unknown_match_waits: false,
        reprocess: false,
        group_topic: names.group.as_str().into(),
        single_place_topic: names.single_place.as_str().into(),
    };
    let neighbours = Neighbours::new(client(), client(), client(), &calls);
    let metrics = Metrics::new(chassis::metrics::Metrics::new());
    Records::new(memory.clone(), neighbours, Clock::system(), rules, metrics)
}
