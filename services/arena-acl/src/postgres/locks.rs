//! Locks between processes, for one transaction (architecture section 8.4).

use std::collections::BTreeSet;

use domain::arena_acl::Lock;
use sqlx::PgConnection;

use crate::inbox::Item;

/// The lock of the publisher, for a session. Beside the kinds of [`key`].
pub(super) const PUBLISHER: i64 = 0xF << 59;

/// Takes the locks of `items` until the transaction ends: kinds in their order, inside a kind ascending ids. One statement; what
/// others wrote is seen by the statements after it, not by this one.
pub(super) async fn take(connection: &mut PgConnection, items: &[Item]) -> Result<(), sqlx::Error> {
    let locks: BTreeSet<Lock> = items.iter().flat_map(Item::locks).collect();
    let keys: Vec<i64> = locks.iter().map(key).collect();
    let shared: Vec<bool> = locks.iter().map(|lock| matches!(lock, Lock::CourseShared(_))).collect();
    // unnest gives its rows in the order of the arrays, and each is locked before the next
    sqlx::query(
        "SELECT CASE WHEN shared THEN pg_advisory_xact_lock_shared(key) ELSE pg_advisory_xact_lock(key) END \
         FROM unnest($1::bigint[], $2::boolean[]) AS lock (key, shared)",
    )
    .bind(keys)
    .bind(shared)
    .execute(connection)
    .await
    .map(drop)
}

/// The key of a lock: the same in every version of the program, since old and new run side by side.
///
/// The kind is in the four bits from 59, the id below. Ids of Arena fit there; two locks that share a key by chance only wait for each other.
fn key(lock: &Lock) -> i64 {
    let (kind, id) = match *lock {
        Lock::Participant(id) => (1, id),
        Lock::History(id) => (2, id),
        Lock::PersonOnCourse(person, course) => (3, person.rotate_left(29) ^ course),
        Lock::CourseShared(id) | Lock::Course(id) => (4, id),
    };
    kind << 59 | id & ((1 << 59) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stay_what_they_are() {
        assert_eq!(key(&Lock::Participant(70001)), 0x0800_0000_0001_1171);
        assert_eq!(key(&Lock::History(9001)), 0x1000_0000_0000_2329);
        assert_eq!(key(&Lock::PersonOnCourse(5001, 3001)), 0x1800_0271_2000_0bb9);
        assert_eq!(key(&Lock::Course(3001)), 0x2000_0000_0000_0bb9);
    }

    #[test]
    fn a_course_has_one_key_whichever_way_it_is_locked() {
        assert_eq!(key(&Lock::Course(7)), key(&Lock::CourseShared(7)));
    }

    #[test]
    fn ids_of_different_kinds_never_share_a_key() {
        for id in [0, 1, 70001, i64::from(u32::MAX), (1 << 59) - 1, -1, i64::MIN] {
            let keys = [Lock::Participant(id), Lock::History(id), Lock::PersonOnCourse(id, id), Lock::Course(id)]
                .map(|lock| key(&lock));
            assert_eq!(keys.iter().chain([&PUBLISHER]).collect::<BTreeSet<_>>().len(), 5, "{id}");
        }
    }
}
