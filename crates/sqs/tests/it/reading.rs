//! A reader on a real server.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroUsize,
    sync::Arc,
    time::Duration,
};

use chassis::parts::Parts;
use sqs::{Limits, Outgoing, Queue as _, Reader, Settled};
use testkit::servers;
use tokio::{sync::oneshot, task::JoinSet, time::sleep};

use crate::contract::real;

/// Longer than a message stays hidden by itself.
const SLOW: Duration = Duration::from_secs(5);

#[tokio::test]
#[ignore = "needs ElasticMQ: ./dev test"]
async fn whoever_works_longer_than_a_message_is_hidden_still_has_it_alone_and_groups_keep_their_order() {
    const GROUPS: usize = 5;
    const EACH: usize = 20;
    let queues = servers::sqs();
    let queue = real(&queues, "letters.fifo").await;
    let messages: Vec<_> = (0..GROUPS * EACH)
        .map(|number| Outgoing {
            group: Some(format!("group-{}", number % GROUPS)),
            deduplication: Some(number.to_string()),
            ..Outgoing::new(number.to_string())
        })
        .collect();
    assert!(queue.send(&messages).await.iter().all(Result::is_ok));
    let limits = Limits { hidden: Duration::from_secs(2), wait: Duration::from_secs(1), ..Limits::default() };
    let reader = Arc::new(Reader::new(queue, limits));
    let (stop, stopped) = oneshot::channel::<()>();
    let mut parts = Parts::new(async move {
        stopped.await.ok();
    });
    let run = Arc::clone(&reader);
    parts.spawn("sqs", Duration::from_secs(8), |part| async move {
        run.run(part).await;
        Ok::<(), std::io::Error>(())
    });
    let mut running = JoinSet::new();
    running.spawn(parts.run());

    let mut order: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut slow = true;
    while order.values().map(Vec::len).sum::<usize>() < GROUPS * EACH {
        let got = reader.receive(NonZeroUsize::MIN.saturating_add(6)).await.unwrap();
        if std::mem::take(&mut slow) {
            sleep(SLOW).await;
        }
        for message in &got {
            let number = std::str::from_utf8(&message.body).unwrap().parse().unwrap();
            order.entry(message.group.clone().unwrap()).or_default().push(number);
            assert_eq!(message.deliveries, 1, "{number} came again");
        }
        let settled: Vec<_> = got.iter().map(|message| (message.receipt.clone(), Settled::Done)).collect();
        reader.settle(&settled).await.unwrap();
    }
    let seen: BTreeSet<_> = order.values().flatten().copied().collect();
    assert_eq!(seen.len(), GROUPS * EACH);
    assert!(order.values().all(|numbers| numbers.is_sorted()), "{order:?}");
    stop.send(()).unwrap();
    running.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(reader.depth().await.unwrap(), sqs::Depth::default());
}
