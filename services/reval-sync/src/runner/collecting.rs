//! The stages that bring data: signals, queues with their barrier, stores.

use std::time::Duration;

use bytes::Bytes;
use domain::reval_sync::{
    doctor::Outcome,
    run::{Event, Stage},
};
use serde_json::Value;
use tokio::time::Instant;
use tracing::warn;

use super::Runner;
use crate::{
    deliveries::{Deliveries as _, Depth},
    doctors::{Latest, LatestLogs},
    exporter,
    intake::queue_of,
    live::Item,
    merge::Order,
    record::stage_name,
    run_store::Logs as _,
    shared::Ports,
    signals::{Outgoing, Signals as _},
    sources::{Collection, Cursor as _, Sources as _},
    trouble::Trouble,
    wire::{self, Change, Entry, Kind, Unreadable},
};

/// Between two looks at counts that lag behind (R-RUN-3).
const LAG: Duration = Duration::from_secs(5);
/// Looks at such counts.
const LOOKS: u32 = 3;
/// Pages of a log that are read together.
const PAGES: usize = 4;

impl<P: Ports> Runner<P> {
    /// Waits until the trainee queue is empty and quiet; what is in it goes to live as late data (14.3 no. 14).
    pub(super) async fn empty(&self) -> Result<Event, Trouble> {
        self.until_quiet(Stage::Tcs, |depth| depth.ready == 0 && depth.unsettled == 0).await?;
        Ok(Event::Emptied)
    }

    /// Sends the signal of a stage. From then on its data belongs to the run.
    pub(super) async fn send(&self, stage: Stage) -> Result<Event, Trouble> {
        let run = {
            let mut active = self.active().await?;
            active.accepting = true;
            active.record.id.clone()
        };
        let routes = &self.shared.handling.routes;
        let (key, text) = routes.signal(stage);
        let outgoing = Outgoing {
            exchange: routes.exchange.clone(),
            routing_key: key.to_owned(),
            body: Bytes::from(Value::from(text).to_string()),
            run: Some(run),
        };
        self.shared
            .patiently("sending a signal", || self.shared.queues.publish(std::slice::from_ref(&outgoing)))
            .await?;
        if stage == Stage::Tcs {
            // trainees that were journaled up to here are older than the extract (18d)
            let end = self.shared.patiently("reading the journal", || self.journal_end()).await?;
            self.active().await?.record.extract_from = end;
        }
        Ok(Event::Sent(stage))
    }

    pub(super) async fn journal_end(&self) -> Result<u64, Trouble> {
        Ok(self.live.journal_end().await?.0)
    }

    /// Waits for the end of a stage: its marker, and the barrier.
    pub(super) async fn watch(&self, stage: Stage) -> Result<Event, Trouble> {
        self.shared.patiently("counting", || self.expect(stage)).await?;
        self.active().await?.open(stage);
        self.shared.halts.reach(stage_name(stage)).await;
        loop {
            let is_alone = |depth: &Depth| depth.ready == 0 && depth.unsettled == 0 && depth.strangers == 0;
            self.until_quiet(stage, is_alone).await?;
            if self.active().await?.run.is_marked(stage) {
                return Ok(Event::Quiet(stage));
            }
            self.pause(self.shared.handling.quiet_period).await;
        }
    }

    /// How much a stage will bring, where anybody knows.
    async fn expect(&self, stage: Stage) -> Result<(), Trouble> {
        if stage == Stage::Tcs {
            let last = self.shared.desk.look().await?.last;
            let expected = last.and_then(|mut last| Some(last.stage(stage).received).filter(|count| *count > 0));
            self.active().await?.record.stage(stage).expected = expected;
        }
        Ok(())
    }

    /// Waits until a queue is as `wanted` and nothing came for the quiet period.
    async fn until_quiet(&self, stage: Stage, wanted: impl Fn(&Depth) -> bool + Send) -> Result<(), Trouble> {
        let queue = queue_of(stage);
        let quiet = self.shared.handling.quiet_period;
        let mut since = Instant::now();
        let mut looks = 0;
        loop {
            self.catch_up().await?;
            let depth = self.shared.patiently("asking a queue", || self.shared.queues.depth(queue)).await?;
            if !wanted(&depth) {
                (since, looks) = (Instant::now(), 0);
            } else {
                looks += 1;
                since = since.max(self.active().await?.heard_at);
            }
            if wanted(&depth) && Self::since(since) >= quiet && (!depth.approximate || looks >= LOOKS) {
                return Ok(());
            }
            let left = quiet.saturating_sub(Self::since(since)).max(Duration::from_millis(20));
            self.pause(if depth.approximate { LAG } else { left.min(Duration::from_secs(1)) }).await;
        }
    }

    /// Waits for others: nothing is under way meanwhile.
    async fn pause(&self, pause: Duration) {
        self.shared.work.resting(pause).await;
    }

    /// Makes the documents anew from the log.
    pub(super) async fn load(&self) -> Result<(), Trouble> {
        self.active().await?.forget();
        self.catch_up().await
    }

