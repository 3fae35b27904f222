//! Real servers: RabbitMQ, SQS, the search engine, MongoDB. Each case has names of its own there; those of the engine are fixed, so it is emptied.

mod broker;
mod changes;
mod watched;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use chassis::{
    clock::Clock,
    http::{
        Client,
        transport::{Limits, Reqwest},
    },
    parts::Parts,
    settings,
};
use mongodb::bson::{Bson, Document};
use reval_sync::{
    board::LEASE,
    deliveries::{Queue, Settled},
    handling::{Handling, Roles},
    index::held,
    metrics::Metrics,
    mongo,
    queues::Queues,
    rabbit::Rabbit,
    shared::{Ports, Wiring},
    signals::Outgoing,
    sqs::Sqs,
};
use search::{Engine as _, Http, engine::Error, engine::Query};
use serde_json::Value;
use testkit::{proxy::Proxy, servers, vectors::BadCase};
use tokio::time::sleep;
use url::Url;

use self::{
    broker::{Broker, socket},
    changes::Changes,
    watched::{Ledger, Watched},
};
use crate::{
    given::{self, Given},
    world::{Outside, Pace},
};

/// As a producer that pauses is not taken for one that has ended; short, so that cases are.
const QUIET: Duration = Duration::from_millis(200);
/// The service looks at its run once a second.
const LOOKED: Duration = Duration::from_millis(1_200);
/// It renews its lease every 10 s.
const RENEWED: Duration = Duration::from_secs(11);
const LIMITS: Limits = Limits {
    connect: Duration::from_secs(2),
    read: Duration::from_secs(30),
    total: Duration::from_secs(60),
    answer_bytes: 16 << 20,
};
/// Documents of an index that are compared.
const DOCUMENTS: usize = 10_000;

/// The service over real servers.
#[derive(Debug)]
pub(crate) struct Real;

impl Ports for Real {
    type Engine = Http;
    type Store = mongo::Store;
    type Queues = Watched;
    type Sources = mongo::Sources;
}

/// What stands around the service of one case.
pub(crate) struct Live {
    broker: Broker,
    changes: Changes,
    ledger: Ledger,
    mongo: mongo::Settings,
    client: mongodb::Client,
    store: Arc<mongo::Store>,
    /// The engine itself, and the link over which the service reaches it.
    engine: Http,
    link: Proxy,
    clock: Clock,
    handling: Handling,
    read: Vec<Queue>,
}

impl Outside for Live {
    type Ports = Real;
    type Attached = Proxy;
    const PACE: Pace = Pace {
        settle: Duration::from_millis(1_000),
        idle: Duration::from_secs(60),
        look: Duration::from_millis(15),
        stand_by: Duration::from_millis(50),
        doubt: Duration::from_secs(1),
        retry: Duration::from_secs(8),
    };

    async fn given(given: &Given, mut handling: Handling, clock: Clock) -> Result<Self, BadCase> {
        let broker = Broker::fresh().await?;
        (handling.routes, handling.quiet_period) = (broker.routes(), QUIET);
        let address = servers::search().await;
        let link = Proxy::start(socket(&address)?).map_err(|error| BadCase::because("a link to the engine", &error))?;
        let engine = engine(address)?;
        empty(&engine).await?;
        given::live(&engine, given, &handling, clock.now()).await?;
        let pairs = [("MONGODB_URI", servers::mongodb()), ("MONGODB_DATABASE", servers::unique("reval"))];
        let mongo = settings::read(pairs, mongo::Settings::declare);
        let mongo = mongo.map_err(|error| BadCase::because("settings", &error))?;
        let client = mongo::client(&mongo).await.map_err(|error| BadCase::because("MongoDB", &error))?;
        for (collection, documents) in &given.collections {
            let documents: Vec<Document> = documents.iter().map(document).collect::<Result<_, _>>()?;
            if !documents.is_empty() {
                let into = client.database(&mongo.database).collection::<Document>(collection.name());
                into.insert_many(documents).await.map_err(|error| BadCase::because("MongoDB", &error))?;
            }
        }
        let store = Arc::new(mongo::Store::new(&client, &mongo));
        store.prepare().await.map_err(|error| BadCase::because("MongoDB", &error))?;
        let (changes, ledger, read) = (Changes::fresh().await?, Ledger::default(), queues_of(handling.roles));
        Ok(Self { broker, changes, ledger, mongo, client, store, engine, link, clock, handling, read })
    }

