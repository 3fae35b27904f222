//! The full path: Kafka, the service, Postgres rows and outbox, Kafka.

use std::{collections::BTreeSet, fs, time::Duration};

use arena_acl::kafka::GROUP;
use serde_json::Value;
use testkit::servers::Record;
use tokio::time::Instant;

use crate::{
    feed::{Change, Course},
    run::{BOUND, PARTITIONS, Run, until},
};

/// How often the end is looked for: the error of a measurement.
const LOOK: Duration = Duration::from_millis(10);

pub(crate) struct FullPath {
    /// From the first record that the service may take to the last message in its topic.
    pub(crate) time: Duration,
    /// From the start of the process to its readiness.
    pub(crate) start: Duration,
    /// The most memory that the process had resident, in bytes.
    pub(crate) peak_bytes: u64,
}

/// Everything is in the topic before the clock starts: the service is frozen meanwhile, so that making the load costs it nothing.
pub(crate) async fn measure(run: &Run, courses: &[Course], changes: &[Change]) -> FullPath {
    run.settle().await;
    let begin = Instant::now();
    let mut service = run.process("serve");
    service.wait_ready(&run.admin, BOUND).await.unwrap();
    let start = begin.elapsed();
    let known: Vec<Record> =
        courses.iter().zip(1..).map(|(course, position)| course.record(&run.courses, position)).collect();
    commit_of(run, &known).await;

    let before = messages(run).await;
    service.freeze().unwrap();
    let records: Vec<Record> = changes.iter().map(|change| change.record(&run.participants, PARTITIONS)).collect();
    run.topics.produce_all(&records).await.unwrap();
    let begin = Instant::now();
    service.thaw().unwrap();
    let all = before + i64::try_from(changes.len()).unwrap();
    until("every message is in its topic", LOOK, async || messages(run).await >= all).await;
    let time = begin.elapsed();

    until("every message is marked", LOOK, async || {
        run.count("SELECT count(*) FROM outbox WHERE published_at IS NULL").await == 0
    })
    .await;
    let peak_bytes = peak(service.id());
    assert_eq!(service.sigterm(BOUND).await.unwrap().code(), Some(0));
    run.assert_complete(changes.len()).await;
    assert_published_once(run, changes).await;
    FullPath { time, start, peak_bytes }
}

async fn commit_of(run: &Run, records: &[Record]) {
    let places = run.topics.produce_all(records).await.unwrap();
    let places: Vec<_> =
        places.into_iter().map(|(partition, offset)| (run.courses.clone(), partition, offset)).collect();
    run.topics.wait_committed(GROUP, &places, BOUND).await.unwrap();
}

async fn messages(run: &Run) -> i64 {
    run.topics.end_offsets(&run.group).await.unwrap().iter().sum()
}

/// A run that lost or doubled anything has no figure.
async fn assert_published_once(run: &Run, changes: &[Change]) {
    let published = run.topics.read(&run.group, &[]).await.unwrap();
    assert_eq!(published.len(), changes.len());
    let marks: BTreeSet<String> = published
        .iter()
        .map(|message| {
            let value: Value = serde_json::from_slice(message.payload.as_deref().unwrap()).unwrap();
            value["payload"]["innsokBegrunnelse"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(marks, changes.iter().map(Change::mark).collect());
}

fn peak(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
