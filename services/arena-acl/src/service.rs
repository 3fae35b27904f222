//! The service put together, whatever stands behind its ports: real servers, or memory.

use std::{sync::Arc, time::Duration};

use axum::{Router, http::StatusCode};
use chassis::{
    backoff::{self, Jitter},
    clock::Clock,
    dead_letters::DeadLetters,
    dependency::Dependency,
    listener::Routes,
    metrics::Metrics,
    parts::{Part, Parts},
};
use chrono::TimeDelta;
use domain::{
    arena_acl::{Backoff, Moment, Pass},
    delivery::Class,
};
use kafka::{ConsumeError, Limits, Progress, Publish, Source};
use tokio::{sync::OnceCell, time::sleep};
use tracing::warn;

use crate::{
    OSLO,
    auth::Auth,
    census::{self, Census},
    explain::Chronicle,
    http::{self, Api, Background, Refusal},
    inbox::{Inbox, Outbox, StoreError},
    jobs::Jobs,
    kafka::{Consumer, Fatal},
    leader::{Leader, Leadership},
    letters::{LetterStore, Letters},
    metrics,
    neighbours::Neighbours,
    operations::Operations,
    publisher::{PublishError, Publisher},
    records::{Backfilled, Records, Rules},
    schedule::Schedule,
    settings::{Handling, Redelivery, Topics, UnknownMatch},
    test_mode,
    verify::Audit,
    wake::{Woken, wake},
    wire,
};

/// What a store must be for this service.
pub trait Store:
    Inbox + Outbox + Operations + Woken + Leadership + DeadLetters + LetterStore + Census + Chronicle + Audit
{
    /// Brings the schema up to date. Twice, also at once, is the same as once.
    ///
    /// # Errors
    /// As [`SchemaError`] says.
    fn migrate(&self) -> impl Future<Output = Result<(), SchemaError>> + Send;
}

/// Why the schema could not be brought up to date.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SchemaError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database of the old service is not where our migrations begin (specification 3.9). Nothing was changed.
    #[error("the database is at version {found} of the old service, and only version {wanted} can be taken over")]
    OldVersion {
        /// The version in the database; `none` where none succeeded.
        found: String,
        /// The one that can be taken over.
        wanted: &'static str,
    },
}

impl SchemaError {
    /// Where the failure lies.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Store(error) => error.class,
            Self::OldVersion { .. } => Class::Fatal,
        }
    }
}

/// What the service is made of.
pub struct Wiring<S> {
    /// The store.
    pub store: Arc<S>,
    /// Third parties.
    pub neighbours: Neighbours,
    /// Who checks tokens.
    pub auth: Arc<Auth>,
    /// The time of day.
    pub clock: Clock,
    /// Counted into.
    pub metrics: Metrics,
    /// How messages are handled.
    pub handling: Handling,
    /// Names of the topics.
    pub topics: Topics,
    /// Bounds of the consuming loop.
    pub limits: Limits,
    /// The shortest time between two messages of one key; zero = none (IMP-12).
    pub spacing: Duration,
    /// Whether the schema is brought up to date at start.
    pub migrate: bool,
}

/// The service, before and while it runs.
pub struct Service<S> {
    store: Arc<S>,
    dependency: Dependency,
    records: Arc<Records<S>>,
    jobs: Jobs<S>,
    leader: Arc<Leader<S>>,
    progress: Progress,
    auth: Arc<Auth>,
    clock: Clock,
    metrics: Metrics,
    domain_metrics: metrics::Metrics,
    handling: Handling,
    topics: Topics,
    limits: Limits,
    spacing: Duration,
    /// Done once, waited for by every part that needs the schema.
    schema: OnceCell<()>,
    migrate: bool,
}

