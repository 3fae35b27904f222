//! A service that is not there, or not as named.

use std::{net::TcpListener, time::Duration};

use sqs::{Client, Error, Outgoing, Queue as _, Receipt, Settings};
use testkit::servers;

#[tokio::test]
#[ignore = "needs credentials in the environment: ./dev test"]
async fn a_service_that_is_away_is_unavailable_item_by_item() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", taken.local_addr().unwrap());
    drop(taken);
    let settings = Settings { region: "eu-west-2".to_owned(), endpoint: Some(endpoint.clone()) };
    let queue = Client::new(&settings).await.queue(&format!("{endpoint}/000000000000/letters"));
    assert_eq!(queue.name(), "letters");
    let error = queue.receive(1, Duration::ZERO, Duration::from_secs(1)).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    assert!(matches!(queue.depth().await, Err(Error::Unavailable(_))));
    assert!(matches!(
        queue.delete(&[Receipt::new("a"), Receipt::new("b")]).await[..],
        [Err(Error::Unavailable(_)), Err(Error::Unavailable(_))]
    ));
    assert!(matches!(queue.send(&[Outgoing::new("a")]).await[..], [Err(Error::Unavailable(_))]));
}

#[tokio::test]
#[ignore = "needs ElasticMQ: ./dev test"]
async fn a_queue_that_is_not_there_is_refused() {
    let queues = servers::sqs();
    let settings = Settings { region: "eu-west-2".to_owned(), endpoint: Some(queues.endpoint().to_owned()) };
    let queue = Client::new(&settings).await.queue("no-such-queue");
    let error = queue.depth().await.unwrap_err();
    assert!(
        matches!(&error, Error::Refused(code) if code.contains("NonExistentQueue") || code.contains("QueueDoesNotExist")),
        "{error:?}"
    );
}
