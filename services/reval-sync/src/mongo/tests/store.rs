use std::collections::HashMap;

use bytes::Bytes;
use chassis::dead_letters::{Filter, LetterId, Note, OpenLetter, Show};
use chrono::{DateTime, Utc};
use serde_json::json;

use super::*;
use crate::run_store::{Control, Letter, Letters, Logs, Page, RunStore, Runs, Tokens};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_750_000_000 + seconds, 5_000_000).unwrap()
}

async fn the_control_document_is_written_over_the_version_that_was_read(store: impl Control) {
    assert_eq!(store.read().await.unwrap(), None);
    let first =
        json!({"lease": {"owner": "a", "epoch": 1}, "run": null, "ratio": 0.5, "big": 9_007_199_254_740_993_i64});
    assert!(!store.replace(Some(0), &first).await.unwrap(), "there is none yet");
    assert!(store.replace(None, &first).await.unwrap());
    assert!(!store.replace(None, &json!({})).await.unwrap());
    let (version, read) = store.read().await.unwrap().unwrap();
    assert_eq!(read, first);
    let second = json!({"lease": {"owner": "b"}, "list": [1, "two", null, {"three": []}]});
    assert!(store.replace(Some(version), &second).await.unwrap());
    assert!(!store.replace(Some(version), &first).await.unwrap(), "somebody came between");
    let (next, read) = store.read().await.unwrap().unwrap();
    assert_eq!(read, second);
    assert!(next > version);
}

async fn of_many_who_write_over_one_version_one_wins(store: impl Control) {
    assert!(store.replace(None, &json!(0)).await.unwrap());
    let (version, _) = store.read().await.unwrap().unwrap();
    let documents: Vec<_> = (0..8).map(|writer| json!({ "writer": writer })).collect();
    let tries = documents.iter().map(|document| store.replace(Some(version), document));
    let won: Vec<bool> = futures::future::join_all(tries).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(won.iter().filter(|won| **won).count(), 1);
    let winner = won.iter().position(|won| *won).unwrap();
    assert_eq!(store.read().await.unwrap().unwrap().1, documents[winner]);
}

