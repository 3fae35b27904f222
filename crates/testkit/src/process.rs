//! The kill harness: runs a built binary, reads what it says, ends it gently or not.

mod lines;

use std::{
    ffi::OsStr,
    fmt,
    io::{self, Read},
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

use self::lines::Lines;
use crate::http1;

/// How often a process is asked whether it ended or is ready.
const LOOK: Duration = Duration::from_millis(10);
/// How long a killed process may take to be gone.
const KILL: Duration = Duration::from_secs(5);

/// A running binary. Dropped, it is killed, by its own id. Waits are in real time: not for tests with paused time.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    output: Arc<Lines>,
    errors: Arc<Lines>,
}

/// What a process did not do.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It could not be started, asked or signalled.
    #[error("{name} cannot be controlled")]
    Control {
        /// The binary's name.
        name: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It ended before it was ready.
    #[error("{name} ended with {status} while it was waited for; it said last:\n{said}")]
    Ended {
        /// The binary's name.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// Its last lines.
        said: String,
    },
    /// It took too long.
    #[error("{name} was not {what} within {within:?}; it said last:\n{said}")]
    TooLate {
        /// The binary's name.
        name: String,
        /// What it should have become.
        what: &'static str,
        /// How long it had.
        within: Duration,
        /// Its last lines.
        said: String,
    },
}

impl Process {
    /// Starts `binary` with `arguments` and exactly the environment `env`: nothing is inherited.
    ///
    /// # Errors
    /// [`ProcessError::Control`].
    pub fn start<K, V>(
        binary: impl AsRef<Path>,
        env: impl IntoIterator<Item = (K, V)>,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Result<Self, ProcessError>
    where
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        let binary = binary.as_ref();
        let name = binary.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let control = |source| ProcessError::Control { name: name.clone(), source };
        let mut child = Command::new(binary)
            .args(arguments)
            .env_clear()
            .envs(env)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(control)?;
        let (output, errors) = (child.stdout.take(), child.stderr.take());
        let mut process = Self { child, output: Arc::default(), errors: Arc::default(), name: name.clone() };
        process.output = reading(output).map_err(control)?; // from here on a failure kills it
        process.errors = reading(errors).map_err(control)?;
        Ok(process)
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its lines on standard output, oldest first: the newest 4 MiB of them.
    #[must_use]
    pub fn output(&self) -> Vec<String> {
        self.output.all()
    }

    /// Its lines on standard error, likewise.
    #[must_use]
    pub fn errors(&self) -> Vec<String> {
        self.errors.all()
    }

    /// Waits until its admin listener (`http://127.0.0.1:9464`) answers `/readyz` with 200.
    ///
    /// # Errors
    /// It ended, or was not ready within `within`.
    pub async fn wait_ready(&mut self, admin: &str, within: Duration) -> Result<(), ProcessError> {
        let url = format!("{}/readyz", admin.trim_end_matches('/'));
        let until = Instant::now() + within;
        loop {
            if let Some(status) = self.ended()? {
                return Err(ProcessError::Ended { name: self.name.clone(), status, said: self.said() });
            }
            if http1::call("GET", &url, "").await.is_ok_and(|(status, _)| status == 200) {
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(self.too_late("ready", within));
            }
            sleep(LOOK).await;
        }
    }

    /// Lets it do nothing until [`thaw`](Self::thaw), as a machine that hangs: its connections stay open. Twice is the same as once.
    ///
    /// # Errors
    /// [`ProcessError::Control`], also when it has ended.
    pub fn freeze(&mut self) -> Result<(), ProcessError> {
        self.running()?;
        self.signal(Signal::STOP)
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// [`ProcessError::Control`], also when it has ended.
    pub fn thaw(&mut self) -> Result<(), ProcessError> {
        self.running()?;
        self.signal(Signal::CONT)
    }

    /// Asks it to stop and waits until it ended.
    ///
    /// # Errors
    /// It did not end within `within`; it still runs then.
    pub async fn sigterm(&mut self, within: Duration) -> Result<ExitStatus, ProcessError> {
        if self.ended()?.is_none() {
            self.signal(Signal::TERM)?;
        }
        self.wait_end(within).await
    }

    /// Kills it and waits until it is gone. One that ended before keeps the status it ended with.
    ///
    /// # Errors
    /// [`ProcessError::Control`].
    pub async fn sigkill(&mut self) -> Result<ExitStatus, ProcessError> {
        self.child.kill().map_err(|error| self.control(error))?;
        self.wait_end(KILL).await
    }

    /// Waits until it ended by itself, as at a failpoint.
    ///
    /// # Errors
    /// It did not end within `within`; it still runs then.
    pub async fn wait_end(&mut self, within: Duration) -> Result<ExitStatus, ProcessError> {
        let until = Instant::now() + within;
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if Instant::now() >= until {
                return Err(self.too_late("at its end", within));
            }
            sleep(LOOK).await;
        }
    }

    fn ended(&mut self) -> Result<Option<ExitStatus>, ProcessError> {
        self.child.try_wait().map_err(|error| self.control(error))
    }

    fn running(&mut self) -> Result<(), ProcessError> {
        if self.ended()?.is_none() { Ok(()) } else { Err(self.control(io::ErrorKind::NotFound.into())) }
    }

    /// Not for one that was seen to have ended: its id may be another's by then.
    fn signal(&self, signal: Signal) -> Result<(), ProcessError> {
        kill_process(Pid::from_child(&self.child), signal).map_err(|error| self.control(error.into()))
    }

    fn control(&self, source: io::Error) -> ProcessError {
        ProcessError::Control { name: self.name.clone(), source }
    }

    fn too_late(&self, what: &'static str, within: Duration) -> ProcessError {
        ProcessError::TooLate { name: self.name.clone(), what, within, said: self.said() }
    }

    fn said(&self) -> String {
        let mut said = self.output.last(5);
        said.extend(self.errors.last(5));
        said.join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A port on loopback that was free just now. Another process may take it first: start soon, and read the error if it does not start.
///
/// It lies below the ports that systems give to outgoing connections, so none of those can take it meanwhile.
///
/// # Errors
/// No port can be had.
pub fn free_port() -> io::Result<u16> {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 12_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // processes that ask at the same time begin at different places
    let begin = std::process::id().wrapping_mul(101);
    for _ in 0..COUNT {
        let place = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed).into()) % u32::from(COUNT);
        let port = FIRST + u16::try_from(place).unwrap_or_default();
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            bound => return bound.map(|_free| port),
        }
    }
    Err(io::ErrorKind::AddrInUse.into())
}

fn reading(pipe: Option<impl Read + Send + 'static>) -> io::Result<Arc<Lines>> {
    match pipe {
        Some(pipe) => Lines::reading(pipe),
        None => Ok(Arc::default()),
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.id())
    }
}

#[cfg(test)]
mod tests;
