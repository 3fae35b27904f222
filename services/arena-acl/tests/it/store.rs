//! Both stores as the tests see them: their ports, their tables whole, and changes to feed them with.

use std::{future::Future, sync::Arc};

use arena_acl::{
    census::Census,
    explain::Chronicle,
    inbox::{Inbox, Item, NewMessage, Outbox, Write},
    leader::Leadership,
    letters::LetterStore,
    memory::{ArenaData, Deltaker, Gjennomforing, HistIdTranslation, IdTranslation, Memory, Outgoing, State},
    operations::Operations,
    postgres::{self, Postgres},
    verify::Audit,
    wake::Woken,
};
use chassis::dead_letters::{DeadLetter, DeadLetters, Position as Place};
use chrono::{NaiveDate, NaiveDateTime};
use domain::{
    arena_acl::{
        Change, CourseRow, Effect, IngestStatus, Mark, Operation, ParticipantRow, Position, Row, RowWrite, Table,
    },
    delivery::{Class, Outcome, Settlement},
};
use sqlx::{
    PgPool, Row as _,
    postgres::{PgPoolOptions, PgRow},
};
use testkit::servers::FreshDatabase;
use uuid::Uuid;

/// The tables of the old service, and its indexes beside those of its keys.
pub(crate) const OLD_TABLES: &str = include_str!("../old_service/tables.sql");
pub(crate) const OLD_INDEXES: &str = include_str!("../old_service/indexes.sql");

/// A store, and what it holds.
pub(crate) trait World: Send + Sync + Sized {
    type Store: Inbox
        + Outbox
        + Operations
        + Woken
        + Leadership
        + DeadLetters
        + LetterStore
        + Census
        + Chronicle
        + Audit
        + Clone;
    fn store(&self) -> &Self::Store;
    /// All its tables.
    fn state(&self) -> impl Future<Output = State> + Send;
    /// The same with a further row in 3.3.
    fn historised(self, row: HistIdTranslation) -> impl Future<Output = Self> + Send;
}

impl World for Memory {
    type Store = Self;

    fn store(&self) -> &Self {
        self
    }

    async fn state(&self) -> State {
        Self::state(self)
    }

    async fn historised(self, row: HistIdTranslation) -> Self {
        let mut state = Self::state(&self);
        state.hist_id_translation.push(row);
        Self::with(state)
    }
}

/// A store in a database of its own, and a way to look at its tables.
pub(crate) struct Live {
    pub(crate) store: Postgres,
    pub(crate) reader: PgPool,
}

impl Live {
    pub(crate) async fn over(database: &FreshDatabase) -> Self {
        let store = Self::process(database);
        store.migrate().await.unwrap();
        // one session, so that it is known which the others are
        let reader = PgPoolOptions::new().max_connections(1).connect(database.url()).await.unwrap();
        Self { store, reader }
    }

    /// The store as a process of its own has it.
    pub(crate) fn process(database: &FreshDatabase) -> Postgres {
        let pairs = [("DB_JDBC_URL", database.jdbc_url())];
        Postgres::new(&chassis::settings::read(pairs, postgres::Settings::declare).unwrap())
    }

    async fn table<T>(&self, query: &'static str, row: impl Fn(PgRow) -> T) -> Vec<T> {
        sqlx::query(query).fetch_all(&self.reader).await.unwrap().into_iter().map(row).collect()
    }
}

impl World for Live {
    type Store = Postgres;

    fn store(&self) -> &Postgres {
        &self.store
    }

    async fn state(&self) -> State {
        State {
            arena_data: self
                .table("SELECT *, before::text AS b, after::text AS a FROM arena_data ORDER BY id", arena_data)
                .await,
            id_translation: self
                .table("SELECT * FROM arena_data_id_translation ORDER BY arena_id", |row| IdTranslation {
                    amt_id: row.get("amt_id"),
                    arena_table_name: row.get("arena_table_name"),
                    arena_id: row.get("arena_id"),
                })
                .await,
            hist_id_translation: self
                .table("SELECT * FROM arena_data_hist_id_translation", |row| HistIdTranslation {
                    amt_id: row.get("amt_id"),
                    arena_hist_id: row.get("arena_hist_id"),
                    arena_id: row.get("arena_id"),
                })
                .await,
            deltaker: self.table("SELECT * FROM deltaker ORDER BY arena_id", deltaker).await,
            gjennomforing: self
                .table("SELECT * FROM gjennomforing ORDER BY arena_id", |row| Gjennomforing {
                    arena_id: row.get("arena_id"),
                    tiltak_kode: row.get("tiltak_kode"),
                    is_valid: row.get("is_valid"),
                    id: row.get("id"),
                })
                .await,
            outbox: self.table("SELECT * FROM outbox ORDER BY id", outgoing).await,
            quarantine: self.table("SELECT * FROM quarantine ORDER BY id", dead_letter).await,
            resolved: self
                .table("SELECT id FROM quarantine WHERE resolved_at IS NOT NULL", |row| row.get("id"))
                .await
                .into_iter()
                .collect(),
            last_outbox_id: 0,
        }
    }

    async fn historised(self, row: HistIdTranslation) -> Self {
        sqlx::query("INSERT INTO arena_data_hist_id_translation VALUES ($1, $2, $3)")
            .bind(row.amt_id)
            .bind(row.arena_hist_id)
            .bind(row.arena_id)
            .execute(&self.reader)
            .await
            .unwrap();
        self
    }
}

