use std::time::Duration;

use arena_acl::inbox::{Inbox as _, NewMessage, Outbox, Turn as _, Write};
use bytes::Bytes;
use chassis::dead_letters::{DeadLetter, DeadLetters as _, Position};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{arena_acl::IngestStatus, delivery::Class};

use crate::store::{World, at, marked, message, participant};

/// The heads and their values, lowest id first.
async fn due(outbox: &impl Outbox, limit: u32) -> Vec<(i64, String, Option<String>)> {
    let heads = outbox.heads(None, limit).await.unwrap();
    let due = outbox.unpublished(&heads.iter().map(|head| head.id).collect::<Vec<_>>()).await.unwrap();
    due.into_iter().map(|message| (message.id, message.key, message.payload)).collect()
}

fn texts(due: &[(i64, String, Option<String>)]) -> Vec<(&str, &str)> {
    due.iter().map(|(_, key, payload)| (key.as_str(), payload.as_deref().unwrap_or("none"))).collect()
}

pub(super) async fn messages_of_a_key_are_due_one_at_a_time_in_order(world: impl World) {
    let batch = [participant(1, "1"), participant(2, "2"), participant(3, "3")];
    world
        .store()
        .apply(&batch, at(8), |item, _| {
            let (key, payload) =
                [("a", "a1"), ("b", "b1"), ("a", "a2")][usize::try_from(item.change.arena_id).unwrap() - 1];
            Some(Write { effect: marked(IngestStatus::Handled), message: Some(message(key, payload)) })
        })
        .await
        .unwrap();
    world.store().enqueue(&[message("c", "c1"), message("b", "b2")], at(9)).await.unwrap();
    assert_eq!(world.store().waiting().await.unwrap(), 5);
    let first = due(world.store(), 100).await;
    assert_eq!(texts(&first), [("a", "a1"), ("b", "b1"), ("c", "c1")]);
    assert_eq!(due(world.store(), 100).await, first, "reading changes nothing");
    world.store().published(&[first[1].0], at(10)).await.unwrap();
    assert_eq!(texts(&due(world.store(), 100).await), [("a", "a1"), ("c", "c1"), ("b", "b2")]);
    world.store().published(&[first[0].0, first[2].0], at(10)).await.unwrap();
    assert_eq!(texts(&due(world.store(), 100).await), [("a", "a2"), ("b", "b2")]);
    assert_eq!(world.store().waiting().await.unwrap(), 2);
}

pub(super) async fn a_limit_counts_keys_not_messages(world: impl World) {
    let messages: Vec<NewMessage> = ["a", "a", "a", "b", "c"].iter().map(|key| message(key, "{}")).collect();
    world.store().enqueue(&messages, at(8)).await.unwrap();
    let keys: Vec<String> = due(world.store(), 2).await.into_iter().map(|(_, key, _)| key).collect();
    assert_eq!(keys, ["a", "b"]);
}

pub(super) async fn the_keys_are_walked_in_one_order_whatever_runs_they_have(world: impl World) {
    let keys = ["m", "a", "a", "a", "z", "m", "b", "b"];
    let messages: Vec<NewMessage> = keys.iter().map(|key| message(key, &format!("of {key}"))).collect();
    world.store().enqueue(&messages, at(8)).await.unwrap();
    let outbox = world.store();
    let whole = outbox.heads(None, 100).await.unwrap();
    let mut pages = Vec::new();
    let mut after = None;
    loop {
        let page = outbox.heads(after.as_deref(), 3).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.key.clone());
        pages.extend(page);
    }
    assert_eq!(pages, whole);
    let firsts = due(outbox, 100).await;
    assert_eq!(
        firsts.iter().map(|(_, key, _)| key.as_str()).collect::<Vec<_>>(),
        ["m", "a", "z", "b"],
        "each once, by its first message"
    );
    assert!(whole.iter().all(|head| (&*head.topic, head.bytes) == ("amt", 4)));
}

pub(super) async fn what_is_published_is_no_longer_unpublished(world: impl World) {
    let outbox = world.store();
    outbox.enqueue(&[message("a", "1"), message("b", "2")], at(8)).await.unwrap();
    let ids: Vec<i64> = due(outbox, 10).await.into_iter().map(|(id, ..)| id).collect();
    outbox.published(&ids[..1], at(9)).await.unwrap();
    let left = outbox.unpublished(&[ids[1], ids[0], 4711]).await.unwrap();
    assert_eq!(left.iter().map(|message| message.id).collect::<Vec<_>>(), ids[1..]);
    assert!(outbox.unpublished(&[]).await.unwrap().is_empty());
}

