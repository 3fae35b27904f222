//! What was there before: one record of a partition after the other, one statement after the other, each a transaction of its own, two
//! calls and one blocking send with flush for each record (docs/spec/arena-acl.md 4.13 and 10.1), over the same servers.

use std::sync::Arc;

use arena_acl::neighbours::LIMITS;
use chassis::http::{Client, transport::Reqwest};
use futures::future::join_all;
use http::HeaderMap;
use serde_json::{Value, json};
use sqlx::PgPool;
use testkit::servers::Record;
use url::Url;
use uuid::Uuid;

use crate::{
    feed::{Change, Course},
    load::Load,
    run::{Measured, PARTITIONS, Run},
};

/// One lane per partition. The records are in memory: reading them costs nothing.
pub(crate) async fn measure(run: &Run, load: &Load) -> Measured {
    run.settle().await;
    for course in &load.courses {
        sqlx::query("INSERT INTO gjennomforing (arena_id, tiltak_kode, is_valid, id) VALUES ($1, $2, true, $3)")
            .bind(course.id.to_string())
            .bind(course.measure)
            .bind(Course::uuid(course.id))
            .execute(&run.lanes)
            .await
            .unwrap();
    }
    let client = Client::new(Url::parse(run.neighbours()).unwrap(), Arc::new(Reqwest::new(LIMITS).unwrap()));
    let lanes = (0..i64::from(PARTITIONS)).map(|lane| {
        let changes = load.changes.iter().filter(move |change| change.participant % i64::from(PARTITIONS) == lane);
        let client = &client;
        async move {
            for change in changes {
                handle(run, client, change).await;
            }
        }
    });
    let measured = run.measure(None, join_all(lanes)).await;
    run.assert_stored(load).await;
    measured
}

async fn handle(run: &Run, client: &Client, change: &Change) {
    let pool: &PgPool = &run.lanes;
    let (arena_id, table) = (change.participant.to_string(), "SIAMO.TILTAKDELTAKER");
    let course: Uuid = sqlx::query_scalar("SELECT id FROM gjennomforing WHERE arena_id = $1")
        .bind(change.course.to_string())
        .fetch_one(pool)
        .await
        .unwrap();
    let (course, none) = (course.to_string(), HeaderMap::new());
    let _details: Value = client.get_json(&["api", "v2", "tiltaksgjennomforinger", &course], &[], &none).await.unwrap();
    let person = change.person().to_string();
    let _id: Value = client.get_json(&["api", "ords", "fnr"], &[("personId", &person)], &none).await.unwrap();
    let known: Option<Uuid> = sqlx::query_scalar(
        "SELECT amt_id FROM arena_data_id_translation WHERE arena_table_name = $1 AND arena_id = $2",
    )
    .bind(table)
    .bind(&arena_id)
    .fetch_optional(pool)
    .await
    .unwrap();
    let uuid = known.unwrap_or_else(Uuid::new_v4);
    if known.is_none() {
        sqlx::query("INSERT INTO arena_data_id_translation (amt_id, arena_table_name, arena_id) VALUES ($1, $2, $3)")
            .bind(uuid)
            .bind(table)
            .bind(&arena_id)
            .execute(pool)
            .await
            .unwrap();
    }
    sqlx::query("SELECT * FROM arena_data WHERE arena_id = $1 AND arena_table_name = $2")
        .bind(&arena_id)
        .bind(table)
        .fetch_all(pool)
        .await
        .unwrap();
    let message = json!({
        "transactionId": Uuid::new_v4(), "source": "AMT_ARENA_ACL", "type": "DELTAKER",
        "timestamp": "2025-03-10T12:00:01.204518", "operation": "CREATED", "payload": change.message(uuid),
    });
    let message = Record {
        topic: run.single_place.clone(),
        key: Some(uuid.to_string().into()),
        payload: Some(message.to_string().into()),
        ..Record::default()
    };
    run.topics.produce(&message).await.unwrap();
    sqlx::query(
        "INSERT INTO arena_data (arena_table_name, arena_id, operation_type, operation_pos, operation_timestamp, ingest_status, \
             ingested_timestamp, after) \
         VALUES ($1, $2, 'CREATED', $3, '2025-03-10 11:59:58', 'HANDLED', localtimestamp, $4::text::jsonb) \
         ON CONFLICT (arena_table_name, operation_type, operation_pos) DO UPDATE SET ingest_status = excluded.ingest_status",
    )
    .bind(table)
    .bind(&arena_id)
    .bind(change.position_text())
    .bind(change.after().to_string())
    .execute(pool)
    .await
    .unwrap();
    sqlx::query(
        "INSERT INTO deltaker (id, arena_source_table, arena_id, person_id, gjennomforing_id, dato_fra, reg_dato, mod_dato, status, \
             dato_statusendring) \
         VALUES (gen_random_uuid(), $1, $2, $3, $4, '2025-04-01', '2025-02-20 08:00:00', '2025-03-01 09:15:00', 'GJENN', \
             '2025-03-01 09:15:00') \
         ON CONFLICT (arena_id, arena_source_table) DO UPDATE SET status = excluded.status",
    )
    .bind(table)
    .bind(change.participant)
    .bind(change.person())
    .bind(change.course)
    .execute(pool)
    .await
    .unwrap();
}