async fn runs_are_kept_by_id_and_listed_newest_first(store: impl Runs) {
    for (id, state) in
        [("20260101T000000Z-a", "failed"), ("20260102T000000Z-b", "running"), ("20260102T000000Z-b", "completed")]
    {
        store.keep(id, &json!({"id": id, "state": state})).await.unwrap();
    }
    let states = |runs: Vec<serde_json::Value>| {
        runs.iter().map(|run| run["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(states(store.newest(10).await.unwrap()), ["completed", "failed"]);
    assert_eq!(states(store.newest(1).await.unwrap()), ["completed"]);
    assert_eq!(states(store.newest(0).await.unwrap()), [""; 0]);
    assert_eq!(store.run("20260101T000000Z-a").await.unwrap().unwrap()["state"], "failed");
    assert_eq!(store.run("20260101").await.unwrap(), None);
}

fn page(sequence: u64, entries: &[&str]) -> Page {
    let entries = entries.iter().map(|entry| Bytes::copy_from_slice(entry.as_bytes())).collect();
    Page { sequence, at: at(i64::try_from(sequence).unwrap() * 60), entries }
}

async fn a_log_is_a_row_of_places_and_each_is_written_once(store: impl Logs) {
    assert_eq!(store.end("run-1").await.unwrap(), 0);
    for sequence in 0..12 {
        assert!(store.append("run-1", &page(sequence, &["a", "", "\u{0}\u{ff}"])).await.unwrap());
    }
    assert!(!store.append("run-1", &page(11, &["other"])).await.unwrap());
    assert!(store.append("run-10", &page(0, &["of another log"])).await.unwrap());
    assert_eq!(store.end("run-1").await.unwrap(), 12);
    assert_eq!(
        store.pages("run-1", 9, 2).await.unwrap(),
        [page(9, &["a", "", "\u{0}\u{ff}"]), page(10, &["a", "", "\u{0}\u{ff}"])]
    );
    let places = |pages: Vec<Page>| pages.iter().map(|page| page.sequence).collect::<Vec<_>>();
    assert_eq!(places(store.pages("run-1", 0, 100).await.unwrap()), (0..12).collect::<Vec<_>>());
    assert_eq!(places(store.pages("run-1", 12, 100).await.unwrap()), [0; 0]);
    assert_eq!(places(store.pages("none", 0, 100).await.unwrap()), [0; 0]);
    store.remove("run-1").await.unwrap();
    assert_eq!((store.end("run-1").await.unwrap(), store.end("run-10").await.unwrap()), (0, 1));
}

async fn a_log_is_found_by_time_and_forgotten_from_its_beginning(store: impl Logs) {
    for sequence in 0..5 {
        assert!(store.append("journal", &page(sequence, &["x"])).await.unwrap());
    }
    for (asked, found) in [(-60, 0), (0, 0), (1, 1), (60, 1), (240, 4), (241, 5)] {
        assert_eq!(store.since("journal", at(asked)).await.unwrap(), found, "{asked}");
    }
    assert_eq!(store.since("none", at(0)).await.unwrap(), 0);
    store.forget("journal", 2).await.unwrap();
    assert_eq!(store.pages("journal", 0, 100).await.unwrap().first().unwrap().sequence, 2);
    assert_eq!(store.since("journal", at(-60)).await.unwrap(), 2);
    store.forget("journal", 100).await.unwrap();
    let left = store.pages("journal", 0, 100).await.unwrap();
    assert_eq!(
        left.iter().map(|page| page.sequence).collect::<Vec<_>>(),
        [4],
        "the last one stays: places never begin again"
    );
    assert_eq!(store.end("journal").await.unwrap(), 5);
    store.forget("none", 5).await.unwrap();
}

async fn a_page_may_hold_a_mebibyte(store: impl Logs) {
    let entries = (0..4_u8).map(|number| Bytes::from(vec![number; 256 * 1024])).collect();
    let page = Page { sequence: 0, at: at(0), entries };
    assert!(store.append("log", &page).await.unwrap());
    assert_eq!(store.pages("log", 0, 1).await.unwrap(), [page]);
}

async fn of_each_key_the_greatest_token_is_remembered(store: impl Tokens) {
    let tokens = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(key, token)| ((*key).to_owned(), (*token).to_owned())).collect::<HashMap<_, _>>()
    };
    store.remember(&tokens(&[("a", "05"), ("b", "07")]), at(0)).await.unwrap();
    store.remember(&tokens(&[("a", "06"), ("b", "03"), ("$c.d", "01")]), at(1)).await.unwrap();
    store.remember(&HashMap::new(), at(1)).await.unwrap();
    let keys = ["a", "b", "$c.d", "none"].map(str::to_owned);
    assert_eq!(store.of(&keys).await.unwrap(), tokens(&[("a", "06"), ("b", "07"), ("$c.d", "01")]));
    assert_eq!(store.of(&[]).await.unwrap(), HashMap::new());
    let many: HashMap<_, _> = (0..1_500).map(|number| (format!("doctor/{number}"), format!("{number:09}"))).collect();
    store.remember(&many, at(2)).await.unwrap();
    assert_eq!(store.of(&many.keys().cloned().collect::<Vec<_>>()).await.unwrap(), many);
}

fn letter(number: i64, source: &str, reason: &str) -> Letter {
    Letter {
        id: LetterId { kind: 'm', number },
        source: source.to_owned(),
        reason: reason.to_owned(),
        detail: "at line 1".to_owned(),
        run: (number % 2 == 0).then(|| "run-1".to_owned()),
        at: at(number.min(1_000)),
        body: Bytes::from(format!("{{\"number\":{number}}}\u{0}")),
    }
}

fn numbers(letters: &[OpenLetter]) -> Vec<i64> {
    letters.iter().map(|letter| letter.id.number).collect()
}

async fn open(store: &impl Letters, filter: Filter) -> Vec<i64> {
    numbers(&store.open(&filter, None, 100, Show::Summary).await.unwrap())
}

async fn letters_are_kept_once_and_listed_by_id(store: impl Letters) {
    let large = letter(i64::MAX, "cdc.doctor", "malformed");
    let letters = [letter(2, "tcs.syncdata", "malformed"), large.clone(), letter(10, "cdc.doctor", "no_identity")];
    store.put(&letters).await.unwrap();
    store.put(&letters[..1]).await.unwrap();
    store.put(&[]).await.unwrap();
    assert_eq!(open(&store, Filter::default()).await, [2, 10, i64::MAX]);
    let page = store.open(&Filter::default(), Some(letters[0].id), 1, Show::Contents).await.unwrap();
    assert_eq!(numbers(&page), [10]);
    let shown = &page[0];
    assert_eq!(
        (shown.source.as_str(), shown.reason.as_str(), shown.class.as_str()),
        ("cdc.doctor", "no_identity", "permanent")
    );
    assert_eq!((shown.attempts, shown.replay_count, shown.detail.as_str()), (1, 0, "at line 1"));
    assert_eq!(
        (shown.first_at, shown.last_at, shown.about.as_deref()),
        (Some(at(10)), Some(at(10)), Some("run run-1"))
    );
    assert_eq!(shown.contents.as_ref().unwrap().payload.as_ref().unwrap(), &letters[2].body);
    assert!(store.open(&Filter::default(), None, 1, Show::Summary).await.unwrap()[0].contents.is_none());
    let filters = [
        (Filter { ids: vec![letters[2].id], ..Filter::default() }, vec![10]),
        (Filter { reason: Some("malformed".to_owned()), ..Filter::default() }, vec![2, i64::MAX]),
        (Filter { source: Some("cdc.doctor".to_owned()), ..Filter::default() }, vec![10, i64::MAX]),
        (Filter { since: Some(at(10)), ..Filter::default() }, vec![10, i64::MAX]),
    ];
    for (filter, expected) in filters {
        assert_eq!(open(&store, filter.clone()).await, expected, "{filter:?}");
    }
}

async fn a_letter_leaves_the_list_once_and_comes_back_with_its_message(store: impl Letters) {
    let letters: Vec<_> = (1..=3).map(|number| letter(number, "cdc.doctor", "malformed")).collect();
    let ids: Vec<_> = letters.iter().map(|letter| letter.id).collect();
    store.put(&letters).await.unwrap();
    store.failed_again(ids[0], "no_identity", "still", at(100)).await.unwrap();
    store.settled(&ids[1..2], at(101)).await.unwrap();
    let note = Note { by: "somebody".to_owned(), why: "seen".to_owned() };
    assert_eq!(store.drop_letters(&ids[1..], &note, at(102)).await.unwrap(), [ids[2]], "the other was not open");
    let left = store.open(&Filter::default(), None, 10, Show::Contents).await.unwrap();
    assert_eq!(numbers(&left), [1]);
    assert_eq!((left[0].attempts, left[0].replay_count, left[0].last_at), (2, 1, Some(at(100))));
    assert_eq!(
        (left[0].reason.as_str(), left[0].detail.as_str(), left[0].first_at),
        ("no_identity", "still", Some(at(1)))
    );
    assert_eq!(
        left[0].contents.as_ref().unwrap().payload.as_ref().unwrap(),
        &letters[0].body,
        "its bytes are what they were"
    );
    store.put(&letters[1..]).await.unwrap();
    assert_eq!(open(&store, Filter::default()).await, [1, 2, 3]);
}

async fn a_letter_may_be_larger_than_a_document(store: impl Letters) {
    let body: Vec<u8> = (0..17 * 1024 * 1024_u32).map(|index| (index % 251) as u8).collect();
    let large = Letter { body: Bytes::from(body), ..letter(7, "tcs.syncdata", "too_large") };
    store.put(&[letter(1, "x", "malformed"), large.clone()]).await.unwrap();
    let shown =
        store.open(&Filter::default(), Some(LetterId { kind: 'm', number: 1 }), 1, Show::Contents).await.unwrap();
    assert!(shown[0].contents.as_ref().unwrap().payload.as_ref() == Some(&large.body));
}

async fn what_one_process_wrote_another_reads(store: impl RunStore + Clone) {
    let other = store.clone();
    assert!(store.append("log", &page(0, &["a"])).await.unwrap());
    assert_eq!(other.pages("log", 0, 1).await.unwrap(), [page(0, &["a"])]);
}

async fn of_own() -> Store {
    let (client, settings) = fresh().await;
    let store = Store::new(&client, &settings);
    store.prepare().await.unwrap();
    store.prepare().await.unwrap();
    store
}

testkit::contract! {
    [
        the_control_document_is_written_over_the_version_that_was_read,
        of_many_who_write_over_one_version_one_wins,
        runs_are_kept_by_id_and_listed_newest_first,
        a_log_is_a_row_of_places_and_each_is_written_once,
        a_log_is_found_by_time_and_forgotten_from_its_beginning,
        a_page_may_hold_a_mebibyte,
        of_each_key_the_greatest_token_is_remembered,
        letters_are_kept_once_and_listed_by_id,
        a_letter_leaves_the_list_once_and_comes_back_with_its_message,
        a_letter_may_be_larger_than_a_document,
        what_one_process_wrote_another_reads,
    ]
    twin: crate::memory::Store::default();
    #[ignore = "needs MongoDB: ./dev test"] mongodb: of_own().await;
}
