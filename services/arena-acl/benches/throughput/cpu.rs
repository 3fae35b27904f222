//! Processor time by process: what is shared with others on the machine moves it far less than the clock.

use std::{fs, ops::Sub};

use sqlx::PgPool;

use crate::run::Run;

/// Of `/proc/…/stat`, where times are counted in these units.
const TICKS_PER_SECOND: f64 = 100.0;

/// Seconds that each of the processes had a core, kernel included.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cpu {
    /// The server, with those of its processes that have ended.
    pub(crate) postgres: f64,
    pub(crate) kafka: f64,
    /// 0 where the service does not run.
    pub(crate) service: f64,
    /// The third parties.
    pub(crate) stub: f64,
    /// The rest of this process.
    pub(crate) bench: f64,
}

impl Cpu {
    pub(crate) async fn now(run: &Run, service: Option<u32>) -> Self {
        let stub = own_threads("stub");
        Self {
            postgres: postgres(&run.pool).await,
            kafka: of_process(run.broker, false),
            service: service.map_or(0.0, |service| of_process(service, false)),
            stub,
            bench: of_process(std::process::id(), false) - stub,
        }
    }

    pub(crate) fn each(&self) -> [(&'static str, f64); 5] {
        let Self { postgres, kafka, service, stub, bench } = *self;
        [("postgres", postgres), ("kafka", kafka), ("service", service), ("stub", stub), ("bench", bench)]
    }

    pub(crate) fn all(&self) -> f64 {
        self.each().iter().map(|(_, seconds)| seconds).sum()
    }
}

impl Sub for Cpu {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            postgres: self.postgres - before.postgres,
            kafka: self.kafka - before.kafka,
            service: self.service - before.service,
            stub: self.stub - before.stub,
            bench: self.bench - before.bench,
        }
    }
}

async fn postgres(pool: &PgPool) -> f64 {
    let session: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(pool).await.unwrap();
    let server = parent(u32::try_from(session).unwrap()).unwrap();
    let living: f64 =
        processes().filter(|process| parent(*process) == Some(server)).map(|id| of_process(id, false)).sum();
    living + of_process(server, true)
}

fn processes() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn own_threads(name: &str) -> f64 {
    let threads = fs::read_dir("/proc/self/task").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    let named = threads.filter(|path| fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.trim_end() == name));
    named.filter_map(|path| seconds(&fs::read_to_string(path.join("stat")).ok()?, false)).sum()
}

/// 0 for one that is gone.
fn of_process(id: u32, with_ended_children: bool) -> f64 {
    fs::read_to_string(format!("/proc/{id}/stat"))
        .ok()
        .and_then(|stat| seconds(&stat, with_ended_children))
        .unwrap_or(0.0)
}

fn parent(id: u32) -> Option<u32> {
    fields(&fs::read_to_string(format!("/proc/{id}/stat")).ok()?).get(1)?.parse().ok()
}

fn seconds(stat: &str, with_ended_children: bool) -> Option<f64> {
    let counted = if with_ended_children { 11..15 } else { 11..13 };
    fields(stat)
        .get(counted)?
        .iter()
        .map(|ticks| ticks.parse::<f64>().ok())
        .sum::<Option<f64>>()
        .map(|ticks| ticks / TICKS_PER_SECOND)
}

/// Those after the name, which may hold blanks: the first is the state.
fn fields(stat: &str) -> Vec<&str> {
    stat.rsplit_once(") ").map_or_else(Vec::new, |(_, rest)| rest.split(' ').collect())
}

/// The process that listens on `port` of loopback.
pub(crate) fn listener(port: u16) -> Option<u32> {
    const LISTENS: &str = "0A";
    let sockets: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .flat_map(|table| fs::read_to_string(table).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>())
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let listens = fields.get(1)?.ends_with(&format!(":{port:04X}")) && *fields.get(3)? == LISTENS;
            listens.then(|| format!("socket:[{}]", fields[9]))
        })
        .collect();
    processes().find(|process| {
        fs::read_dir(format!("/proc/{process}/fd")).is_ok_and(|files| {
            files.flatten().any(|file| {
                fs::read_link(file.path())
                    .is_ok_and(|to| sockets.iter().any(|socket| to.as_os_str() == socket.as_str()))
            })
        })
    })
}
