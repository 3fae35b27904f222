//! A handled topic once more: every table must stay as it is, to the version of each row.

use crate::{
    load::Load,
    run::{Measured, Run},
    service::Service,
};

/// Place and writer of each row: a row that was written again, even with what was there, has others.
const TABLES: [&str; 8] = [
    "SELECT count(*), bit_xor(hashtextextended(ctid::text || ' ' || xmin::text, 0)) FROM arena_data",
    "SELECT count(*), bit_xor(hashtextextended(ctid::text || ' ' || xmin::text, 0)) FROM arena_data_id_translation",
    "SELECT count(*), bit_xor(hashtextextended(ctid::text || ' ' || xmin::text, 0)) FROM arena_data_hist_id_translation",
    "SELECT count(*), bit_xor(hashtextextended(ctid::text || ' ' || xmin::text, 0)) FROM deltaker",
    "SELECT count(*), bit_xor(hashtextextended(ctid::text || ' ' || xmin::text, 0)) FROM gjennomforing",
    "SELECT count(*), bit_xor(hashtextextended(ctid::text || ' ' || xmin::text, 0)) FROM outbox",
    "SELECT count(*), bit_xor(hashtextextended(ctid::text || ' ' || xmin::text, 0)) FROM quarantine",
    "SELECT count(*), bit_xor(hashtextextended(ctid::text || ' ' || xmin::text, 0)) FROM publisher",
];

/// From the first record that the service may take to the commit of the last. The load was published before.
pub(crate) async fn measure(run: &Run, service: &mut Service<'_>, load: &Load) -> Measured {
    let before = versions(run).await;
    let measured = service.keep(load).await;
    assert_eq!(versions(run).await, before, "a replay changed a row");
    measured
}

async fn versions(run: &Run) -> Vec<(i64, Option<i64>)> {
    let mut versions = Vec::new();
    for table in TABLES {
        versions.push(sqlx::query_as(table).fetch_one(&run.pool).await.unwrap());
    }
    versions
}