    async fn wiring(&self, parts: &mut Parts) -> Result<(Wiring<Real>, Proxy), BadCase> {
        let of_sqs = self.changes.settings()?;
        let (sqs, rabbit): (Vec<Queue>, Vec<Queue>) =
            self.read.iter().partition(|queue| of_sqs.queues().any(|known| known == **queue));
        let link = self.broker.link()?;
        let queues = Queues::new(Rabbit::new(self.broker.settings(&link)?, &rabbit), Sqs::new(&of_sqs, &sqs).await);
        queues.spawn(parts, Duration::from_secs(8));
        let client = mongo::client(&self.mongo).await.map_err(|error| BadCase::because("MongoDB", &error))?;
        let address = format!("http://127.0.0.1:{}", self.link.port());
        let address = address.parse().map_err(|error| BadCase::because("an address", &error))?;
        let wiring = Wiring {
            engine: Arc::new(engine(address)?),
            store: Arc::new(mongo::Store::new(&client, &self.mongo)),
            queues: Arc::new(Watched::new(queues, self.ledger.clone())),
            sources: Arc::new(mongo::Sources::new(&client, &self.mongo)),
            clock: self.clock.clone(),
            handling: self.handling.clone(),
            metrics: Metrics::new(chassis::metrics::Metrics::new()),
        };
        Ok((wiring, link))
    }

    async fn killed(&self, link: Proxy) {
        link.cut();
        drop(link);
        self.ledger.give_back();
        self.clock.advance(LEASE); // nobody waits for it
    }

    fn store(&self) -> &Arc<mongo::Store> {
        &self.store
    }

    async fn put(&self, queue: Queue, body: Bytes, _redelivered: bool) -> Result<u64, BadCase> {
        let message = self.ledger.next(queue);
        if !self.broker.put(queue, &body, message).await? {
            self.changes.put(queue, &body, message).await?;
        }
        Ok(message)
    }

    fn settled(&self, message: u64) -> Option<Settled> {
        self.ledger.settled(message)
    }

    fn is_carrying(&self) -> bool {
        self.ledger.is_carrying(&self.read)
    }

    async fn pass(&self, time: Duration) {
        sleep(LOOKED).await; // what was done until now is done at the time until now
        self.clock.advance(time);
        sleep(if time > LEASE { RENEWED } else { LOOKED }).await;
    }

    fn set_engine(&self, available: bool) {
        if available {
            self.link.restore();
        } else {
            self.link.cut();
        }
    }

    async fn documents(&self, name: &str) -> Result<Vec<Value>, BadCase> {
        let failed = |error: Error| BadCase::because("the engine", &error);
        match self.engine.refresh(name).await {
            Err(Error::NoIndex(_)) => return Ok(Vec::new()),
            refreshed => refreshed.map_err(failed)?,
        }
        let page = self.engine.search(name, &Query::All, "tcsPersonId", DOCUMENTS, None).await.map_err(failed)?;
        Ok(page.documents.into_iter().map(|document| Value::Object(document.source)).collect())
    }

    async fn published(&self) -> Result<Vec<Outgoing>, BadCase> {
        self.broker.heard().await
    }

    async fn clear(&self) -> Result<(), BadCase> {
        let open = self.ledger.open();
        for queue in &self.read {
            let (waiting, open) = (self.broker.waiting(*queue).await?, open.get(queue).copied().unwrap_or_default());
            if waiting > open {
                return Err(BadCase::new(format!(
                    "{waiting} messages are in {} when the service is gone, and {open} were not settled",
                    queue.name()
                )));
            }
        }
        self.broker.clear().await?;
        let dropped = self.client.database(&self.mongo.database).drop().await;
        dropped.map_err(|error| BadCase::because("MongoDB", &error))
    }
}

/// The queues that a service in these roles reads.
fn queues_of(roles: Roles) -> Vec<Queue> {
    let is_read = |queue: &Queue| match queue {
        Queue::TcsData | Queue::GmcData | Queue::ConnectionLogData | Queue::HiddenDiscrepancyData => roles.indexer,
        Queue::TcsUpdated | Queue::Changes(_) => roles.cdc,
        Queue::GmcStart => roles.exporter,
    };
    Queue::ALL.into_iter().filter(is_read).collect()
}

fn engine(address: Url) -> Result<Http, BadCase> {
    let transport = Reqwest::new(LIMITS).map_err(|error| BadCase::because("the HTTP client", &error))?;
    Ok(Http::new(Client::new(address, Arc::new(transport))))
}

/// Deletes every index that a case may have left.
async fn empty(engine: &Http) -> Result<(), BadCase> {
    let failed = |error: Error| BadCase::because("emptying the engine", &error);
    for name in held(reval_sync::index::Layout::Physical) {
        for index in engine.indices(&format!("{name}*")).await.map_err(failed)? {
            engine.delete(&index.name).await.map_err(failed)?;
        }
    }
    Ok(())
}

/// A document as MongoDB keeps it.
fn document(document: &Value) -> Result<Document, BadCase> {
    let read = Bson::try_from(document.clone()).map_err(|error| BadCase::because("a document", &error))?;
    match read {
        Bson::Document(document) => Ok(document),
        _ => Err(BadCase::new("a document of a collection is no object")),
    }
}
