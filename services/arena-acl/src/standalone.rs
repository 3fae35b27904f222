//! The service without any server: memory in their place, and a sample feed that shows what becomes of each record.

mod feed;
mod messages;
mod shown;

use std::{net::SocketAddr, num::NonZeroU32, sync::Arc, time::Duration};

use chassis::{
    admin,
    clock::Clock,
    dead_letters,
    exit::{self, Done},
    http::Client,
    listener,
    metrics::Metrics,
    parts::{Part, Parts, PartsError, stop_signal},
    settings::{self, Slot, Table},
    telemetry,
};
use kafka::{ConsumeError, Limits, memory::Broker};
use tokio::net::TcpListener;
use url::Url;

pub use self::feed::{Feed, Step};
use self::shown::Shown;
use crate::{
    auth::Auth,
    jobs::Rerun,
    kafka::GROUP,
    memory::Memory,
    neighbours::Neighbours,
    scripted::{Script, Stubs},
    service::{Service, Wiring},
    settings::{Calls, Handling, Topics},
    terminal,
};

/// What the demonstration takes from the environment; it needs none of it.
struct Settings {
    telemetry: telemetry::Settings,
    admin: admin::Settings,
    listen: SocketAddr,
    handling: Handling,
    calls: Calls,
}

impl Settings {
    fn declare(table: &mut Table) -> Slot<Self> {
        let telemetry = telemetry::Settings::declare(table);
        let admin = admin::Settings::declare(table);
        let listen = table.value("ARENA_ACL_LISTEN", "where the service port listens").or("127.0.0.1:8080");
        let handling = Handling::declare(table);
        let calls = Calls::declare(table);
        table.all(|ok| Self {
            telemetry: ok.take(telemetry),
            admin: ok.take(admin),
            listen: ok.take(listen),
            handling: ok.take(handling),
            calls: ok.take(calls),
        })
    }
}

/// Why the demonstration could not run, or ended.
#[derive(Debug, thiserror::Error)]
enum StandaloneError {
    #[error("the service port cannot be had")]
    Listen(#[from] std::io::Error),
    #[error("the service ended")]
    Parts(#[from] PartsError),
    #[error("the sample feed cannot be read")]
    Feed(#[from] serde_json::Error),
    #[error("an address of the demonstration cannot be read")]
    Url(#[from] url::ParseError),
}

/// A record was not settled in time.
#[derive(Debug, thiserror::Error)]
#[error("the sample feed came to a halt: {0}")]
struct Halted(String);

pub(crate) async fn run() -> Result<Done, exit::Error> {
    // what happens is shown by the feed; a log in between would only hide it
    let quiet = [("LOG_LEVEL", "off"), ("LOG_FORMAT", "text")];
    let settings = settings::overlay(quiet, Settings::declare)?;
    let _telemetry = telemetry::init(&settings.telemetry, "arena-acl", env!("CARGO_PKG_VERSION"));
    serve(settings).await.map(|()| Done::All).map_err(exit::Error::failed)
}

/// What third parties answer about the sample feed.
///
/// # Errors
/// The file of the sample is not as it should be.
pub fn sample_neighbours() -> Result<Stubs, serde_json::Error> {
    serde_json::from_str(include_str!("../sample/neighbours.json"))
}

async fn serve(settings: Settings) -> Result<(), StandaloneError> {
    let Settings { admin, listen, handling, calls, telemetry: _ } = settings;
    let clock = Clock::system();
    let metrics = Metrics::new();
    let topics = topics();
    let broker = Broker::new(clock.clone());
    for topic in [&topics.courses, &topics.participants, &topics.history, &topics.group, &topics.single_place] {
        broker.create_topic(topic, 4);
    }
    let script = Script::new();
    script.add(&sample_neighbours()?);
    let nobody = Url::parse("http://neighbour.invalid/")?;
    let client = || Client::new(nobody.clone(), script.transport());
    let store = Arc::new(Memory::default());
    let service = Service::new(Wiring {
        store: store.clone(),
        neighbours: Neighbours::new(client(), client(), client(), &calls),
        auth: Arc::new(Auth::new(script.transport(), nobody.clone(), String::new())),
        clock,
        metrics: metrics.clone(),
        spacing: handling.spacing.unwrap_or_default(), // each step is waited for
        handling,
        topics: topics.clone(),
        limits: Limits::default(),
        migrate: false,
    });
    let listener = TcpListener::bind(listen).await?;
    let drain = Duration::from_secs(2);
    let mut parts = Parts::new(stop_signal());
    let health = parts.health();
    let look = [
        format!("http://{}/readyz", admin.listen),
        format!("http://{}/metrics", admin.listen),
        format!("POST http://{}/standalone/messages   (a record of your own)", admin.listen),
        format!("http://{listen}/api/v2/translation/<uuid>   (wants a token: 401)"),
    ];
    let operators = dead_letters::routes::routes(service.letters());
    let added = operators.merge(messages::routes(broker.clone()));
    parts.spawn_last("admin", drain, |part| admin::serve(admin, health, metrics, added, part));
    let routes = service.routes(false);
    parts.spawn("http", drain, |part| listener::serve(listener, routes, part));
    let member = broker.member(GROUP, &topics.inputs());
    service.spawn(&mut parts, drain, || Ok::<_, ConsumeError<_>>(member), broker.clone());
    let feed = Feed::sample()?;
    let shown = Shown::new(store, broker.clone(), &topics);
    parts.spawn("feed", drain, |part| show(service, broker, feed, shown, look, part));
    Ok(parts.run().await?)
}

/// Plays the feed, shows what became of each step, says where to look, and waits for the stop.
async fn show(
    service: Arc<Service<Memory>>,
    broker: Broker,
    feed: Feed,
    mut shown: Shown,
    look: [String; 4],
    part: Part,
) -> Result<(), Halted> {
    part.ready();
    terminal::print("arena-acl, standalone: the broker and the database are memory, third parties are a script.\n");
    let topics = topics();
    for (number, step) in (1..).zip(&feed.steps) {
        let became = if let Some(record) = step.record(&topics) {
            let (partition, offset) =
                broker.append(record.clone(), None).map_err(|error| Halted(format!("step {number}: {error}")))?;
            idle(&service, number).await?;
            shown.record(&record, partition, offset)
        } else {
            let counts = service.jobs().run(Rerun::Retry, NonZeroU32::MIN.saturating_add(999)).await;
            let counts = counts.map_err(|error| Halted(format!("step {number}: {error}")))?;
            idle(&service, number).await?;
            shown.job(counts)
        };
        terminal::print(&format!("{number:>2}. {}", step.say));
        for line in became {
            terminal::print(&format!("      {line}"));
        }
        if part.is_stopping() {
            return Ok(());
        }
    }
    terminal::print("\nWhere to look further, while this runs:");
    for place in look {
        terminal::print(&format!("      {place}"));
    }
    terminal::print("Ctrl-C stops it.");
    part.stopping().await;
    Ok(())
}

async fn idle(service: &Service<Memory>, step: u32) -> Result<(), Halted> {
    let until_idle = async {
        while !service.is_idle().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let late = |_elapsed| Halted(format!("step {step} was not settled within 10 s"));
    tokio::time::timeout(Duration::from_secs(10), until_idle).await.map_err(late)
}

fn topics() -> Topics {
    Topics {
        courses: "gjennomforing".into(),
        participants: "deltaker".into(),
        history: "histdeltaker".into(),
        group: "amt.amt-tiltak-v1".into(),
        single_place: "amt.arena-enkeltplass-deltaker-v1".into(),
    }
}