fn arena_data(row: PgRow) -> ArenaData {
    let text = |column| row.get::<String, _>(column);
    ArenaData {
        id: row.get("id"),
        arena_table_name: Table::named(&text("arena_table_name")).unwrap(),
        arena_id: text("arena_id"),
        operation_type: Operation::named(&text("operation_type")).unwrap(),
        operation_pos: Position::new(&text("operation_pos")).unwrap(),
        operation_timestamp: row.get("operation_timestamp"),
        ingest_status: IngestStatus::named(&text("ingest_status")).unwrap(),
        ingested_timestamp: row.get("ingested_timestamp"),
        ingest_attempts: row.get::<i32, _>("ingest_attempts").try_into().unwrap(),
        last_attempted: row.get("last_attempted"),
        before: row.get::<Option<String>, _>("b").map(Arc::from),
        after: row.get::<Option<String>, _>("a").map(Arc::from),
        note: row.get("note"),
        retry_at: row.get("retry_at"),
        replay_count: row.get::<i32, _>("replay_count").try_into().unwrap(),
        dropped_at: row.get("dropped_at"),
    }
}

fn deltaker(row: PgRow) -> Deltaker {
    Deltaker {
        arena_id: row.get("arena_id"),
        person_id: row.get("person_id"),
        gjennomforing_id: row.get("gjennomforing_id"),
        dato_fra: row.get("dato_fra"),
        dato_til: row.get("dato_til"),
        reg_dato: row.get("reg_dato"),
        mod_dato: row.get("mod_dato"),
        status: row.get("status"),
        dato_statusendring: row.get("dato_statusendring"),
        ekstern_id: row.get("ekstern_id"),
        arena_source_table: row.get("arena_source_table"),
    }
}

fn outgoing(row: PgRow) -> Outgoing {
    Outgoing {
        id: row.get("id"),
        topic: row.get::<String, _>("topic").into(),
        message_key: row.get("message_key"),
        payload: row.get("payload"),
        transaction_id: row.get("transaction_id"),
        arena_data_id: row.get("arena_data_id"),
        created_at: row.get("created_at"),
        published_at: row.get("published_at"),
        trace: row.get::<Option<String>, _>("traceparent").map(|trace| trace.parse().unwrap()),
    }
}

fn dead_letter(row: PgRow) -> DeadLetter {
    let bytes = |column| row.get::<Option<Vec<u8>>, _>(column).map(Into::into);
    let list = |column| row.get::<Vec<Vec<u8>>, _>(column).into_iter();
    let count = |column| row.get::<i32, _>(column).try_into().unwrap();
    let reason: &'static str = row.get::<String, _>("reason").leak();
    DeadLetter {
        source: row.get::<String, _>("topic").into(),
        position: Place { partition: row.get("partition"), offset: row.get("record_offset") },
        reason,
        class: match row.get("class") {
            "permanent" => Class::Permanent(reason),
            "transient" => Class::Transient { after: None },
            _ => Class::Fatal,
        },
        attempts: count("attempts"),
        first_at: row.get("first_at"),
        last_at: row.get("received_at"),
        replay_count: count("replay_count"),
        key: bytes("record_key"),
        headers: list("header_names")
            .map(|name| String::from_utf8(name).unwrap())
            .zip(list("header_values").map(Into::into))
            .collect(),
        payload: bytes("record_value"),
        detail: row.get("detail"),
    }
}

/// 2025-03-10 at `hour`.
pub(crate) fn at(hour: u32) -> NaiveDateTime {
    NaiveDate::from_ymd_opt(2025, 3, 10).unwrap().and_hms_opt(hour, 0, 0).unwrap()
}

/// An insert of a participant of course 3001.
pub(crate) fn participant(id: i64, position: &str) -> Item {
    let row = ParticipantRow { id, person: Some(5001), course: 3001, ..ParticipantRow::default() };
    let after = format!(r#"{{"TILTAKDELTAKER_ID": {id}, "TILTAKGJENNOMFORING_ID": 3001}}"#);
    item(Table::Participants, id, position, Row::Participant(row), &after)
}

/// An insert of a course.
pub(crate) fn course(id: i64, position: &str) -> Item {
    let after = format!(r#"{{"TILTAKGJENNOMFORING_ID": {id}}}"#);
    item(Table::Courses, id, position, Row::Course(CourseRow { id, ..CourseRow::default() }), &after)
}

pub(crate) fn item(table: Table, arena_id: i64, position: &str, row: Row, after: &str) -> Item {
    let position = Position::new(position).unwrap();
    let change = Change { table, arena_id, operation: Operation::Created, position, timestamp: at(6), row };
    Item { change: std::sync::Arc::new(change), before: None, after: Some(after.into()), also: Vec::new(), trace: None }
}

/// An effect that stores the change in `status` and does nothing else.
pub(crate) fn marked(status: IngestStatus) -> Effect {
    let row = RowWrite { status, note: None, mark: Mark::Ingested, retry_at: None };
    Effect { row: Some(row), ..Effect::nothing(Settlement::Done(Outcome::Applied)) }
}

pub(crate) fn write(effect: Effect) -> Option<Write> {
    Some(Write { effect, message: None })
}

pub(crate) fn message(key: &str, payload: &str) -> NewMessage {
    NewMessage {
        topic: "amt".into(),
        key: key.to_owned(),
        payload: Some(payload.to_owned()),
        transaction_id: Some(Uuid::from_u128(7)),
        trace: None,
    }
}

/// Stores `item` in `status`.
pub(crate) async fn store(inbox: &impl Inbox, item: &Item, status: IngestStatus) {
    inbox.apply(std::slice::from_ref(item), at(8), |_, _| write(marked(status))).await.unwrap();
}
