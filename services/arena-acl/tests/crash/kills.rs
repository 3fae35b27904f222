//! SIGKILL, again and again, under load: at a named failpoint, or at any moment.

use std::{os::unix::process::ExitStatusExt as _, time::Duration};

use testkit::process::ProcessError;
use tokio::time::{Instant, sleep};

use crate::{
    Progress, account,
    load::Load,
    model,
    rng::Rng,
    stack::Stack,
    table::Row,
    world::{BOUND, Replica, SESSION, World},
};

const KILL: i32 = 9;
/// How long after a restart the first effect may take (docs/reliability.md section 5).
const FIRST_EFFECT: Duration = SESSION.saturating_add(Duration::from_secs(5));
/// The load: so many records, so often.
const RECORDS: usize = 3;
const EVERY: Duration = Duration::from_millis(100);
/// A kill comes at the latest so long after a start: later than the wait of a publisher whose predecessor was killed.
const LATEST: u64 = 9_000;

/// When a process is killed.
#[derive(Debug, Clone)]
pub(crate) enum Moment {
    /// The nth time it comes to this place.
    At(&'static str, u64),
    /// So long after its start.
    After(Duration),
}

/// One kill.
#[derive(Debug, Clone)]
pub(crate) struct Kill {
    pub(crate) moment: Moment,
    /// Whether the member has a name by which the group knows it again at once.
    pub(crate) is_static: bool,
}

/// `count` kills at a failpoint, the second half of them of a static member.
pub(crate) fn at(failpoint: &'static str, count: usize, rng: &mut Rng) -> Vec<Kill> {
    let kill = |number| Kill { moment: Moment::At(failpoint, 1 + rng.below(3)), is_static: number >= count / 2 };
    (0..count).map(kill).collect()
}

/// `count` kills at random moments.
pub(crate) fn random(count: usize, is_static: bool, rng: &mut Rng) -> Vec<Kill> {
    let kill = |_| Kill { moment: Moment::After(Duration::from_millis(rng.below(LATEST))), is_static };
    (0..count).map(kill).collect()
}

/// Kills under load, lets the last process finish, and compares with the model.
pub(crate) async fn run(stack: &Stack, progress: &Progress, seed: u64, kills: &[Kill]) -> Row {
    let mut row = Row { faults: kills.len(), ..Row::default() };
    let mut world = World::new(stack).await;
    let mut load = Load::new(seed);
    for (number, kill) in kills.iter().enumerate() {
        progress.say(&format!("kill {} of {}", number + 1, kills.len()));
        let mut settings = Vec::new();
        if kill.is_static {
            settings.push(("KAFKA_GROUP_INSTANCE_ID", "crash".to_owned()));
        }
        if let Moment::At(failpoint, nth) = kill.moment {
            settings.push(("TRUECOPY_FAILPOINT", format!("{failpoint}:{nth}")));
        }
        let before = world.effects().await;
        let mut killed = world.launch(&settings);
        let status = until_killed(&mut world, &mut load, &mut killed, kill, before, &mut row).await;
        if status != Some(KILL) {
            row.problems.push(format!(
                "{:?} was not met: {status:?}, {:?}",
                kill.moment,
                killed.process.output().last()
            ));
            break;
        }
        row.again += world.coming_again().await;
        row.waiting += usize::try_from(world.unpublished().await).unwrap();
    }
    progress.say("the rest");
    let rest = load.rest();
    world.produce(rest).await;
    let last = world.start(&[]).await;
    finish(world, vec![last], row).await
}

/// Keeps the load up until the process is gone; the signal that ended it.
async fn until_killed(
    world: &mut World,
    load: &mut Load,
    killed: &mut Replica,
    kill: &Kill,
    before: i64,
    row: &mut Row,
) -> Option<i32> {
    let mut effect = false;
    loop {
        if let Moment::After(moment) = kill.moment
            && killed.started.elapsed() >= moment
        {
            return killed.process.sigkill().await.unwrap().signal();
        }
        let round = Instant::now();
        world.produce(load.take(RECORDS)).await;
        if !effect && world.effects().await > before {
            effect = true;
            first_effect(row, killed.started.elapsed());
        }
        match killed.process.wait_end(EVERY.saturating_sub(round.elapsed())).await {
            Ok(status) => return status.signal(),
            Err(ProcessError::TooLate { .. }) if killed.started.elapsed() < BOUND => {}
            Err(_) => return None,
        }
    }
}

fn first_effect(row: &mut Row, took: Duration) {
    row.first_effect = row.first_effect.max(Some(took));
    if took > FIRST_EFFECT {
        row.problems.push(format!("the first effect came {took:?} after the restart"));
    }
}

/// Waits until all is done, ends the processes, and adds the account.
pub(crate) async fn finish(world: World, replicas: Vec<Replica>, mut row: Row) -> Row {
    world.settled().await;
    world.retried().await;
    for replica in replicas {
        replica.stop().await;
    }
    sleep(Duration::from_millis(100)).await;
    let model = model::run(&world.produced, &world.names).await;
    row.records = world.produced.len();
    row.account = account::of(&model, &world.state().await, &world.published().await);
    row.judge();
    if row.again + row.account.twice + row.waiting == 0 && row.faults > 0 {
        row.problems.push("void: no fault interrupted anything".to_owned());
    }
    row
}
