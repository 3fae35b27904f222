//! The service under load: a process of its own, frozen while its load is produced, so that making it costs the service nothing.

use std::{collections::BTreeSet, fs, time::Duration};

use arena_acl::kafka::GROUP;
use serde_json::Value;
use testkit::{
    process::Process,
    servers::{Record, ServerError},
};
use tokio::time::Instant;

use crate::{
    feed::Change,
    load::Load,
    run::{BOUND, Measured, Run, until},
};

/// How often an end is looked for: the error of a measurement.
const LOOK: Duration = Duration::from_millis(20);

pub(crate) struct Service<'r> {
    run: &'r Run,
    process: Process,
    /// From the start of the process to its readiness.
    pub(crate) start: Duration,
}

/// What a process took.
pub(crate) struct Ended {
    pub(crate) start: Duration,
    /// The most memory that it had resident, in MiB.
    pub(crate) peak: f64,
}

impl<'r> Service<'r> {
    /// Over empty tables.
    pub(crate) async fn start(run: &'r Run) -> Self {
        run.settle().await;
        let begin = Instant::now();
        let mut process = run.process("serve");
        process.wait_ready(&run.admin, BOUND).await.unwrap();
        Self { run, process, start: begin.elapsed() }
    }

    /// Produces `records` and waits until they are committed.
    pub(crate) async fn take(&self, records: &[Record]) {
        let places = self.run.topics.produce_all(records).await.unwrap();
        self.committed(records, &places).await.unwrap();
    }

    async fn committed(&self, records: &[Record], places: &[(i32, i64)]) -> Result<(), ServerError> {
        let places: Vec<_> = records
            .iter()
            .zip(places)
            .map(|(record, (partition, offset))| (record.topic.clone(), *partition, *offset))
            .collect();
        self.run.topics.wait_committed(GROUP, &places, BOUND).await
    }

    /// From the first record that the service may take to the last message in its topic. The courses are there.
    pub(crate) async fn publish(&mut self, load: &Load) -> Measured {
        let before = self.messages().await;
        self.process.freeze().unwrap();
        self.run.topics.produce_all(&load.records(&self.run.participants)).await.unwrap();
        let all = before + load.changes.len();
        let Self { run, process, .. } = self;
        let (id, run) = (process.id(), *run);
        let measured = run
            .measure(Some(id), async {
                process.thaw().unwrap();
                until("every message is in its topic", LOOK, async || messages(run).await >= all).await;
            })
            .await;
        self.all_marked().await;
        run.assert_published(load).await;
        self.assert_each_once(load).await;
        measured
    }

    /// From the first record that the service may take to the commit of the last. Nothing is published.
    pub(crate) async fn keep(&mut self, load: &Load) -> Measured {
        self.process.freeze().unwrap();
        let records = load.records(&self.run.participants);
        let places = self.run.topics.produce_all(&records).await.unwrap();
        let id = self.process.id();
        self.run
            .measure(Some(id), async {
                self.process.thaw().unwrap();
                self.committed(&records, &places).await.unwrap();
            })
            .await
    }

    /// From the courses, which were not there, to the last message in its topic; and how long the first message takes. The load is kept.
    pub(crate) async fn drain(&mut self, load: &Load) -> (Measured, Duration) {
        let Self { run, process, .. } = self;
        let (run, id, all) = (*run, process.id(), load.changes.len());
        let mut first = Duration::ZERO;
        let measured = run
            .measure(Some(id), async {
                let begin = Instant::now();
                let courses = async { self.take(&load.course_records(run)).await };
                let messages = async {
                    until("the first message is in its topic", LOOK, async || messages(run).await > 0).await;
                    first = begin.elapsed();
                    until("every message is in its topic", LOOK, async || messages(run).await >= all).await;
                };
                tokio::join!(courses, messages);
            })
            .await;
        self.all_marked().await;
        run.assert_published(load).await;
        self.assert_each_once(load).await;
        (measured, first)
    }

    async fn messages(&self) -> usize {
        messages(self.run).await
    }

    async fn all_marked(&self) {
        until("every message is marked", LOOK, async || {
            self.run.count("SELECT count(*) FROM outbox WHERE published_at IS NULL").await == 0
        })
        .await;
    }

    /// A run that lost or doubled anything has no figure.
    async fn assert_each_once(&self, load: &Load) {
        let published = self.run.topics.read(&self.run.group, &[]).await.unwrap();
        assert_eq!(published.len(), load.changes.len());
        let marks: BTreeSet<String> = published
            .iter()
            .map(|message| {
                let value: Value = serde_json::from_slice(message.payload.as_deref().unwrap()).unwrap();
                value["payload"]["innsokBegrunnelse"].as_str().unwrap().to_owned()
            })
            .collect();
        assert_eq!(marks, load.changes.iter().map(Change::mark).collect());
    }

    pub(crate) async fn end(mut self) -> Ended {
        let peak = peak(self.process.id());
        assert_eq!(self.process.sigterm(BOUND).await.unwrap().code(), Some(0));
        Ended { start: self.start, peak }
    }
}

async fn messages(run: &Run) -> usize {
    let ends = run.topics.end_offsets(&run.group).await.unwrap();
    usize::try_from(ends.iter().sum::<i64>()).unwrap()
}

fn peak(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}
