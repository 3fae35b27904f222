use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use chassis::{
    clock::Clock,
    parts::{Health, Parts, PartsError},
};
use tokio::{
    sync::oneshot,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::*;
use crate::{memory::Memory, message::Outgoing};

const LONG: Duration = Duration::from_secs(600);

/// A reader that runs over a queue in memory, on virtual time.
struct World {
    queue: Memory,
    reader: Arc<Reader<Memory>>,
    health: Health,
    stop: oneshot::Sender<()>,
    parts: JoinSet<Result<(), PartsError>>,
}

impl World {
    fn new(name: &str, limits: Limits) -> Self {
        let queue = Memory::new(name, Clock::starting_at(chrono::DateTime::UNIX_EPOCH));
        let reader = Arc::new(Reader::new(queue.clone(), limits));
        let (stop, stopped) = oneshot::channel();
        let mut all = Parts::new(async move {
            stopped.await.ok();
        });
        let health = all.health();
        let run = Arc::clone(&reader);
        all.spawn("sqs", Duration::from_secs(8), |part| async move {
            run.run(part).await;
            Ok::<(), std::io::Error>(())
        });
        let mut parts = JoinSet::new();
        parts.spawn(all.run());
        Self { queue, reader, health, stop, parts }
    }

    async fn send(&self, bodies: &[&str]) {
        let messages: Vec<_> = bodies.iter().map(|body| Outgoing::new(*body)).collect();
        assert!(self.queue.send(&messages).await.iter().all(Result::is_ok));
    }

    async fn receive(&self, limit: usize) -> Vec<Received> {
        timeout(LONG, self.reader.receive(NonZeroUsize::new(limit).unwrap())).await.unwrap().unwrap()
    }

    /// Everything that comes at once.
    async fn bodies(&self) -> Vec<String> {
        texts(&self.receive(1_000).await)
    }

    async fn stop(mut self) {
        self.stop.send(()).unwrap();
        self.parts.join_next().await.unwrap().unwrap().unwrap();
    }
}

fn texts(messages: &[Received]) -> Vec<String> {
    messages.iter().map(|message| String::from_utf8(message.body.to_vec()).unwrap()).collect()
}

fn done(messages: &[Received]) -> Vec<(Receipt, Settled)> {
    messages.iter().map(|message| (message.receipt.clone(), Settled::Done)).collect()
}

fn few(messages: usize) -> Limits {
    Limits { messages: NonZeroUsize::new(messages).unwrap(), ..Limits::default() }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_read_before_somebody_asks() {
    let world = World::new("letters", Limits::default());
    world.send(&["a", "b"]).await;
    sleep(LONG).await;
    assert_eq!(world.queue.depth().await.unwrap().visible, 2);
    assert_eq!(world.bodies().await, ["a", "b"]);
    assert_eq!(world.queue.depth().await.unwrap(), Depth { visible: 0, in_flight: 2, delayed: 0 });
}

#[tokio::test(start_paused = true)]
async fn what_is_settled_is_gone_and_what_is_not_stays_hidden_however_long_it_takes() {
    let world = World::new("letters", Limits::default());
    world.send(&["a", "b"]).await;
    let got = world.receive(10).await;
    world.reader.settle(&done(&got[..1])).await.unwrap();
    sleep(LONG).await;
    assert_eq!(world.queue.depth().await.unwrap(), Depth { visible: 0, in_flight: 1, delayed: 0 });
    assert_eq!(world.reader.in_flight(), (1, 1));
    world.reader.settle(&done(&got)).await.unwrap();
    assert_eq!(world.queue.depth().await.unwrap(), Depth::default());
    assert_eq!(world.reader.in_flight(), (0, 0), "settling twice is settling once");
}

#[tokio::test(start_paused = true)]
async fn no_more_is_held_than_the_limits_say() {
    let world = World::new("letters", few(3));
    world.send(&["a", "b", "c", "d"]).await;
    let got = world.receive(10).await;
    assert_eq!(texts(&got), ["a", "b", "c"]);
    sleep(LONG).await;
    assert_eq!(world.queue.depth().await.unwrap().visible, 1);
    world.reader.settle(&done(&got[..1])).await.unwrap();
    assert_eq!(world.bodies().await, ["d"]);

    let world = World::new("letters", Limits { bytes: 1, ..Limits::default() });
    world.send(&["x"; 11]).await;
    assert_eq!(world.receive(100).await.len(), 10, "the bytes are known once a call is back");
    sleep(LONG).await;
    assert_eq!(world.queue.depth().await.unwrap().visible, 1);
}

#[tokio::test(start_paused = true)]
async fn what_comes_again_comes_after_its_time() {
    let world = World::new("letters", Limits::default());
    world.send(&["a"]).await;
    let got = world.receive(1).await;
    let begun = Instant::now();
    world.reader.settle(&[(got[0].receipt.clone(), Settled::Again(Duration::from_secs(7)))]).await.unwrap();
    let again = world.receive(1).await;
    assert_eq!(begun.elapsed().as_secs(), 7);
    assert_eq!((again[0].id.as_str(), again[0].deliveries), (got[0].id.as_str(), 2));
    assert_ne!(again[0].receipt, got[0].receipt);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_comes_again_takes_its_group_with_it() {
    let world = World::new("letters.fifo", Limits::default());
    let message = |group: &str, body: &str| Outgoing { group: Some(group.to_owned()), ..Outgoing::new(body) };
    let sent = [message("g", "g1"), message("g", "g2"), message("h", "h1")];
    assert!(world.queue.send(&sent).await.iter().all(Result::is_ok));
    let first = world.receive(1).await;
    assert_eq!(texts(&first), ["g1"]);
    world.reader.settle(&[(first[0].receipt.clone(), Settled::Again(Duration::from_secs(5)))]).await.unwrap();
    assert_eq!(world.bodies().await, ["h1"]);
    assert_eq!(world.bodies().await, ["g1", "g2"]);
}

#[tokio::test(start_paused = true)]
async fn whoever_leaves_gives_back_all_at_once_and_may_begin_again() {
    let world = World::new("letters", Limits::default());
    world.send(&["a", "b"]).await;
    let got = world.receive(1).await;
    world.reader.leave().await;
    assert_eq!(world.queue.depth().await.unwrap().visible, 2);
    world.send(&["c"]).await; // the poll that still waits gives it back
    sleep(LONG).await;
    assert_eq!(world.queue.depth().await.unwrap().visible, 3);
    let mut again = world.bodies().await;
    again.sort();
    assert_eq!(again, ["a", "b", "c"]);
    world.reader.settle(&done(&got)).await.unwrap();
    assert_eq!(world.queue.depth().await.unwrap().in_flight, 3, "an old receipt settles nothing");
}

#[tokio::test(start_paused = true)]
async fn whoever_still_waits_when_the_reader_leaves_is_told() {
    let world = World::new("letters", Limits::default());
    let (received, ()) = tokio::join!(world.reader.receive(NonZeroUsize::MIN), async {
        sleep(Duration::from_secs(1)).await;
        world.reader.leave().await;
    });
    assert!(matches!(received, Err(Error::Unavailable(_))));
    world.send(&["a"]).await;
    assert_eq!(world.bodies().await, ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_away_is_told_once_and_read_again_when_it_is_back() {
    let world = World::new("letters", Limits::default());
    world.queue.cut();
    let one = NonZeroUsize::MIN;
    assert!(matches!(world.reader.receive(one).await, Err(Error::Unavailable(_))));
    assert!(world.health.is_ready().is_err());
    world.queue.restore();
    world.send(&["a"]).await;
    let got = loop {
        if let Ok(got) = timeout(LONG, world.reader.receive(one)).await.unwrap() {
            break got;
        }
    };
    assert!(world.health.is_ready().is_ok());
    world.queue.cut();
    assert!(matches!(world.reader.settle(&done(&got)).await, Err(Error::Unavailable(_))));
    assert_eq!(world.reader.in_flight().0, 1, "what could not be settled stays held");
    world.queue.restore();
    world.reader.settle(&done(&got)).await.unwrap();
    assert_eq!(world.queue.depth().await.unwrap(), Depth::default());
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_hidden_in_time_is_not_given_out() {
    let world = World::new("letters", Limits::default());
    world.send(&["a", "b"]).await;
    assert_eq!(texts(&world.receive(1).await), ["a"]);
    world.queue.cut();
    sleep(Duration::from_secs(90)).await;
    world.queue.restore();
    assert_eq!(world.reader.in_flight().0, 0);
    let again = loop {
        if let Ok(again) = world.reader.receive(NonZeroUsize::MIN.saturating_add(9)).await {
            break again;
        }
    };
    assert_eq!(again.iter().map(|message| message.deliveries).collect::<Vec<_>>(), [2, 2]);
}

#[tokio::test(start_paused = true)]
async fn at_a_stop_what_was_begun_may_be_settled_and_the_rest_goes_back() {
    let world = World::new("letters", Limits::default());
    world.send(&["a", "b", "c"]).await;
    let got = world.receive(2).await;
    let (queue, reader) = (world.queue.clone(), Arc::clone(&world.reader));
    let begun = Instant::now();
    let (settled, ()) = tokio::join!(
        async {
            sleep(Duration::from_secs(1)).await;
            assert_eq!(queue.depth().await.unwrap().visible, 1, "nobody had begun with c");
            reader.settle(&done(&got[..1])).await
        },
        world.stop()
    );
    settled.unwrap();
    assert_eq!(begun.elapsed(), Limits::default().settle_within);
    assert_eq!(queue.depth().await.unwrap(), Depth { visible: 2, in_flight: 0, delayed: 0 });
}