    /// Applies what is in the log and not in the documents.
    pub(super) async fn catch_up(&self) -> Result<(), Trouble> {
        loop {
            let mut active = self.active().await?;
            if active.merge.is_none() {
                return Ok(());
            }
            let (log, from) = (active.log(), active.log_read);
            let store = &self.shared.store;
            let pages = self.shared.patiently("reading the log", || store.pages(&log, from, PAGES)).await?;
            let Some(last) = pages.last() else { return Ok(()) };
            active.log_read = last.sequence + 1;
            for bytes in pages.iter().flat_map(|page| &page.entries) {
                if let Some((entry, item)) = read(bytes) {
                    active.apply(entry.kind, item, &self.shared.clock);
                }
            }
        }
    }

    /// Reads the store of a stage to its end; an outage begins it anew, which changes nothing.
    pub(super) async fn read(&self, stage: Stage) -> Result<Event, Trouble> {
        self.active().await?.open(stage);
        self.shared.patiently("reading a store", || self.read_once(stage)).await?;
        Ok(Event::Read(stage))
    }

    async fn read_once(&self, stage: Stage) -> Result<(), Trouble> {
        self.active().await?.record.stage(stage).received = 0;
        match stage {
            Stage::Tcs => Ok(()),
            Stage::Gmc => self.read_doctors().await,
            Stage::ConnectionLogs => self.read_logs().await,
            Stage::HiddenDiscrepancies => self.read_hidden().await,
        }
    }

    async fn read_doctors(&self) -> Result<(), Trouble> {
        let mut latest = Latest::default();
        let mut recommendations = self.shared.sources.read(Collection::Recommendations).await?;
        loop {
            let documents = recommendations.next().await?;
            if documents.is_empty() {
                break;
            }
            for document in &documents {
                if let Err(why) = latest.add(document) {
                    self.give_up(Stage::Gmc, Collection::Recommendations, document, &why).await?;
                }
            }
            self.moved().await?;
        }
        let today = self.active().await?.record.today;
        self.each(Stage::Gmc, Collection::Doctors, |document| {
            let mut summary = wire::doctor(document)?;
            summary.gmc.outcome = latest.outcome(&summary, today).map(|outcome| outcome.label().into());
            let change = Change::Doctor(Box::new(summary), Outcome::Told);
            change.check()?;
            Ok(Some(change))
        })
        .await
    }

    async fn read_logs(&self) -> Result<(), Trouble> {
        let mut latest = LatestLogs::default();
        self.each(Stage::ConnectionLogs, Collection::ConnectionLogs, |document| latest.add(document).map(|()| None))
            .await?;
        let mut active = self.active().await?;
        for log in latest.into_logs() {
            active.merge_in(&of_store(Stage::ConnectionLogs, Change::Connection(log)));
        }
        Ok(())
    }

    async fn read_hidden(&self) -> Result<(), Trouble> {
        self.each(Stage::HiddenDiscrepancies, Collection::HiddenDiscrepancies, |document| {
            Ok(Some(Change::Hide(Box::new(wire::hidden_discrepancy(document)?))))
        })
        .await
    }

    /// Goes through a collection and applies what each document does; one that can never be read is a dead letter.
    async fn each(
        &self,
        stage: Stage,
        collection: Collection,
        mut read: impl FnMut(&Value) -> Result<Option<Change>, Unreadable> + Send,
    ) -> Result<(), Trouble> {
        let expected = self.shared.sources.count(collection).await?;
        self.active().await?.record.stage(stage).expected = Some(expected);
        let mut cursor = self.shared.sources.read(collection).await?;
        loop {
            let documents = cursor.next().await?;
            if documents.is_empty() {
                return Ok(());
            }
            let mut bad = Vec::new();
            {
                let mut active = self.active().await?;
                active.moved = true;
                active.record.stage(stage).received += u64::try_from(documents.len()).unwrap_or(u64::MAX);
                for document in &documents {
                    match read(document) {
                        Ok(Some(change)) => active.merge_in(&of_store(stage, change)),
                        Ok(None) => {}
                        Err(why) => bad.push((document, why)),
                    }
                }
            }
            self.shared.halts.reach(stage_name(stage)).await;
            for (document, why) in bad {
                self.give_up(stage, collection, document, &why).await?;
            }
        }
    }

    async fn give_up(
        &self,
        stage: Stage,
        collection: Collection,
        document: &Value,
        why: &Unreadable,
    ) -> Result<(), Trouble> {
        exporter::give_up(&self.shared, collection, document, why).await?;
        self.active().await?.record.stage(stage).dead_lettered += 1;
        Ok(())
    }
}

fn of_store(stage: Stage, change: Change) -> Item {
    Item { entry: Entry { kind: Kind::Data(stage), body: Bytes::new() }, change, order: None }
}

/// An entry of a log and what it does. What was readable when it was logged is readable, unless the rules were changed since.
pub(super) fn read(bytes: &Bytes) -> Option<(Entry, Option<Item>)> {
    let entry = Entry::read(bytes)?;
    match entry.change() {
        Ok(Some((change, event))) => {
            let order = match (entry.kind, event) {
                (Kind::Event(collection), Some(event)) => Order::of(collection, &event),
                _ => None,
            };
            Some((entry.clone(), Some(Item { entry, change, order })))
        }
        Ok(None) => Some((entry, None)),
        Err(unreadable) => {
            warn!(%unreadable, "an entry of a log is not readable any more");
            None
        }
    }
}
