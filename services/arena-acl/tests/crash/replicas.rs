//! Two replicas at once (docs/spec/arena-acl.md 10, IMP-13).

use std::time::Duration;

use serde_json::json;
use sqlx::PgPool;
use tokio::{runtime::Handle, time::sleep};

use crate::{
    Progress,
    kills::finish,
    load::Load,
    records::{Input, Sent, course, history, participant, row},
    rng::Rng,
    stack::Stack,
    table::Row,
    third::{COURSES, GROUP, LATE, national_id},
    world::{Replica, SESSION, World},
};

const PUBLISHES: &str = "this process publishes";
const RECORDS: usize = 6;
const EVERY: Duration = Duration::from_millis(100);
/// Times that a replica is frozen.
const FREEZES: usize = 3;

/// Of two replicas under load the one that publishes is frozen for twice the session time-out, and woken.
pub(crate) async fn frozen(stack: &Stack, progress: &Progress, seed: u64) -> Row {
    let mut table_row = Row { faults: FREEZES, ..Row::default() };
    let mut rng = Rng::new(seed);
    let mut world = World::new(stack).await;
    let mut load = Load::new(seed);
    let mut replicas = [world.start(&[]).await, world.start(&[]).await];
    for number in 0..FREEZES {
        produce_for(&mut world, &mut load, Duration::from_millis(2_000 + rng.below(1_000))).await;
        let publishing = usize::from(replicas[1].last_said(PUBLISHES) > replicas[0].last_said(PUBLISHES));
        progress.say(&format!("freeze {} of {FREEZES}: replica {publishing}", number + 1));
        replicas[publishing].process.freeze().unwrap();
        table_row.again += world.coming_again().await;
        table_row.waiting += usize::try_from(world.unpublished().await).unwrap();
        produce_for(&mut world, &mut load, 2 * SESSION).await;
        replicas[publishing].process.thaw().unwrap();
        produce_for(&mut world, &mut load, SESSION).await;
    }
    let rest = load.rest();
    world.produce(rest).await;
    finish(world, replicas.into(), table_row).await
}

async fn produce_for(world: &mut World, load: &mut Load, time: Duration) {
    let until = tokio::time::Instant::now() + time;
    while tokio::time::Instant::now() < until {
        world.produce(load.take(RECORDS)).await;
        sleep(EVERY).await;
    }
}

/// Participants whose course comes late.
const LATECOMERS: i64 = 60;
/// Changes of each.
const CHANGES: u64 = 8;

/// Rows in RETRY are tried again by both replicas while live records of the same participants arrive. Whoever handles which, every
/// change is published once and in order: a newer one waits for an older one that waits.
pub(crate) async fn jobs_and_live(stack: &Stack, progress: &Progress, seed: u64) -> Row {
    let mut rng = Rng::new(seed);
    let mut world = World::new(stack).await;
    // many runs go by before the course comes
    let patient = [("ARENA_ACL_MAX_ATTEMPTS", "1000".to_owned())];
    let replicas = [world.start(&patient).await, world.start(&patient).await];
    let mut late = COURSES.iter().find(|course| course.id == LATE).map(|known| Sent::course(&course(known, 900)));
    for round in 0..CHANGES {
        progress.say(&format!("change {} of {CHANGES} of {LATECOMERS} participants", round + 1));
        let changes = (0..LATECOMERS).map(|number| {
            let (id, position) = (80_000 + number, 1_000 + round * 1_000 + number.unsigned_abs());
            let operation = if round == 0 { "I" } else { "U" };
            let value = participant(operation, position, row(id, LATE, &format!("change {position}")));
            Sent::of(Input::Participants, id, &value)
        });
        let mut changes: Vec<Sent> = changes.collect();
        for place in (1..changes.len()).rev() {
            changes.swap(place, rng.place(place + 1));
        }
        if round == 2 {
            changes.insert(20, late.take().unwrap());
        }
        for some in changes.chunks(10) {
            let job = async { tokio::join!(replicas[0].retry(), replicas[1].retry()) };
            tokio::join!(world.produce(some.to_vec()), job);
        }
    }
    world.settled().await;
    finish(world, replicas.into(), Row::default()).await
}

/// Pairs of a delete and a history row of the same participation.
const PAIRS: i64 = 80;

