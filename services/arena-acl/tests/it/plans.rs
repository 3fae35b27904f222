//! How PostgreSQL carries out the statements of the store when its tables are large (docs/spec/arena-acl.md IMP-19).
//!
//! With 50,000 rows in the ordinary run, with ten million by `just explain-plans arena-acl`; then the table that it prints is kept in
//! `docs/query-plans.md`. A new statement is a line in [`statements`] or [`commands`].

mod book;
mod recorder;
mod tables;

use arena_acl::{
    inbox::{Cursor, Inbox as _, Item, Outbox as _, Write},
    letters::{LetterStore as _, ROW},
    operations::{Mend, Newest, Operations as _},
    postgres::Postgres,
    wake::Woken as _,
};
use chassis::dead_letters::{Filter, LetterId, Show};
use domain::arena_acl::{
    Change, CourseId, DeltakerWrite, Effect, HistMapping, IfTaken, IngestStatus, LastKnown, Mapping, ParticipantId,
    ParticipantRow, PersonId, Row, Table, codes::Measure,
};
use sqlx::PgPool;
use tokio::time::Instant;
use uuid::Uuid;

use self::{
    book::{Book, Reads},
    recorder::Recorder,
    tables::Size,
};
use crate::store::{Live, at, course, item, marked, message, write};

/// What the service does all the time, once over.
async fn statements(book: &mut Book, store: &Postgres, size: Size, round: i64) {
    use Reads::Few;
    let batch = (size.changes / 2500).min(500);
    let participants: Vec<Item> = (0..batch).map(|n| participant(size, round * 1000 + n * 2 + 1)).collect();
    let history: Vec<Item> = (0..batch).map(|n| history(size, round * 1000 + n * 2 + 1)).collect();
    let courses: Vec<Item> =
        (1..=20).map(|n| course(round * 20 + n, &(position(size, round) + n).to_string())).collect();
    for (what, items) in
        [("read participants", &participants), ("read history rows", &history), ("read courses", &courses)]
    {
        let changes: Vec<&Change> = items.iter().map(|item| &*item.change).collect();
        book.note(what, Few, store.read(&changes)).await.unwrap();
        book.note(&format!("{what}, with ids"), Few, store.held(&changes)).await.unwrap();
    }
    let now = at(8);
    book.note("write participants", Few, store.apply(&participants, now, |item, _| kept(item))).await.unwrap();
    book.note("write deletes", Few, store.apply(&participants, now, |item, _| misregistered(item))).await.unwrap();
    book.note("write history rows", Few, store.apply(&history, now, |item, _| historised(item))).await.unwrap();
    book.note("write courses, release", Few, store.apply(&courses, now, |item, _| released(item))).await.unwrap();
    book.note("write participants, wake", Few, store.apply(&participants, now, |item, _| woke(item))).await.unwrap();
    for (what, status) in
        [("page of the retry job", IngestStatus::Retry), ("page of the failed job", IngestStatus::Failed)]
    {
        pages(book, store, what, status, 500).await;
    }
    book.note("release of another page", Few, store.release_more(now)).await.unwrap();
    book.note("whether anything is due", Few, store.any_woken(now)).await.unwrap();
    let due = book.note("what is due, first", Few, store.woken(Table::Participants, now, None, 500)).await.unwrap();
    let middle = due.get(due.len() / 2);
    assert!(middle.is_some(), "something is due");
    book.note("what is due, after a row", Few, store.woken(Table::Participants, now, middle, 500)).await.unwrap();
    dead_letters(book, store).await;
    let heads = book.note("heads of the outbox", Few, store.heads(None, 500)).await.unwrap();
    let after = heads.last().expect("messages wait").key.clone();
    book.note("heads after a key", Few, store.heads(Some(&after), 500)).await.unwrap();
    let due: Vec<i64> = heads.iter().map(|head| head.id).collect();
    book.note("messages to send", Few, store.unpublished(&due)).await.unwrap();
    book.note("messages have left", Few, store.published(&due, now)).await.unwrap();
    book.note("messages that wait", Reads::ByIndex, store.waiting()).await.unwrap();
    let known = Uuid::from_u128(1);
    book.note("translation", Few, store.translation(known)).await.unwrap();
}