pub(super) async fn a_message_names_the_row_that_caused_it(world: impl World) {
    let batch = [participant(1, "20"), participant(2, "10")];
    world
        .store()
        .apply(&batch, at(8), |item, _| {
            let message = Some(message(&item.change.arena_id.to_string(), r#"{"ø":"\u00e6"}"#));
            Some(Write { effect: marked(IngestStatus::Handled), message })
        })
        .await
        .unwrap();
    world.store().enqueue(&[message("3", "{}")], at(9)).await.unwrap();
    let state = world.state().await;
    let row = |id: Option<i64>| state.arena_data.iter().find(|row| Some(row.id) == id).map(|row| row.arena_id.clone());
    for sent in &state.outbox {
        let expected = (sent.message_key != "3").then(|| sent.message_key.clone());
        assert_eq!(row(sent.arena_data_id), expected);
    }
    let sent = &state.outbox[0];
    assert_eq!((&*sent.topic, sent.transaction_id), ("amt", message("", "").transaction_id));
    assert_eq!((sent.payload.as_deref(), sent.created_at), (Some(r#"{"ø":"\u00e6"}"#), at(8)), "byte for byte");
}

pub(super) async fn a_published_message_loses_its_payload_and_publishing_twice_changes_nothing(world: impl World) {
    world.store().enqueue(&[message("a", "secret"), message("b", "secret")], at(8)).await.unwrap();
    let id = due(world.store(), 1).await[0].0;
    world.store().published(&[id], at(9)).await.unwrap();
    world.store().published(&[id, 4711], at(10)).await.unwrap();
    world.store().published(&[], at(10)).await.unwrap();
    let rows = world.state().await.outbox;
    assert_eq!((rows[0].payload.as_deref(), rows[0].published_at), (None, Some(at(9))));
    assert_eq!((rows[1].payload.as_deref(), rows[1].published_at), (Some("secret"), None));
}

pub(super) async fn a_published_message_is_forgotten_after_a_week(world: impl World) {
    world.store().enqueue(&[message("a", "1"), message("b", "2"), message("c", "3")], at(8)).await.unwrap();
    let ids: Vec<i64> = due(world.store(), 3).await.into_iter().map(|(id, ..)| id).collect();
    world.store().published(&ids[..1], at(9)).await.unwrap();
    world.store().published(&ids[1..2], at(9) + TimeDelta::days(7)).await.unwrap();
    assert_eq!(world.state().await.outbox.len(), 3, "exactly a week is not over");
    world.store().published(&[], at(9) + TimeDelta::days(7) + TimeDelta::seconds(1)).await.unwrap();
    let kept: Vec<String> = world.state().await.outbox.into_iter().map(|row| row.message_key).collect();
    assert_eq!(kept, ["b", "c"]);
}

pub(super) async fn a_tombstone_is_due_without_payload(world: impl World) {
    let tombstone = NewMessage { payload: None, transaction_id: None, ..message("a", "") };
    world.store().enqueue(&[tombstone], at(8)).await.unwrap();
    assert_eq!(texts(&due(world.store(), 10).await), [("a", "none")]);
}

pub(super) async fn added_messages_are_heard_of(world: impl World) {
    let outbox = world.store();
    outbox.enqueue(&[message("a", "1")], at(8)).await.unwrap();
    // it was added before anyone listened, and is heard of at once all the same
    let heard = tokio::time::timeout(Duration::from_millis(100), outbox.changed()).await;
    assert!(heard.is_ok());
    let unheard = tokio::time::timeout(Duration::from_millis(100), outbox.changed()).await;
    assert!(unheard.is_err());
    outbox.changed().await; // bounded
}

pub(super) async fn a_turn_can_be_given_back_and_taken_again(world: impl World) {
    for _ in 0..2 {
        let mut turn = world.store().turn().await.unwrap();
        assert!(turn.holds().await && turn.holds().await);
        let second = tokio::time::timeout(Duration::from_millis(700), world.store().turn()).await;
        assert!(second.is_err(), "one at a time");
        turn.end().await.unwrap();
    }
}

pub(super) async fn a_dead_letter_is_kept_once_and_unchanged(world: impl World) {
    let time = |seconds: i64| DateTime::<Utc>::from_timestamp(1_741_600_000 + seconds, 0).unwrap();
    let letter = |offset| DeadLetter {
        source: "deltaker".into(),
        position: Position { partition: 3, offset },
        reason: "MALFORMED_JSON",
        class: Class::Permanent("MALFORMED_JSON"),
        attempts: 2,
        first_at: time(0),
        last_at: time(5),
        replay_count: 1,
        key: Some(Bytes::from_static(b"\xff\0")),
        headers: vec![("a\0".to_owned(), Bytes::from_static(b"\0\xfe")), ("a\0".to_owned(), Bytes::new())],
        payload: Some(Bytes::from_static(b"{\0\xff")),
        detail: "line 1 column 2".to_owned(),
    };
    let bare =
        DeadLetter { key: None, payload: None, headers: vec![], class: Class::Transient { after: None }, ..letter(2) };
    world.store().put(&[letter(1), bare.clone(), letter(1)]).await.unwrap();
    world.store().put(&[DeadLetter { detail: "later".to_owned(), attempts: 9, ..letter(1) }]).await.unwrap();
    assert_eq!(world.state().await.quarantine, [letter(1), bare]);
}
