//! The service while it runs: one instance holds the lease, reads the queues and drives runs; the others stand by (14.1 no. 1).

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use chassis::parts::{Part, Parts};
use chrono::TimeDelta;
use futures::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};
use uuid::Uuid;

use crate::{
    active::Seat,
    board::{LEASE, Lease},
    deliveries::{Deliveries as _, Queue},
    intake::Intake,
    letters::OpenOnes,
    live::Live,
    runner::Runner,
    shared::{Ports, Shared, Wiring},
    trouble::{Patience, Trouble},
};

/// How often the lease is renewed (R-RUN-1).
const RENEWAL: Duration = Duration::from_secs(10);
/// How long before its end the lease counts as lost.
const MARGIN: Duration = Duration::from_secs(10);
/// How often a lease that another instance holds is looked at.
const STAND_BY: Duration = Duration::from_secs(1);
/// Of a batch queue at once: its messages are large.
const BATCHES: usize = 2;

/// The service, before and while it runs.
pub struct Service<P: Ports> {
    /// What its parts share.
    pub shared: Arc<Shared<P>>,
    intake: Arc<Intake<P>>,
    live: Arc<Live<P>>,
    seat: Arc<Seat>,
    owner: String,
}

impl<P: Ports> Service<P> {
    /// The service over what it is made of. Nothing runs yet.
    #[must_use]
    pub fn new(wiring: Wiring<P>) -> Arc<Self> {
        let shared = Shared::new(wiring);
        let (live, seat) = (Arc::new(Live::new(Arc::clone(&shared))), Arc::<Seat>::default());
        let intake = Arc::new(Intake::new(Arc::clone(&shared), Arc::clone(&live), Arc::clone(&seat)));
        let owner = Uuid::new_v4().to_string();
        Arc::new(Self { shared, intake, live, seat, owner })
    }

    /// Starts the part that does the work.
    pub fn spawn(self: &Arc<Self>, parts: &mut Parts, drain: Duration) {
        let service = Arc::clone(self);
        parts.spawn("worker", drain, |part| async move {
            service.work(&part).await;
            Ok::<_, std::convert::Infallible>(())
        });
    }

    /// Takes messages in.
    #[must_use]
    pub fn intake(&self) -> &Arc<Intake<P>> {
        &self.intake
    }

    /// The dead letters.
    #[must_use]
    pub fn letters(&self) -> OpenOnes<P> {
        OpenOnes::new(Arc::clone(&self.shared), Arc::clone(&self.intake))
    }

    /// Whether this instance holds the lease and has begun to work.
    #[must_use]
    pub fn is_working(&self) -> bool {
        self.shared.working.load(Ordering::SeqCst)
    }

