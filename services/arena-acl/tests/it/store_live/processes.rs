use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use arena_acl::{
    inbox::{Inbox as _, Item, Outbox as _, Turn as _},
    leader::{Leadership as _, Taken},
    postgres::{self, Postgres},
};
use chassis::settings;
use domain::{
    arena_acl::{Held, IngestStatus, Table},
    delivery::Class,
};
use testkit::servers::FreshDatabase;
use tokio::{task::JoinSet, time::Instant};

use crate::store::{Live, at, course, marked, message, participant, write};

/// What came of two processes that handle an item each, the second beginning while the first decides.
struct Meeting {
    /// The second decided before the first was done.
    overlapped: bool,
    /// What the second saw.
    seen: Held,
}

async fn meet(database: &FreshDatabase, first: Item, second: Item) -> Meeting {
    Live::over(database).await;
    let (inside, entered) = mpsc::channel();
    let decided = Arc::new(AtomicBool::new(false));
    let overlapped = Arc::new(AtomicBool::new(false));
    let mut processes = JoinSet::new();
    processes.spawn({
        let (store, decided, overlapped) = (Live::process(database), decided.clone(), overlapped.clone());
        async move {
            let decide = |_: &Item, _: &Held| {
                inside.send(()).unwrap();
                thread::sleep(Duration::from_millis(500));
                overlapped.store(decided.load(Ordering::SeqCst), Ordering::SeqCst);
                write(marked(IngestStatus::Handled))
            };
            store.apply(&[first], at(8), decide).await.unwrap();
        }
    });
    tokio::task::spawn_blocking(move || entered.recv().unwrap()).await.unwrap();
    let seen = Mutex::new(Held::default());
    let decide = |_: &Item, held: &Held| {
        decided.store(true, Ordering::SeqCst);
        *seen.lock().unwrap() = held.clone();
        None
    };
    Live::process(database).apply(&[second], at(9), decide).await.unwrap();
    processes.join_next().await.unwrap().unwrap();
    Meeting { overlapped: overlapped.load(Ordering::SeqCst), seen: seen.into_inner().unwrap() }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Postgres: ./dev test"]
async fn a_change_waits_for_another_process_and_sees_what_it_wrote() {
    let database = testkit::servers::postgres().await;
    let meeting = meet(&database, participant(70001, "2"), participant(70001, "1")).await;
    assert!(!meeting.overlapped);
    let rows = meeting.seen.rows_of(Table::Participants, 70001);
    assert_eq!(rows.iter().map(|row| row.status).collect::<Vec<_>>(), [IngestStatus::Handled]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Postgres: ./dev test"]
async fn participants_of_one_course_do_not_wait_for_each_other() {
    let database = testkit::servers::postgres().await;
    assert!(meet(&database, participant(70001, "1"), participant(70002, "2")).await.overlapped);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Postgres: ./dev test"]
async fn a_course_waits_for_changes_that_read_it_and_they_for_it() {
    let database = testkit::servers::postgres().await;
    assert!(!meet(&database, participant(70001, "1"), course(3001, "2")).await.overlapped);
    let database = testkit::servers::postgres().await;
    assert!(!meet(&database, course(3001, "1"), participant(70001, "2")).await.overlapped);
}

#[tokio::test]
#[ignore = "needs Postgres: ./dev test"]
async fn a_turn_that_was_dropped_costs_the_next_process_one_message_timeout() {
    let database = testkit::servers::postgres().await;
    let first = Live::over(&database).await.store;
    let second = Live::process(&database);
    drop(first.turn().await.unwrap());
    let began = Instant::now();
    let turn = second.turn().await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(5));
    turn.end().await.unwrap();
    let began = Instant::now();
    first.turn().await.unwrap().end().await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(4), "one that ended cleanly costs nothing");
}

#[tokio::test]
#[ignore = "needs Postgres: ./dev test"]
async fn a_holder_that_fell_silent_loses_its_turn() {
    let database = testkit::servers::postgres().await;
    let first = Live::over(&database).await.store;
    let mut silent = first.turn().await.unwrap();
    let second = Live::process(&database);
    // ten seconds until the session ends, five in which its messages may be under way
    let mut turn = tokio::time::timeout(Duration::from_secs(30), second.turn()).await.unwrap().unwrap();
    assert!(!silent.holds().await);
    assert!(silent.end().await.unwrap_err().outage);
    assert!(turn.holds().await);
    drop(turn);
    let clean: bool =
        sqlx::query_scalar("SELECT clean FROM publisher").fetch_one(&Live::over(&database).await.reader).await.unwrap();
    assert!(!clean, "the one that lost it must not say that nothing is under way");
}

#[tokio::test]
#[ignore = "needs Postgres: ./dev test"]
async fn a_leader_of_the_old_service_is_respected_whatever_the_zone_of_its_session() {
    let database = testkit::servers::postgres().await;
    let live = Live::over(&database).await;
    let old = async |statement: &'static str| sqlx::raw_sql(statement).execute(&live.reader).await.unwrap();
    // as ShedLock writes it
    old("SET timezone = 'Europe/Oslo';
         INSERT INTO shedlock (name, lock_until, locked_at, locked_by) VALUES ('leader-election',
             timezone('utc', CURRENT_TIMESTAMP) + interval '600000 milliseconds', timezone('utc', CURRENT_TIMESTAMP), 'old')")
    .await;
    let term = Duration::from_secs(600);
    let Taken::Theirs(longer) = live.store.take("new", term).await.unwrap() else { panic!("the row was taken") };
    assert!(longer <= term && longer > term - Duration::from_secs(60), "{longer:?}");
    old("UPDATE shedlock SET lock_until = timezone('utc', CURRENT_TIMESTAMP) WHERE name = 'leader-election' AND locked_by = 'old'").await;
    assert!(matches!(live.store.take("new", term).await.unwrap(), Taken::Ours(_)));
    let free: i64 =
        sqlx::query_scalar("SELECT count(*) FROM shedlock WHERE lock_until <= timezone('utc', CURRENT_TIMESTAMP)")
            .fetch_one(&live.reader)
            .await
            .unwrap();
    assert_eq!(free, 0, "the old service finds it held");
}

#[tokio::test]
#[ignore = "needs Postgres: ./dev test"]
async fn a_message_of_another_process_is_seen_within_a_short_while() {
    let database = testkit::servers::postgres().await;
    let first = Live::over(&database).await.store;
    Live::process(&database).enqueue(&[message("a", "1")], at(8)).await.unwrap();
    tokio::time::timeout(Duration::from_secs(2), first.changed()).await.unwrap();
    assert_eq!(first.heads(None, 1).await.unwrap().len(), 1);
}

#[tokio::test]
#[ignore = "needs Postgres: ./dev test"]
async fn a_database_that_is_away_is_an_outage_and_a_refused_login_ends_the_process() {
    let database = testkit::servers::postgres().await;
    let store_at =
        |url: String| Postgres::new(&settings::read([("DB_JDBC_URL", url)], postgres::Settings::declare).unwrap());
    let nobody = store_at("jdbc:postgresql://127.0.0.1:1/app?user=app".to_owned()).ping().await.unwrap_err();
    assert!(nobody.outage && nobody.class == Class::Transient { after: None }, "{nobody}");
    let refused = store_at(database.jdbc_url().replace("password=", "password=canary")).ping().await.unwrap_err();
    assert_eq!((refused.class, refused.outage), (Class::Fatal, false), "{refused}");
    assert!(!refused.what.contains("canary"));
}
