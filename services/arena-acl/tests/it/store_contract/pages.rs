use arena_acl::inbox::{Cursor, Inbox, StoredChange};
use domain::arena_acl::{IngestStatus, Row, Table};

use crate::store::{World, item, participant, store};

async fn all(inbox: &impl Inbox, limit: u32) -> Vec<StoredChange> {
    let mut rows: Vec<StoredChange> = Vec::new();
    loop {
        let cursor = rows.last().map(|row| Cursor { position: row.position.clone(), id: row.id });
        let page = inbox.page(Table::Participants, IngestStatus::Retry, cursor.as_ref(), limit).await.unwrap();
        assert!(page.len() <= limit as usize);
        if page.is_empty() {
            return rows;
        }
        rows.extend(page);
    }
}

pub(super) async fn pages_go_by_numeric_position_then_arrival(world: impl World) {
    for (id, position) in
        [(1, "10"), (2, "9"), (3, "00000000000000000009"), (4, "0"), (5, "99999999999999999999"), (6, "009")]
    {
        store(world.store(), &participant(id, position), IngestStatus::Retry).await;
    }
    for limit in [1, 2, 100] {
        let ids: Vec<String> = all(world.store(), limit).await.into_iter().map(|row| row.arena_id).collect();
        assert_eq!(ids, ["4", "2", "3", "6", "1", "5"], "pages of {limit}");
    }
    let rows = all(world.store(), 100).await;
    assert_eq!(rows[2].position.as_str(), "00000000000000000009");
    assert!(rows[0].after.as_deref().unwrap().contains("TILTAKDELTAKER_ID") && rows[0].before.is_none());
}

pub(super) async fn a_page_edge_between_equal_positions_loses_nothing(world: impl World) {
    for (id, position) in [(1, "5"), (2, "05"), (3, "005"), (4, "0005")] {
        store(world.store(), &participant(id, position), IngestStatus::Retry).await;
    }
    let first = world.store().page(Table::Participants, IngestStatus::Retry, None, 2).await.unwrap();
    let cursor = Cursor { position: first[1].position.clone(), id: first[1].id };
    let second = world.store().page(Table::Participants, IngestStatus::Retry, Some(&cursor), 2).await.unwrap();
    let ids: Vec<&str> = first.iter().chain(&second).map(|row| row.arena_id.as_str()).collect();
    assert_eq!(ids, ["1", "2", "3", "4"]);
}

pub(super) async fn a_page_holds_one_table_and_one_status(world: impl World) {
    store(world.store(), &participant(1, "1"), IngestStatus::Retry).await;
    store(world.store(), &participant(2, "2"), IngestStatus::Failed).await;
    store(world.store(), &participant(3, "3"), IngestStatus::Handled).await;
    store(world.store(), &item(Table::History, 4, "4", Row::Unusable, "{}"), IngestStatus::Retry).await;
    for (table, status, expected) in [
        (Table::Participants, IngestStatus::Retry, vec!["1"]),
        (Table::Participants, IngestStatus::Failed, vec!["2"]),
        (Table::Participants, IngestStatus::Handled, vec!["3"]),
        (Table::History, IngestStatus::Retry, vec!["4"]),
        (Table::Courses, IngestStatus::Retry, vec![]),
    ] {
        let page = world.store().page(table, status, None, 10).await.unwrap();
        let ids: Vec<&str> = page.iter().map(|row| row.arena_id.as_str()).collect();
        assert_eq!(ids, expected, "{table:?} {status:?}");
        assert!(page.iter().all(|row| row.table == table));
    }
}
