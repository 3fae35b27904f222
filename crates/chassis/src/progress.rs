//! How far a long command has come, on standard error: a bar on a terminal, a JSON line every few seconds otherwise.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tokio::time::Instant;

/// The shortest time between two lines.
const SPACING: Duration = Duration::from_secs(5);

/// How far a command has come. Dropped, it leaves no trace on a terminal.
#[derive(Debug)]
pub struct Progress {
    what: &'static str,
    total: Option<u64>,
    done: u64,
    bar: Option<ProgressBar>,
    last_line: Instant,
}

impl Progress {
    /// Begins at 0 of `total`, where that is known.
    #[must_use]
    pub fn new(what: &'static str, total: Option<u64>) -> Self {
        let bar = io::stderr().is_terminal().then(|| match total {
            Some(total) => ProgressBar::new(total)
                .with_style(style("{msg} {wide_bar} {human_pos}/{human_len} {per_sec} ETA {eta}")),
            None => ProgressBar::no_length().with_style(style("{msg} {human_pos} {per_sec}")),
        });
        if let Some(bar) = &bar {
            bar.set_message(what);
        }
        Self { what, total, done: 0, bar, last_line: Instant::now() }
    }

    /// Says that `more` are done.
    pub fn add(&mut self, more: u64) {
        self.done += more;
        match &self.bar {
            Some(bar) => bar.set_position(self.done),
            None if self.last_line.elapsed() >= SPACING => {
                self.last_line = Instant::now();
                let line = json!({ "progress": self.what, "done": self.done, "total": self.total });
                // a closed standard error takes nothing; the result still tells
                writeln!(io::stderr(), "{line}").unwrap_or_default();
            }
            None => {}
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A template that cannot be read is the plain bar.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
