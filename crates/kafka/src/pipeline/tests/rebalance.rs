//! Partitions that come and go, over a source that says what the test says.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use domain::delivery::Message;
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::{Instant, sleep},
};

use super::world::{APPLIED, Act, TOPIC, World, broker, partition};
use crate::{
    epoch::{Epoch, Epochs},
    pipeline::Limits,
    source::{CommitError, Drained, Event, Partition, Position, Record, Source, SourceError},
};

const SLOW: Duration = Duration::from_secs(2);

/// What the loop did to its source, in order.
#[derive(Debug, Clone, PartialEq)]
enum Done {
    Paused,
    Resumed,
    Committed(Vec<Position>),
    Released(Vec<Partition>),
    Closed,
}

struct Scripted {
    events: UnboundedReceiver<Event>,
    say: UnboundedSender<Event>,
    done: Arc<Mutex<Vec<(Instant, Done)>>>,
    refusals: Arc<Mutex<u32>>,
}

impl Scripted {
    fn did(&self, what: Done) {
        self.done.lock().unwrap().push((Instant::now(), what));
    }
}

impl Source for Scripted {
    async fn next(&mut self) -> Event {
        self.events.recv().await.unwrap()
    }

    fn pause(&mut self) {
        self.did(Done::Paused);
    }

    fn resume(&mut self) {
        self.did(Done::Resumed);
    }

    fn commit(&mut self, positions: Vec<Position>) {
        self.did(Done::Committed(positions.clone()));
        let mut refusals = self.refusals.lock().unwrap();
        let refused = *refusals > 0;
        *refusals = refusals.saturating_sub(1);
        let result = if refused { Err(CommitError("refused".to_owned())) } else { Ok(()) };
        self.say.send(Event::Committed { positions, result }).unwrap();
    }

    fn release(&mut self, partitions: Vec<Partition>) {
        self.did(Done::Released(partitions));
    }

    async fn close(self) {
        self.did(Done::Closed);
    }

    fn drained(&self) -> Drained {
        Arc::new(|| true)
    }
}

struct Stage {
    world: World,
    say: UnboundedSender<Event>,
    done: Arc<Mutex<Vec<(Instant, Done)>>>,
    refusals: Arc<Mutex<u32>>,
    epochs: Epochs,
}

fn slow_first(message: &Message) -> Act {
    if message.payload.as_deref() == Some(b"slow") { Act::Take(SLOW, APPLIED) } else { Act::Settle(APPLIED) }
}

impl Stage {
    fn new(behaviour: impl Fn(&Message) -> Act + Send + Sync + 'static) -> Self {
        let (say, events) = unbounded_channel();
        let (done, refusals) = (Arc::default(), Arc::default());
        let source = Scripted { events, say: say.clone(), done: Arc::clone(&done), refusals: Arc::clone(&refusals) };
        let world = World::over(source, &broker(), Limits::default(), behaviour);
        say.send(Event::Reachable(true)).unwrap();
        Self { world, say, done, refusals, epochs: Epochs::default() }
    }

    fn assign(&mut self, number: i32) -> Epoch {
        let epoch = self.epochs.begin();
        self.say.send(Event::Assigned(vec![(partition(number), epoch)])).unwrap();
        epoch
    }

    fn deliver(&self, epoch: Epoch, number: i32, offset: i64, payload: &'static str) {
        let message = Message {
            source: TOPIC.into(),
            partition: number,
            offset,
            timestamp: None,
            key: Some(Bytes::from_static(payload.as_bytes())),
            payload: Some(Bytes::from_static(payload.as_bytes())),
            headers: Vec::new(),
            attempt: 1,
        };
        self.say.send(Event::Records(vec![Record { epoch, message }])).unwrap();
    }

    fn say(&self, event: Event) {
        self.say.send(event).unwrap();
    }

    fn done(&self) -> Vec<Done> {
        self.done.lock().unwrap().iter().map(|(_, what)| what.clone()).collect()
    }

    async fn runs(&self, steps: usize) {
        self.world.until("steps have begun", || self.world.steps().len() == steps).await;
    }
}

fn committed(number: i32, next: i64) -> Done {
    Done::Committed(vec![Position { partition: partition(number), next }])
}

