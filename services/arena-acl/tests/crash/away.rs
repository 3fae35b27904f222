//! A server that is away for a while: really stopped, and started again.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::{
    Progress,
    kills::finish,
    load::Load,
    stack::Stack,
    table::Row,
    world::{BOUND, Replica, World, eventually},
};

const AWAY: Duration = Duration::from_secs(30);
/// docs/reliability.md section 5.
const NOT_READY_WITHIN: Duration = Duration::from_secs(5);
const READY_WITHIN: Duration = Duration::from_secs(10);
/// The load before and after: rounds of so many records.
const ROUNDS: usize = 10;
const RECORDS: usize = 60;

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    Kafka,
    Postgres,
}

pub(crate) async fn run(stack: &Stack, progress: &Progress, seed: u64, server: Server) -> Row {
    let name = if server == Server::Kafka { "kafka" } else { "postgres" };
    let mut row = Row { faults: 1, ..Row::default() };
    let mut world = World::new(stack).await;
    let mut load = Load::new(seed);
    let replica = world.start(&[]).await;
    for _ in 0..ROUNDS {
        world.produce(load.take(RECORDS)).await;
    }
    eventually("work is done", BOUND, async || world.effects().await > 100).await;
    row.again = world.coming_again().await;
    row.waiting = usize::try_from(world.unpublished().await).unwrap();

    progress.say(&format!("{name} stops"));
    stack.told(name, "stop");
    let stopped = Instant::now();
    if server == Server::Postgres {
        world.produce(load.take(RECORDS)).await;
    }
    let noticed = within("not ready", NOT_READY_WITHIN, &mut row, &replica, 503).await;
    sleep(AWAY.saturating_sub(stopped.elapsed())).await;
    let probes = (replica.probe("/livez").await, replica.probe("/readyz").await);
    if probes != (Some(200), Some(503)) {
        row.problems.push(format!("while it was away, live and ready were answered {probes:?}"));
    }

    progress.say(&format!("{name} starts; not ready after {noticed:.1?}"));
    stack.told(name, "start");
    let back = Instant::now();
    let ready = within("ready again", READY_WITHIN, &mut row, &replica, 200).await;
    progress.say(&format!("ready {ready:.1?} after the return"));
    for _ in 0..ROUNDS {
        world.produce(load.take(RECORDS)).await;
    }
    row.first_effect = Some(back.elapsed());
    let rest = load.rest();
    world.produce(rest).await;
    finish(world, vec![replica], row).await
}

/// Waits for this answer of `/readyz`; too late is a problem.
async fn within(what: &str, limit: Duration, row: &mut Row, replica: &Replica, status: u16) -> Duration {
    let took = eventually(what, BOUND, async || replica.probe("/readyz").await == Some(status)).await;
    if took > limit {
        row.problems.push(format!("{what} after {took:?}"));
    }
    took
}