/// The first page of a job, and one that begins in the middle of what has this status.
async fn pages(book: &mut Book, store: &Postgres, what: &str, status: IngestStatus, rows: u32) {
    let table = Table::Participants;
    let first = book.note(&format!("{what}, first"), Reads::Few, store.page(table, status, None, rows)).await.unwrap();
    let middle = first.get(first.len() / 2).expect("a page has rows");
    let cursor = Cursor { position: middle.position.clone(), id: middle.id };
    let what = format!("{what}, after a cursor");
    book.note(&what, Reads::Few, store.page(table, status, Some(&cursor), rows)).await.unwrap();
}

/// Quarantined records and then rows: a page of each, one that begins in its middle, and single ones by their ids.
async fn dead_letters(book: &mut Book, store: &Postgres) {
    let all = Filter::default();
    for (what, before) in [("quarantined records", None), ("dead rows", Some(LetterId { kind: ROW, number: 0 }))] {
        let page = |after| store.open_letters(&all, after, 100, Show::Contents);
        let first = book.note(&format!("{what}, first"), Reads::Few, page(before)).await.unwrap();
        let middle = Some(first.get(first.len() / 2).expect("a page has letters").id);
        book.note(&format!("{what}, after one"), Reads::Few, page(middle)).await.unwrap();
        let some = Filter { ids: first.iter().map(|letter| letter.id).collect(), ..Filter::default() };
        let by_id = store.open_letters(&some, None, 100, Show::Contents);
        book.note(&format!("{what}, by id"), Reads::Few, by_id).await.unwrap();
    }
}

/// What operators do to whole tables.
async fn commands(book: &mut Book, store: &Postgres, superuser: &PgPool) {
    use Reads::{ByIndex, Whole};
    book.note("purge", ByIndex, store.purge()).await.unwrap();
    book.note("relast", ByIndex, store.relast(Measure::Enkelamo)).await.unwrap();
    book.note("check-latest", Whole, store.check_latest(Table::Participants, Mend::No)).await.unwrap();
    for (what, newest) in [("requeue-latest by position", Newest::ByPosition), ("requeue-latest by id", Newest::ById)] {
        book.note(what, Whole, store.requeue_latest(Table::Participants, newest)).await.unwrap();
        let back =
            "UPDATE arena_data SET ingest_status = 'HANDLED' WHERE ingest_status = 'RETRY' AND last_attempted IS NULL";
        sqlx::raw_sql(back).execute(superuser).await.unwrap();
        sqlx::raw_sql("VACUUM arena_data").execute(superuser).await.unwrap();
    }
}

