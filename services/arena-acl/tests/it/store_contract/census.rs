//! What is counted.

use arena_acl::{
    census::{Census as _, Open, Rows},
    inbox::{NewMessage, Outbox as _},
};
use chassis::dead_letters::{DeadLetter, DeadLetters as _};
use domain::{
    arena_acl::{IngestStatus, Table},
    delivery::{Class, Message},
};

use crate::store::{World, at, course, message, participant, store};

fn letter(offset: i64, reason: &'static str) -> DeadLetter {
    let message = Message {
        source: "deltaker".into(),
        partition: 0,
        offset,
        timestamp: None,
        key: None,
        payload: None,
        headers: Vec::new(),
        attempt: 1,
    };
    DeadLetter::new(&message, reason, Class::Permanent(reason), "a test".to_owned(), at(8).and_utc())
}

pub(super) async fn what_is_open_is_counted_with_its_oldest(world: impl World) {
    let inbox = world.store();
    assert_eq!(inbox.open().await.unwrap(), Open::default());
    store(inbox, &participant(1, "1"), IngestStatus::Retry).await;
    store(inbox, &participant(2, "2"), IngestStatus::Retry).await;
    store(inbox, &participant(3, "3"), IngestStatus::Invalid).await;
    store(inbox, &participant(4, "4"), IngestStatus::Handled).await;
    store(inbox, &course(5, "5"), IngestStatus::Failed).await;
    inbox.put(&[letter(1, "BAD_ROW"), letter(2, "BAD_ROW"), letter(3, "too_large")]).await.unwrap();
    inbox.enqueue(&[message("a", "{}")], at(9)).await.unwrap();
    inbox.enqueue(&[message("b", "{}")], at(10)).await.unwrap();

    let mut open = inbox.open().await.unwrap();
    open.changes.sort();
    open.quarantine.sort();
    let rows = |table, status, rows, since| Rows { table, status, rows, since };
    let expected = [
        rows(Table::Courses, IngestStatus::Failed, 1, Some(at(8))),
        rows(Table::Participants, IngestStatus::Retry, 2, Some(at(8))),
        rows(Table::Participants, IngestStatus::Invalid, 1, None),
    ];
    assert_eq!(open.changes, expected);
    let quarantined = |reason: &str, letters| ("deltaker".to_owned(), reason.to_owned(), letters);
    assert_eq!(open.quarantine, [quarantined("BAD_ROW", 2), quarantined("too_large", 1)]);
    assert_eq!((open.outbox, open.outbox_since), (2, Some(at(9))));

    let heads = inbox.heads(None, 1).await.unwrap();
    inbox.published(&[heads[0].id], at(11)).await.unwrap();
    let open = inbox.open().await.unwrap();
    assert_eq!((open.outbox, open.outbox_since), (1, Some(at(10))));
}

pub(super) async fn what_is_finished_is_counted_by_table_and_status(world: impl World) {
    let inbox = world.store();
    for (id, status) in (1..).zip(IngestStatus::ALL) {
        store(inbox, &participant(id, &id.to_string()), status).await;
    }
    store(inbox, &course(9, "9"), IngestStatus::Handled).await;
    let mut finished = inbox.finished().await.unwrap();
    finished.sort();
    let rows = |table, status| Rows { table, status, rows: 1, since: None };
    let expected = [
        rows(Table::Courses, IngestStatus::Handled),
        rows(Table::Participants, IngestStatus::New),
        rows(Table::Participants, IngestStatus::Handled),
        rows(Table::Participants, IngestStatus::Ignored),
        rows(Table::Participants, IngestStatus::ExternalSource),
    ];
    assert_eq!(finished, expected);
}

pub(super) async fn a_message_keeps_the_trace_that_caused_it(world: impl World) {
    let inbox = world.store();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap();
    let traced = NewMessage { trace: Some(trace), ..message("a", "{}") };
    inbox.enqueue(&[traced, message("b", "{}")], at(8)).await.unwrap();
    let ids: Vec<i64> = inbox.heads(None, 2).await.unwrap().iter().map(|head| head.id).collect();
    let due = inbox.unpublished(&ids).await.unwrap();
    assert_eq!(due.iter().map(|message| message.trace).collect::<Vec<_>>(), [Some(trace), None]);
    assert!(due.iter().all(|message| message.added_at == at(8)));
}