#[tokio::test(start_paused = true)]
async fn a_revoked_partition_is_released_when_its_work_is_committed() {
    let mut stage = Stage::new(slow_first);
    let epoch = stage.assign(0);
    stage.deliver(epoch, 0, 7, "slow");
    stage.runs(1).await;
    stage.deliver(epoch, 0, 8, "slow"); // behind the first: it does not run
    sleep(Duration::from_millis(1)).await;
    let revoked = Instant::now();
    stage.say(Event::Revoked(vec![partition(0)]));
    stage.deliver(epoch, 0, 9, "too late");
    stage.world.until("released", || stage.done().len() == 2).await;
    assert_eq!(stage.done(), [committed(0, 8), Done::Released(vec![partition(0)])]);
    assert!(revoked.elapsed() <= SLOW, "{:?}", revoked.elapsed());
    assert_eq!(stage.world.settled(), ["slow"]);
    assert_eq!(
        stage.world.metric("truecopy_messages_settled_total", &["outcome=\"returned\"", "reason=\"revoked\""]),
        1.0
    );
    assert_eq!(stage.world.metric("truecopy_messages_received_total", &[]), 2.0, "9 was never taken");
    stage.world.assert_balanced();
    stage.world.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_revoked_partition_is_released_after_five_seconds_at_the_latest() {
    let mut stage = Stage::new(|_| Act::Take(Duration::from_secs(30), APPLIED));
    let epoch = stage.assign(0);
    stage.deliver(epoch, 0, 0, "endless");
    stage.runs(1).await;
    stage.say(Event::Revoked(vec![partition(0)]));
    let revoked = Instant::now();
    stage.world.until("released", || !stage.done().is_empty()).await;
    assert_eq!(revoked.elapsed().as_secs(), 5);
    assert_eq!(stage.done(), [Done::Released(vec![partition(0)])]);
    // The work ends later. It is settled, but its epoch is over: also where the partition came back.
    let again = stage.assign(0);
    stage.deliver(again, 0, 0, "other");
    stage.world.until("the first has ended", || stage.world.settled() == ["endless"]).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(
        stage.done(),
        [Done::Released(vec![partition(0)])],
        "a result of an epoch that is over is not committed"
    );
    stage.world.until("the second has ended", || stage.world.settled().len() == 2).await;
    stage.world.idle().await;
    assert_eq!(stage.done().pop(), Some(committed(0, 1)));
    stage.world.assert_balanced();
    stage.world.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn nothing_of_a_lost_partition_is_committed() {
    let mut stage = Stage::new(slow_first);
    let (lost, kept) = (stage.assign(0), stage.assign(1));
    stage.deliver(lost, 0, 0, "slow");
    stage.runs(1).await;
    stage.deliver(lost, 0, 1, "slow");
    stage.say(Event::Lost(vec![partition(0)]));
    stage.deliver(lost, 0, 2, "still on its way");
    stage.deliver(kept, 1, 5, "kept");
    stage.world.until("both are settled", || stage.world.settled() == ["kept", "slow"]).await;
    stage.world.idle().await;
    sleep(Duration::from_secs(10)).await;
    assert_eq!(stage.done(), [committed(1, 6)]);
    stage.world.assert_balanced();
    stage.world.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_revoke_leaves_the_other_partitions_at_work() {
    let mut stage = Stage::new(slow_first);
    let (revoked, kept) = (stage.assign(0), stage.assign(1));
    stage.deliver(revoked, 0, 0, "slow");
    stage.runs(1).await;
    stage.say(Event::Revoked(vec![partition(0)]));
    stage.deliver(kept, 1, 0, "kept");
    stage.world.until("the other works", || stage.world.settled() == ["kept"]).await;
    stage.world.until("released", || stage.done().contains(&Done::Released(vec![partition(0)]))).await;
    assert_eq!(stage.world.settled(), ["kept", "slow"]);
    stage.world.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_goes_back_is_committed_from_there() {
    let mut stage = Stage::new(slow_first);
    let first = stage.assign(0);
    stage.deliver(first, 0, 900, "a");
    stage.world.until("the first commit", || stage.done() == [committed(0, 901)]).await;
    let second = stage.assign(0);
    stage.deliver(second, 0, 0, "b");
    stage.world.until("the second commit", || stage.done() == [committed(0, 901), committed(0, 1)]).await;
    stage.world.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_is_refused_is_tried_again_until_it_is_not() {
    let mut stage = Stage::new(slow_first);
    *stage.refusals.lock().unwrap() = 3;
    let epoch = stage.assign(0);
    stage.deliver(epoch, 0, 0, "a");
    stage.runs(1).await;
    sleep(Duration::from_millis(50)).await;
    assert!(!stage.world.progress.is_idle(), "settled, but not committed");
    stage.world.idle().await;
    let times: Vec<_> = stage.done.lock().unwrap().iter().map(|(at, _)| *at).collect();
    assert_eq!(stage.done(), vec![committed(0, 1); 4]);
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_millis(200)), "no storm of commits");
    stage.world.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stop_pauses_commits_and_leaves_in_that_order() {
    let mut stage = Stage::new(slow_first);
    let epoch = stage.assign(0);
    stage.deliver(epoch, 0, 0, "slow");
    stage.runs(1).await;
    let done = Arc::clone(&stage.done);
    stage.world.stop().await.unwrap();
    let done: Vec<_> = done.lock().unwrap().iter().map(|(_, what)| what.clone()).collect();
    assert_eq!(done, [Done::Paused, committed(0, 1), Done::Closed]);
}

#[tokio::test(start_paused = true)]
async fn readiness_follows_the_broker() {
    let stage = Stage::new(slow_first);
    stage.world.until("ready", || stage.world.health.is_ready().is_ok()).await;
    stage.say(Event::Reachable(false));
    stage.world.until("not ready", || stage.world.health.is_ready().is_err()).await;
    assert_eq!(stage.world.metric("truecopy_dependency_up", &["kafka"]), 0.0);
    sleep(Duration::from_secs(600)).await;
    assert!(stage.world.health.is_live().is_ok(), "waiting for the broker is progress");
    stage.say(Event::Reachable(true));
    stage.world.until("ready again", || stage.world.health.is_ready().is_ok()).await;
    assert!(!stage.done().contains(&Done::Resumed), "nothing was paused");
    stage.world.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_source_that_failed_for_good_ends_the_loop() {
    let stage = Stage::new(slow_first);
    stage.say(Event::Failed(SourceError("fenced".to_owned())));
    let done = Arc::clone(&stage.done);
    assert_eq!(stage.world.ended().await, Err("source ended".to_owned()));
    assert_eq!(done.lock().unwrap().pop().map(|(_, what)| what), Some(Done::Closed));
}
