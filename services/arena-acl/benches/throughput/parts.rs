//! What is measured against what.

use crate::{
    figures::{Figures, Worst},
    limit,
    load::{CHANGES, Load},
    one_by_one, pipe, replay,
    run::Run,
    service::{Ended, Service},
};

/// Changes of the one-by-one loop: it is slow.
const FEW: usize = 1_000;
/// Rows that wait for their courses.
const WAITING: usize = 100_000;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    /// Published changes of participants who are known: ten each.
    Known,
    /// Published changes of participants nobody has asked for yet: one each.
    New,
    /// Changes that are only kept.
    Kept,
    /// Rows that wait, and whose courses come.
    Released,
}

impl Part {
    pub(crate) const ALL: [Self; 4] = [Self::Known, Self::New, Self::Kept, Self::Released];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Known => "known",
            Self::New => "new",
            Self::Kept => "kept",
            Self::Released => "released",
        }
    }

    pub(crate) async fn measure(self, run: &Run, limit_first: bool, figures: &mut Figures) {
        match self {
            Self::Known => known(run, limit_first, figures).await,
            Self::New => new(run, limit_first, figures).await,
            Self::Kept => kept(run, limit_first, figures).await,
            Self::Released => released(run, limit_first, figures).await,
        }
    }
}

async fn known(run: &Run, limit_first: bool, figures: &mut Figures) {
    let (load, few) = (Load::of_known_persons(CHANGES), Load::of_new_persons(FEW));
    let service = async || {
        let mut service = Service::start(run).await;
        service.take(&load.course_records(run)).await;
        let published = service.publish(&load).await;
        let replayed = replay::measure(run, &mut service, &load).await;
        (published, replayed, service.end().await)
    };
    let ((published, replayed, ended), limit) =
        alternate(limit_first, service, async || limit::measure(run, &load).await).await;
    let one_by_one = one_by_one::measure(run, &few).await;
    let rate = figures.rate("known persons", &published, CHANGES);
    let limit = figures.rate("known persons, limit", &limit, CHANGES);
    figures.ratio("known persons / limit", rate, limit, 3);
    let one_by_one = figures.rate("one by one", &one_by_one, FEW);
    figures.ratio("known persons / one by one", rate, one_by_one, 1);
    figures.rate("replay", &replayed, CHANGES);
    end(figures, &ended);
}

async fn new(run: &Run, limit_first: bool, figures: &mut Figures) {
    let load = Load::of_new_persons(CHANGES);
    let service = async || {
        let mut service = Service::start(run).await;
        service.take(&load.course_records(run)).await;
        (service.publish(&load).await, service.end().await)
    };
    let ((published, ended), limit) = alternate(limit_first, service, async || limit::measure(run, &load).await).await;
    let rate = figures.rate("new persons", &published, CHANGES);
    let limit = figures.rate("new persons, limit", &limit, CHANGES);
    figures.ratio("new persons / limit", rate, limit, 3);
    end(figures, &ended);
}

async fn kept(run: &Run, limit_first: bool, figures: &mut Figures) {
    let load = Load::of_new_persons(CHANGES);
    let service = async || {
        let mut service = Service::start(run).await;
        let kept = service.keep(&load).await;
        run.assert_kept(&load).await;
        (kept, service.end().await)
    };
    let ((kept, ended), pipe) = alternate(limit_first, service, async || pipe::measure(run, &load).await).await;
    let rate = figures.rate("kept", &kept, CHANGES);
    let limit = figures.rate("kept, bare pipe", &pipe, CHANGES);
    figures.ratio("kept / bare pipe", rate, limit, 3);
    end(figures, &ended);
}

async fn released(run: &Run, limit_first: bool, figures: &mut Figures) {
    let load = Load::of_new_persons(WAITING);
    let service = async || {
        let mut service = Service::start(run).await;
        let kept = service.keep(&load).await;
        run.assert_kept(&load).await;
        let drained = service.drain(&load).await;
        (kept, drained, service.end().await)
    };
    let ((kept, (drained, first), ended), limit) =
        alternate(limit_first, service, async || limit::of_waiting(run, &load).await).await;
    figures.rate("100,000 kept", &kept, WAITING);
    let rate = figures.rate("100,000 released", &drained, WAITING);
    let limit = figures.rate("100,000 released, limit", &limit, WAITING);
    figures.ratio("released / limit", rate, limit, 3);
    figures.add("first message after its course, ms", first.as_secs_f64() * 1000.0, 0, Worst::Highest);
    end(figures, &ended);
}

fn end(figures: &mut Figures, ended: &Ended) {
    figures.add("peak memory of the service, MiB", ended.peak, 1, Worst::Highest);
    figures.add("start to ready, ms", ended.start.as_secs_f64() * 1000.0, 0, Worst::Highest);
    println!("  peak {:.1} MiB", ended.peak);
}

async fn alternate<A, B>(other_first: bool, one: impl AsyncFnOnce() -> A, other: impl AsyncFnOnce() -> B) -> (A, B) {
    if other_first {
        let other = other().await;
        (one().await, other)
    } else {
        (one().await, other().await)
    }
}