    /// Whether this instance works and nothing is under way, but for what waits for something that is down.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.is_working() && self.shared.work.is_idle()
    }

    async fn work(&self, part: &Part) {
        part.ready();
        while !part.is_stopping() {
            tokio::select! {
                () = part.stopping() => break,
                epoch = self.acquire() => {
                    let lost = tokio::select! {
                        () = part.stopping() => None,
                        trouble = self.hold(epoch) => Some(trouble),
                    };
                    self.let_go().await;
                    match lost {
                        Some(trouble) => warn!(epoch, "this instance works no longer: {trouble}"),
                        None => self.give_back(epoch).await,
                    }
                }
            }
        }
    }

    /// Waits until this instance has the lease.
    async fn acquire(&self) -> u64 {
        let mut patience = Patience::default();
        loop {
            let now = self.shared.clock.now();
            let until = now + TimeDelta::from_std(LEASE).unwrap_or_default();
            let taken = self.shared.desk.change(|board| {
                let epoch = match &board.lease {
                    Some(lease) if lease.owner.is_some() && lease.expires_at > now => return Err(()),
                    Some(lease) => lease.epoch + 1,
                    None => 1,
                };
                board.lease = Some(Lease { owner: Some(self.owner.clone()), epoch, expires_at: until });
                Ok(epoch)
            });
            match taken.await {
                Ok(Ok(epoch)) => {
                    info!(epoch, "this instance works from now on");
                    return epoch;
                }
                Ok(Err(())) => sleep(STAND_BY).await,
                Err(error) => {
                    warn!(%error, "the lease cannot be asked for: {error}");
                    sleep(patience.pause()).await;
                }
            }
        }
    }

    /// Works until the lease is lost.
    async fn hold(&self, epoch: u64) -> Trouble {
        let runner = Runner::new(Arc::clone(&self.shared), Arc::clone(&self.live), Arc::clone(&self.seat), epoch);
        self.shared.working.store(true, Ordering::SeqCst);
        // stage data of a run is taken in also while the engine is away
        tokio::select! {
            trouble = self.renew(epoch) => trouble,
            ended = runner.run() => ended.err().unwrap_or(Trouble::Lost),
            trouble = self.read_all() => trouble,
        }
    }

    /// Renews the lease until that cannot be done in time.
    async fn renew(&self, epoch: u64) -> Trouble {
        let mut renewed = Instant::now();
        loop {
            sleep(RENEWAL).await;
            let attempt = Instant::now();
            let left = (LEASE - MARGIN).saturating_sub(renewed.elapsed());
            let now = self.shared.clock.now();
            let until = now + TimeDelta::from_std(LEASE).unwrap_or_default();
            let renewal = self.shared.desk.change_as(epoch, |board| {
                if let Some(lease) = &mut board.lease {
                    lease.expires_at = until;
                }
            });
            match timeout(left, renewal).await {
                Ok(Ok(())) => renewed = attempt,
                Ok(Err(error)) => {
                    let trouble = Trouble::from(error);
                    if matches!(trouble, Trouble::Lost) || renewed.elapsed() + RENEWAL >= LEASE - MARGIN {
                        return Trouble::Lost;
                    }
                    warn!("the lease is not renewed yet: {trouble}");
                }
                Err(_elapsed) => return Trouble::Lost,
            }
        }
    }

    async fn let_go(&self) {
        self.shared.working.store(false, Ordering::SeqCst);
        self.shared.queues.leave().await;
        *self.seat.active.lock().await = None;
        self.seat.resume().await;
        self.live.look_again().await;
    }

    /// Another instance may take the lease at once.
    async fn give_back(&self, epoch: u64) {
        let now = self.shared.clock.now();
        let given = self.shared.desk.change_as(epoch, |board| {
            if let Some(lease) = &mut board.lease {
                (lease.owner, lease.expires_at) = (None, now);
            }
        });
        if let Err(error) = given.await {
            warn!(%error, "the lease could not be given back: {error}");
        }
    }

    async fn read_all(&self) -> Trouble {
        let mut readers = FuturesUnordered::<BoxFuture<'_, Trouble>>::new();
        for queue in self.shared.queues.queues() {
            if self.is_read(queue) {
                readers.push(Box::pin(self.read(queue)));
            }
        }
        match readers.next().await {
            Some(trouble) => trouble,
            None => std::future::pending().await, // no queue is read here
        }
    }

    fn is_read(&self, queue: Queue) -> bool {
        let roles = self.shared.handling.roles;
        match queue {
            Queue::TcsData | Queue::GmcData | Queue::ConnectionLogData | Queue::HiddenDiscrepancyData => roles.indexer,
            Queue::TcsUpdated | Queue::Changes(_) => roles.cdc,
            Queue::GmcStart => roles.exporter,
        }
    }

    /// Reads a queue until the lease is lost. What could not be done is tried again; nothing else of the queue is taken meanwhile.
    async fn read(&self, queue: Queue) -> Trouble {
        let queues = &self.shared.queues;
        let limit = match queue {
            Queue::GmcData | Queue::ConnectionLogData | Queue::HiddenDiscrepancyData => BATCHES,
            _ => self.shared.handling.take.max(1),
        };
        let mut patience = Patience::default();
        loop {
            let deliveries = match queues.receive(queue, limit).await {
                Ok(deliveries) => deliveries,
                Err(error) => {
                    let _busy = self.shared.work.begin();
                    self.shared.rest("receiving", &error.into(), &mut patience).await;
                    continue;
                }
            };
            patience = Patience::default();
            let _busy = self.shared.work.begin();
            let bodies: Vec<_> = deliveries.iter().map(|delivery| delivery.body.clone()).collect();
            let (metrics, begun) = (&self.shared.metrics, Instant::now());
            deliveries.iter().for_each(|_| metrics.received(queue));
            let settled = match self.shared.patiently("taking messages in", || self.intake.step(queue, &bodies)).await {
                Ok(settled) => settled,
                Err(trouble) => return trouble,
            };
            metrics.handled(queue, begun.elapsed());
            let now = self.shared.clock.now();
            for (delivery, settled) in deliveries.iter().zip(&settled) {
                let age = delivery.sent_at.and_then(|at| (now - at).to_std().ok());
                metrics.settled(queue, *settled, age);
            }
            let settled: Vec<_> = deliveries.into_iter().map(|delivery| delivery.receipt).zip(settled).collect();
            if let Err(error) = queues.settle(queue, &settled).await {
                warn!(%error, queue = queue.name(), "deliveries of {} come again: {error}", queue.name());
            }
        }
    }
}
