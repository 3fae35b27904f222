//! The limit of what is only kept: from Kafka into the inbox, and nothing else.
//!
//! The client is the one of the service, so are its settings. Of each record it reads what the row needs; each batch is one statement.

use std::{collections::BTreeMap, sync::Arc};

use futures::{StreamExt as _, stream::FuturesUnordered};
use kafka::{
    Group,
    source::{Event, Partition, Position, Source as _},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use sqlx::PgPool;
use tokio::time::timeout;
use uuid::Uuid;

use crate::{
    limit::{BATCH, WRITERS},
    load::Load,
    run::{BOUND, Measured, PARTITIONS, Run},
};

#[derive(Deserialize)]
struct Envelope<'a> {
    op_ts: &'a str,
    pos: &'a str,
    #[serde(borrow)]
    after: &'a RawValue,
}

#[derive(Deserialize)]
struct Row {
    #[serde(rename = "TILTAKDELTAKER_ID")]
    participant: i64,
    #[serde(rename = "TILTAKGJENNOMFORING_ID")]
    course: i64,
}

/// From the first record that it may take to the commit of the last. The load is in the topic.
pub(crate) async fn measure(run: &Run, load: &Load) -> Measured {
    run.settle().await;
    let topic = run.topics.create("pipe", PARTITIONS).await.unwrap();
    let group = Group { id: format!("pipe-{}", Uuid::new_v4()), topics: vec![topic.clone()], client_id: "pipe".into() };
    let mut source = kafka::Consumer::new(&run.kafka, &group).unwrap();
    // the group forms before the clock starts, as that of the service does
    while !matches!(timeout(BOUND, source.next()).await.unwrap(), Event::Assigned(_)) {}
    source.pause();
    run.topics.produce_all(&load.records(&topic)).await.unwrap();
    let measured = run
        .measure(None, async {
            source.resume();
            drain(&run.pool, &mut source, load.changes.len()).await;
        })
        .await;
    source.close().await;
    run.assert_kept(load).await;
    measured
}

async fn drain(pool: &PgPool, source: &mut kafka::Consumer, all: usize) {
    let (mut forming, mut writing, mut read) = (Vec::with_capacity(BATCH), FuturesUnordered::new(), 0);
    let mut next = BTreeMap::new();
    while read < all {
        let event = timeout(BOUND, source.next()).await.unwrap();
        let Event::Records(records) = event else { continue };
        for record in records {
            next.insert(Partition::of(&record.message), record.message.offset + 1);
            forming.push(record.message.payload.unwrap());
            read += 1;
            if forming.len() == BATCH || read == all {
                if writing.len() == WRITERS {
                    writing.next().await;
                }
                let batch = Arc::new(std::mem::take(&mut forming));
                writing.push(async move { write(pool, &batch).await.unwrap() });
            }
        }
    }
    while writing.next().await.is_some() {}
    let positions = next.into_iter().map(|(partition, next)| Position { partition, next }).collect();
    source.commit(positions);
    while !matches!(timeout(BOUND, source.next()).await.unwrap(), Event::Committed { .. }) {}
}

async fn write(pool: &PgPool, batch: &[bytes::Bytes]) -> Result<(), sqlx::Error> {
    let (mut ids, mut positions, mut times, mut images, mut notes) = (vec![], vec![], vec![], vec![], vec![]);
    for record in batch {
        let envelope: Envelope<'_> = serde_json::from_slice(record).unwrap();
        let row: Row = serde_json::from_str(envelope.after.get()).unwrap();
        ids.push(row.participant.to_string());
        positions.push(envelope.pos);
        times.push(envelope.op_ts);
        images.push(envelope.after.get());
        notes.push(format!("course {} has not been read yet", row.course));
    }
    sqlx::query(
        "INSERT INTO arena_data AS row (arena_table_name, arena_id, operation_type, operation_pos, operation_timestamp, \
             ingest_status, ingested_timestamp, after, note) \
         SELECT 'SIAMO.TILTAKDELTAKER', arena_id, 'CREATED', pos, at::timestamp, 'RETRY', localtimestamp, after::jsonb, note \
         FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) AS new (arena_id, pos, at, after, note) \
         ON CONFLICT (arena_table_name, operation_type, operation_pos) DO UPDATE SET ingest_status = excluded.ingest_status",
    )
    .bind(ids)
    .bind(positions)
    .bind(times)
    .bind(images)
    .bind(notes)
    .execute(pool)
    .await
    .map(drop)
}
