//! What the process says while it runs: one line per event, and spans to a collector of traces.

mod json_lines;
mod quiet;

#[cfg(test)]
mod tests;

use std::{
    io::{self, Write as _},
    panic::{self, PanicHookInfo},
};

use tracing::{error, info, level_filters::LevelFilter};
use tracing_subscriber::{EnvFilter, Layer as _, fmt::MakeWriter, layer::SubscriberExt as _};

use self::json_lines::JsonLines;
pub use self::quiet::Quiet;
use crate::{
    exit::{self, Done},
    settings::{InForce, Setting, Slot, Table},
    trace,
};

/// How much is said, and in which form.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What is said.
    pub filter: Filter,
    /// The form of a line.
    pub format: Format,
    /// Whether and where traces are exported.
    pub traces: trace::Settings,
    /// Said once, at the start.
    pub in_force: InForce,
}

impl Settings {
    /// `LOG_LEVEL`, `LOG_FORMAT`, and what says where traces go.
    pub fn declare(table: &mut Table) -> Slot<Self> {
        let filter = table.value("LOG_LEVEL", "what is logged").or("info");
        let format = table.value("LOG_FORMAT", "the form of a log line").or("json");
        let traces = trace::Settings::declare(table);
        let in_force = table.in_force();
        table.all(|ok| Self { filter: ok.take(filter), format: ok.take(format), traces: ok.take(traces), in_force })
    }
}

/// A filter of events by level and, where it says so, by target.
#[derive(Debug, Clone)]
pub struct Filter(String);

impl Setting for Filter {
    const EXPECTS: &'static str = "a level (error, warn, info, debug, trace, off) or a list of target=level";

    fn parse(text: &str) -> Option<Self> {
        EnvFilter::builder().parse(text).ok().map(|_| Self(text.to_owned()))
    }
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line, for machines.
    Json,
    /// One sentence a line, for people.
    Text,
}

impl Setting for Format {
    const EXPECTS: &'static str = "json or text";

    fn parse(text: &str) -> Option<Self> {
        match text {
            "json" => Some(Self::Json),
            "text" => Some(Self::Text),
            _ => None,
        }
    }
}

/// Telemetry that is running, until it is [closed](Self::close).
#[must_use = "close it with what ended the process"]
#[derive(Debug)]
pub struct Telemetry {
    traces: Option<trace::Exporting>,
}

/// Starts telemetry for the process: log lines, panics among them, and traces where the settings ask for them. Says once what runs and
/// with which settings.
///
/// A second call in one process changes nothing; the first stays. With traces it must be called inside a tokio runtime.
pub fn init(settings: &Settings, service: &'static str, version: &'static str) -> Telemetry {
    if !begin(settings, service, io::stdout) {
        return Telemetry { traces: None };
    }
    info!(version, settings = %settings.in_force.to_json(), "{service} {version} starts");
    Telemetry { traces: trace::Exporting::start(&settings.traces, service, version) }
}

/// Starts telemetry for a command, whose result goes to standard output: log lines on standard error, none at the start,
/// and no traces.
pub fn beside_output(settings: &Settings, service: &'static str) {
    begin(settings, service, io::stderr);
}

fn begin<W>(settings: &Settings, service: &'static str, writer: W) -> bool
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).parse_lossy(&settings.filter.0);
    let lines = match settings.format {
        Format::Json => JsonLines::new(service, writer).boxed(),
        Format::Text => tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(false).boxed(),
    };
    let subscriber = tracing_subscriber::registry().with(lines.with_filter(filter));
    let is_first = tracing::subscriber::set_global_default(subscriber).is_ok();
    if is_first {
        panic::set_hook(Box::new(log_panic));
    }
    is_first
}

impl Telemetry {
    /// Logs how the process ended, a failure with all its causes, and writes out what is not yet written.
    ///
    /// # Errors
    /// [`exit::Error::Logged`] for a failure, with its exit code: it needs no second telling.
    pub fn close(self, result: Result<Done, impl Into<exit::Error>>) -> Result<Done, exit::Error> {
        let told = match result {
            Ok(done) => {
                info!("{}", if done == Done::All { "done" } else { "done in part" });
                Ok(done)
            }
            Err(error) => {
                let error = error.into();
                error!("{}", exit::causes(&error));
                Err(exit::Error::Logged(error.code()))
            }
        };
        if let Some(traces) = self.traces {
            traces.end();
        }
        // a closed standard output takes nothing more; the exit code still tells
        io::stdout().flush().unwrap_or_default();
        told
    }
}

/// Logs where a panic happened. Its message only when it is a literal of the program: any other may quote data.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    let text = panic.payload().downcast_ref::<&'static str>().copied().unwrap_or("its message may quote data");
    error!(location, "panicked: {text}");
}