/// Why a part ended though nobody stopped it.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The schema could not be brought up to date, and waiting will not help.
    #[error("migration failed")]
    Schema(#[source] SchemaError),
    /// The consuming loop.
    #[error("consuming failed")]
    Consume(#[from] ConsumeError<Fatal>),
    /// The publisher.
    #[error("publishing failed")]
    Publish(#[from] PublishError),
}

impl<S: Store> Service<S> {
    /// The service over what it is made of. Nothing runs yet.
    pub fn new(wiring: Wiring<S>) -> Arc<Self> {
        let Wiring { store, neighbours, auth, clock, metrics, handling, topics, limits, spacing, migrate } = wiring;
        let rules = Rules {
            max_attempts: handling.max_attempts,
            delete_wait: handling.delete_wait,
            backoff: Backoff { least: delta(handling.backoff), most: delta(handling.retry_interval) },
            unknown_match_waits: handling.unknown_match == UnknownMatch::Waits,
            reprocess: handling.redelivery == Redelivery::Reprocess,
            group_topic: topics.group.as_str().into(),
            single_place_topic: topics.single_place.as_str().into(),
        };
        let domain_metrics = metrics::Metrics::new(metrics.clone());
        let records = Arc::new(Records::new(store.clone(), neighbours, clock.clone(), rules, domain_metrics.clone()));
        let dependency = Dependency::new("store", {
            let metrics = metrics.clone();
            move |name, up| metrics.dependency_up(name, up)
        });
        Arc::new(Self {
            jobs: Jobs::new(store.clone(), records.clone(), clock.clone()),
            leader: Arc::new(Leader::new(store.clone(), clock.clone())),
            limits: Limits { workers: handling.workers, ..limits },
            store,
            dependency,
            records,
            progress: Progress::default(),
            auth,
            clock,
            metrics,
            domain_metrics,
            handling,
            spacing,
            topics,
            schema: OnceCell::new(),
            migrate,
        })
    }

    /// Starts the parts that move messages: the consumer of `source`, and the publisher into `producer`.
    pub fn spawn<P: Publish, Q: Source, E>(
        self: &Arc<Self>,
        parts: &mut Parts,
        drain: Duration,
        source: impl FnOnce() -> Result<Q, E> + Send + 'static,
        producer: P,
    ) where
        E: Into<ConsumeError<Fatal>> + Send + 'static,
    {
        let service = self.clone();
        parts.spawn("consumer", drain, |part| async move {
            if !service.has_schema(&part).await? {
                return Ok(());
            }
            let source = source().map_err(Into::into)?;
            service.consume(source, part).await.map_err(ServiceError::from)
        });
        let service = self.clone();
        parts.spawn("publisher", drain, |part| async move {
            if !service.has_schema(&part).await? {
                return Ok(());
            }
            service.publisher(producer, part).run().await.map_err(ServiceError::from)
        });
    }

    /// Starts the part that counts the store for the gauges.
    pub fn spawn_census(self: &Arc<Self>, parts: &mut Parts, drain: Duration) {
        let service = self.clone();
        parts.spawn("census", drain, |part| async move {
            if service.has_schema(&part).await? {
                let Self { store, domain_metrics, clock, topics, handling, .. } = &*service;
                let (store, metrics, clock, topics) =
                    (store.clone(), domain_metrics.clone(), clock.clone(), topics.clone());
                census::count(store, metrics, clock, topics, handling.counting, part).await;
            }
            Ok::<_, ServiceError>(())
        });
    }

    fn publisher<P: Publish>(&self, producer: P, part: Part) -> Publisher<S, P> {
        let Self { store, dependency, clock, metrics, spacing, .. } = self;
        Publisher::new(store.clone(), producer, dependency.clone(), clock.clone(), metrics.clone(), *spacing, part)
    }

    /// Starts the parts that take up again what waits: the jobs by their schedule and what was woken between their runs, and who of several
    /// processes does it. Not in test mode (section 12).
    pub fn spawn_jobs(self: &Arc<Self>, parts: &mut Parts, drain: Duration) {
        let service = self.clone();
        parts.spawn("jobs", drain, |part| async move {
            if !service.has_schema(&part).await? {
                return Ok(());
            }
            part.ready(); // whether records can be handled the consumer says
            let Self { store, jobs, leader, clock, handling, .. } = &*service;
            let schedule = Schedule {
                jobs: jobs.clone(),
                leader: leader.clone(),
                clock: clock.clone(),
                handling: handling.clone(),
                part: part.clone(),
            };
            let woken = wake(store.clone(), jobs.clone(), leader.clone(), clock.clone(), handling.retry_rows, part);
            tokio::join!(schedule.run(), woken);
            Ok::<_, ServiceError>(())
        });
        let service = self.clone();
        // last: the row is given back when no job of this process runs any more
        parts.spawn_last("leader", drain, |part| async move {
            if !service.has_schema(&part).await? {
                return Ok(());
            }
            service.leader.stand(part).await;
            Ok::<_, ServiceError>(())
        });
    }

    async fn consume<Q: Source>(&self, source: Q, part: Part) -> Result<(), ConsumeError<Fatal>> {
        let Self { records, store, dependency, clock, .. } = self;
        let consumer = Consumer::new(records.clone(), store.clone(), dependency.clone(), clock.clone(), part.clone());
        let wiring = kafka::Wiring {
            limits: self.limits.clone(),
            metrics: self.metrics.clone(),
            clock: self.clock.clone(),
            store: self.dependency.clone(),
            progress: self.progress.clone(),
        };
        kafka::consume(source, Arc::new(consumer), wiring, part).await
    }

    /// The routes of the service port.
    pub fn routes(self: &Arc<Self>, in_test_mode: bool) -> Routes {
        let api = Api {
            inbox: self.store.clone(),
            auth: self.auth.clone(),
            jobs: self.jobs.clone(),
            handling: self.handling.clone(),
            single_place_topic: self.records.rules().single_place_topic.clone(),
            clock: self.clock.clone(),
            background: if in_test_mode { Background::No } else { Background::Yes },
        };
        let service = self.clone();
        let internal = if in_test_mode {
            let idle: test_mode::Idle = Arc::new(move || {
                let service = service.clone();
                Box::pin(async move { service.is_idle().await })
            });
            let records = self.records.clone();
            let import: test_mode::Import = Arc::new(move |record| {
                let records = records.clone();
                Box::pin(async move {
                    let item =
                        wire::read(&record).map_err(|_unreadable| Refusal(StatusCode::BAD_REQUEST, "not a record"))?;
                    let imported = records.backfill(std::slice::from_ref(&item)).await?;
                    Ok(imported.into_iter().next().unwrap_or(Backfilled::Skipped))
                })
            });
            test_mode::routes(self.clock.clone(), idle, import)
        } else {
            Router::new()
        };
        http::routes(api, internal)
    }

    /// Whether all that was fetched is settled and committed, nothing waits to leave and no job runs.
    pub async fn is_idle(&self) -> bool {
        self.progress.is_idle()
            && !self.jobs.is_running()
            && self.store.waiting().await.is_ok_and(|waiting| waiting == 0)
    }

    /// The settings of the rules, and the time, for whoever looks at what a job would do.
    pub fn moment(&self) -> Moment {
        self.records.moment(self.clock.local(OSLO), Pass::Retry)
    }

    /// The jobs.
    pub fn jobs(&self) -> &Jobs<S> {
        &self.jobs
    }

    /// The dead letters.
    pub fn letters(&self) -> Arc<Letters<S>> {
        Arc::new(Letters::new(self.store.clone(), self.records.clone(), self.clock.clone()))
    }

    /// The store.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// What handles changes.
    pub fn records(&self) -> &Arc<Records<S>> {
        &self.records
    }

    /// The time of day.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// How messages are handled.
    pub fn handling(&self) -> &Handling {
        &self.handling
    }

    /// Waits until the schema is there; `false` when the stop came first.
    async fn has_schema(&self, part: &Part) -> Result<bool, ServiceError> {
        if !self.migrate {
            return Ok(true);
        }
        let mut jitter = Jitter::random();
        for attempt in 1.. {
            let error = match self.schema.get_or_try_init(|| self.store.migrate()).await {
                Ok(()) => return Ok(true),
                Err(error) if error.class() == Class::Fatal => return Err(ServiceError::Schema(error)),
                Err(error) => error,
            };
            warn!(%error, "the start waits for the database");
            part.not_ready("waits for the database");
            tokio::select! {
                () = part.stopping() => break,
                () = sleep(backoff::pause(attempt, None, &mut jitter)) => {}
            }
        }
        Ok(false)
    }
}

/// More than any clock shows counts as the longest that one does.
fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}
