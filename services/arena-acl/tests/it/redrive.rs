//! What a redrive does to quarantined records and to rows.

use std::sync::Arc;

use arena_acl::{letters::Letters, memory::Memory};
use bytes::Bytes;
use chassis::{
    clock::Clock,
    dead_letters::{DeadLetter, DeadLetters as _, LetterId, OpenLetters as _, Position, Redriven},
};
use chrono::DateTime;
use domain::{
    arena_acl::{IngestStatus, Pass},
    delivery::Class,
};

use crate::records::{GROUP, course, participant, records};

fn id(text: &str) -> LetterId {
    text.parse().unwrap()
}

async fn quarantine(store: &Memory, payloads: &[Bytes]) {
    let letters = (0..).zip(payloads).map(|(offset, payload)| DeadLetter {
        source: "deltaker".into(),
        position: Position { partition: 0, offset },
        reason: "exhausted",
        class: Class::Transient { after: None },
        attempts: 10,
        first_at: DateTime::UNIX_EPOCH,
        last_at: DateTime::UNIX_EPOCH,
        replay_count: 0,
        key: None,
        headers: Vec::new(),
        payload: Some(payload.clone()),
        detail: String::new(),
    });
    store.put(&letters.collect::<Vec<_>>()).await.unwrap();
}

#[tokio::test]
async fn quarantined_bytes_take_the_ordinary_path_and_only_what_fails_again_stays() {
    let store = Memory::default();
    let letters = Letters::new(Arc::new(store.clone()), records(&store), Clock::system());
    let late = participant(70_001, 5001, GROUP, 103);
    let early = participant(70_001, 5001, GROUP, 102);
    let nobody = participant(70_002, 5999, GROUP, 104);
    quarantine(&store, &[course(GROUP, "INDOPPFAG", 101), Bytes::from_static(b"{"), early, late, nobody]).await;
    let ids = ["q1", "q2", "q3", "q4", "q5", "q6"].map(id);
    let mut ended = letters.redrive(&ids).await.unwrap();
    ended.sort_by_key(|(id, _)| *id);
    let settled = |text, how| (id(text), Redriven::Settled(how));
    assert_eq!(
        ended,
        [
            settled("q1", "applied"),
            (id("q2"), Redriven::FailedAgain("MALFORMED_JSON".to_owned())),
            settled("q3", "applied"),
            settled("q4", "applied"),
            settled("q5", "RETRY"),
        ],
        "q6 does not exist"
    );
    let state = store.state();
    assert_eq!(state.resolved, [1, 3, 4, 5].into());
    assert_eq!((state.quarantine[1].replay_count, state.quarantine[1].reason), (1, "MALFORMED_JSON"));
    assert_eq!(state.outbox.len(), 2, "both changes of the participant are published, in order");
    assert_eq!(letters.redrive(&ids[2..]).await.unwrap(), [], "once more does nothing");
}

#[tokio::test]
async fn a_redriven_row_waits_for_the_next_retry_run() {
    let store = Memory::default();
    let records = records(&store);
    let letters = Letters::new(Arc::new(store.clone()), records.clone(), Clock::system());
    let invalid = arena_acl::wire::read(&participant(0, 5001, GROUP, 102)).unwrap();
    for item in [arena_acl::wire::read(&course(GROUP, "INDOPPFAG", 101)).unwrap(), invalid] {
        records.handle(&[item], Pass::Live).await.remove(0).unwrap();
    }
    let row = store.state().arena_data[1].clone();
    assert_eq!(row.ingest_status, IngestStatus::Invalid);
    assert_eq!(letters.redrive(&[LetterId { kind: 'r', number: row.id }]).await.unwrap().len(), 1);
    assert_eq!(store.state().arena_data[1].ingest_status, IngestStatus::Retry);
}