/// Deletes whose history row arrives just when both replicas would publish them as registered by mistake (4.8, 4.9). Whoever is first: a
/// participation that was historised is not left as FEILREGISTRERT downstream.
pub(crate) async fn deletes_and_history(stack: &Stack, progress: &Progress, seed: u64) -> Row {
    let mut rng = Rng::new(seed);
    let mut table_row = Row::default();
    let mut world = World::new(stack).await;
    downstream(&world);
    let replicas = [world.start(&[]).await, world.start(&[]).await];
    let ids = 90_000..90_000 + PAIRS;
    let change = |operation: &str, position: i64, id: i64| {
        let position = u64::try_from(position).unwrap();
        Sent::of(Input::Participants, id, &participant(operation, position, row(id, GROUP, "taking part")))
    };
    progress.say("inserts and deletes");
    world.produce(ids.clone().map(|id| change("I", 1_000 + id, id)).collect()).await;
    world.produce(ids.clone().map(|id| change("D", 201_000 + id, id)).collect()).await;
    world.settled().await;
    for _ in 0..2 {
        while !replicas[0].retry().await {} // the third publishes
    }
    progress.say("history rows and the third run");
    let mut rows: Vec<Sent> = ids
        .clone()
        .map(|id| Sent::of(Input::History, id, &history(id, id, GROUP, 1_000 + id.unsigned_abs(), "historised")))
        .collect();
    for place in (1..rows.len()).rev() {
        rows.swap(place, rng.place(place + 1));
    }
    let pause = Duration::from_millis(rng.below(60));
    let job = async {
        sleep(pause).await;
        tokio::join!(replicas[0].retry(), replicas[1].retry())
    };
    let live = async {
        for some in rows.chunks(8) {
            world.produce(some.to_vec()).await;
        }
    };
    tokio::join!(live, job);
    world.settled().await;
    world.retried().await;
    for replica in replicas {
        replica.stop().await;
    }
    judge(&world, &mut table_row).await;
    table_row
}

/// amt-tiltak knows every participation, and knows of a FEILREGISTRERT as soon as its transaction is durable.
fn downstream(world: &World) {
    let (pool, handle) = (world.pool.clone(), Handle::current());
    world.third.downstream(move |person| {
        let (pool, handle, person) = (pool.clone(), handle.clone(), person.to_owned());
        // on a thread of its own: the one of the stub has a runtime already
        std::thread::spawn(move || handle.block_on(participations(&pool, &person))).join().unwrap()
    });
}

async fn participations(pool: &PgPool, person: &str) -> serde_json::Value {
    let known: Vec<(uuid::Uuid, String, i64)> = sqlx::query_as(
        "SELECT t.amt_id, d.status, d.person_id FROM deltaker d JOIN arena_data_id_translation t ON t.arena_id = d.arena_id::text",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let known = known.into_iter().filter(|(_, _, id)| national_id(*id) == person);
    let status = |status: &str| if status == "FEILREGISTRERT" { "FEILREGISTRERT" } else { "DELTAR" };
    known.map(|(id, found, _)| json!({ "id": id, "status": status(&found) })).collect()
}

async fn judge(world: &World, table_row: &mut Row) {
    let state = world.state().await;
    let published = world.published().await;
    table_row.records = world.produced.len();
    table_row.account.balance.effects = published.len();
    let mut revived = 0;
    for row in &state.id_translation {
        let key = row.amt_id.to_string();
        let sent: Vec<serde_json::Value> = published
            .iter()
            .filter(|message| message.key.as_deref() == Some(key.as_bytes()))
            .map(|message| serde_json::from_slice(message.payload.as_deref().unwrap()).unwrap())
            .collect();
        let statuses: Vec<&str> = sent.iter().map(|message| message["payload"]["status"].as_str().unwrap()).collect();
        match statuses.as_slice() {
            ["DELTAR"] => {}
            ["DELTAR", "FEILREGISTRERT", "HAR_SLUTTET"] => revived += 1,
            other => table_row.account.differs.push(format!("deltaker {}: published {other:?}", row.arena_id)),
        }
        if !state.hist_id_translation.iter().any(|hist| hist.amt_id == row.amt_id) {
            table_row.account.balance.lost.push(format!("history of deltaker {}", row.arena_id));
        }
    }
    let unhandled = state.arena_data.iter().filter(|row| row.ingest_status != domain::arena_acl::IngestStatus::Handled);
    table_row
        .account
        .differs
        .extend(unhandled.map(|row| format!("{} {:?} {:?}", row.arena_id, row.ingest_status, row.note)));
    table_row.faults = revived; // deletes that were published before their history row came
    if state.id_translation.len() != usize::try_from(PAIRS).unwrap() {
        table_row.account.differs.push(format!("{} participants have a UUID", state.id_translation.len()));
    }
    table_row.judge();
}

impl Replica {
    /// The place of the last line that says so, later ones higher, by its time; empty where it has not said it.
    fn last_said(&self, words: &str) -> String {
        self.process.output().into_iter().rfind(|line| line.contains(words)).unwrap_or_default()
    }
}
