//! What another system owns (docs/spec/arena-acl.md 4.5).

use arena_acl::{memory::Memory, wire};
use domain::{
    arena_acl::Pass,
    delivery::{Outcome, Settlement},
};

use crate::records::{GROUP, course, external_history, records};

#[tokio::test]
async fn of_two_history_rows_with_one_external_id_at_once_the_second_is_invalid() {
    const ID: &str = "0f3ad0c2-1c7b-4f1e-8b0e-6a5a9a2b7c01";
    let store = Memory::default();
    let records = records(&store);
    let item = |record: bytes::Bytes| wire::read(&record).unwrap();
    records.handle(&[item(course(GROUP, "INDOPPFAG", 1))], Pass::Live).await.remove(0).unwrap();
    let both = [item(external_history(9001, ID, 101)), item(external_history(9002, ID, 102))];
    let ended: Vec<_> =
        records.handle(&both, Pass::Live).await.into_iter().map(|ended| ended.unwrap().unwrap()).collect();
    assert_eq!(ended, [Settlement::Done(Outcome::Ignored("EXTERNAL_SOURCE")), Settlement::DeadLettered("INVALID")]);
    let note = store.state().arena_data[2].note.clone();
    assert_eq!(note.as_deref(), Some("EKSTERN_ID belongs to Arena id 9001"));
}