#[tokio::test]
#[ignore = "needs Postgres: ./dev test"]
async fn no_statement_of_the_service_reads_a_large_table_from_end_to_end() {
    let size = Size::of(
        chassis::settings::load(|table| table.value::<u32>("TRUECOPY_PLAN_ROWS", "rows of arena_data").or("50000"))
            .unwrap()
            .into(),
    );
    let database = testkit::servers::postgres().await;
    let superuser = PgPool::connect(database.url()).await.unwrap();
    let begin = Instant::now();
    tables::old_service(&superuser, size).await;
    println!("{size:?} filled in {:.0?}; {}", begin.elapsed(), disk(&superuser).await);
    Live::process(&database).migrate().await.unwrap();
    for (version, millis) in migrations(&superuser).await {
        println!("migration {version}: {millis} ms");
    }
    println!("{}", disk(&superuser).await);
    tables::new_service(&superuser, size).await;

    let recorder = Recorder::on(&superuser).await;
    let store = Live::process(&database);
    let mut book = Book::new(recorder);
    // what is written is of the first round; the second finds it
    statements(&mut book, &store, size, 0).await;
    tables::forget_statistics(&superuser).await;
    book.statistics("none");
    statements(&mut book, &store, size, 1).await;
    let begin = Instant::now();
    sqlx::raw_sql("ANALYZE").execute(&superuser).await.unwrap();
    println!("ANALYZE {:.0?}", begin.elapsed());
    book.statistics("yes");
    commands(&mut book, &store, &superuser).await;

    let retry = "UPDATE arena_data SET ingest_status = 'RETRY' \
                 WHERE arena_table_name = 'SIAMO.TILTAKDELTAKER' AND id % 17 < 2 AND ingest_status = 'HANDLED'";
    let many = sqlx::raw_sql(retry).execute(&superuser).await.unwrap().rows_affected();
    pages(&mut book, &store, &format!("page of the retry job, {many} more in RETRY"), IngestStatus::Retry, 5000).await;
    println!("{}", disk(&superuser).await);

    let (table, problems) = book.end();
    println!("{table}");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

async fn migrations(superuser: &PgPool) -> Vec<(i64, i64)> {
    sqlx::query_as("SELECT version, execution_time / 1000000 FROM _sqlx_migrations ORDER BY version")
        .fetch_all(superuser)
        .await
        .unwrap()
}

async fn disk(superuser: &PgPool) -> String {
    let size = "SELECT 'database ' || pg_size_pretty(pg_database_size(current_database())) || \
                ', arena_data ' || pg_size_pretty(pg_total_relation_size('arena_data'))";
    sqlx::query_scalar(size).fetch_one(superuser).await.unwrap()
}

/// A position after all that are stored.
fn position(size: Size, round: i64) -> i64 {
    size.changes + 1 + round * 10_000
}

/// A change of a participant who is known, with the external id of another.
fn participant(size: Size, id: i64) -> Item {
    of(Table::Participants, size, id, Some(Uuid::from_u128(u128::from(id.unsigned_abs())).to_string()))
}

/// A history row of a person who is known.
fn history(size: Size, id: i64) -> Item {
    of(Table::History, size, id, None)
}

fn of(table: Table, size: Size, id: i64, external_id: Option<String>) -> Item {
    let (person, course) = (id % (size.participants * 3 / 4) + 1, (id - 1) % size.courses + 1);
    let row = ParticipantRow { id, person: Some(person), course, external_id, ..ParticipantRow::default() };
    item(table, id, &(position(size, 0) + id).to_string(), Row::Participant(row), r#"{"TILTAKDELTAKER_ID": 1}"#)
}

fn kept(item: &Item) -> Option<Write> {
    let id = item.change.arena_id;
    let known = LastKnown {
        id: ParticipantId(id),
        person: PersonId(id),
        course: CourseId(3001),
        start: Some(at(0).date()),
        end: None,
        registered: at(1),
        modified: at(2),
        status: "FULLF".to_owned(),
        status_changed: Some(at(3)),
        external_id: None,
    };
    let mut write = write(Effect {
        deltaker: Some(DeltakerWrite::Keep(known)),
        mapping: Some(Mapping { amt_id: Uuid::new_v4(), participant: ParticipantId(id) }),
        course_uuid: Some((CourseId(id), Uuid::from_u128(1))),
        ..marked(IngestStatus::Handled)
    })?;
    write.message = Some(message(&id.to_string(), "{}"));
    Some(write)
}

fn misregistered(item: &Item) -> Option<Write> {
    let deltaker = Some(DeltakerWrite::Misregistered(ParticipantId(item.change.arena_id)));
    write(Effect { deltaker, ..marked(IngestStatus::Handled) })
}

fn historised(item: &Item) -> Option<Write> {
    let history = 1_000_000_000 + item.change.arena_id;
    let hist_mapping =
        Some(HistMapping { amt_id: Uuid::new_v4(), history, participant: None, if_taken: IfTaken::Kept });
    write(Effect { hist_mapping, ..marked(IngestStatus::Handled) })
}

fn woke(item: &Item) -> Option<Write> {
    write(Effect { wake: Some(ParticipantId(item.change.arena_id)), ..marked(IngestStatus::Handled) })
}

fn released(item: &Item) -> Option<Write> {
    write(Effect { release: Some(CourseId(item.change.arena_id)), ..marked(IngestStatus::Handled) })
}
