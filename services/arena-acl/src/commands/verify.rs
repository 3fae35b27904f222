//! `verify`: whether the copy is true.

use std::io::{self, IsTerminal as _};

use chassis::{
    exit::{self, Done},
    progress::Progress,
};
use chrono::TimeDelta;
use clap::Args;
use serde_json::json;

use crate::{
    operations::Mend,
    service::{Service, Store},
    terminal,
    verify::{Difference, Listener, Measure, Mending, Totals, verify},
};

/// How it is looked.
#[derive(Debug, Args)]
pub struct Verify {
    /// Set the newest change of what was found to RETRY, due at once; it is then handled as any other
    #[arg(long)]
    fix: bool,
    /// As JSON lines, for programs; also where the output is no terminal
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run<S: Store>(service: &Service<S>, asked: Verify) -> Result<Done, exit::Error> {
    let json = asked.json || !io::stdout().is_terminal();
    let mend = if asked.fix { Mend::Yes } else { Mend::No };
    // more than any clock shows counts as the longest that one does
    let retry_interval = TimeDelta::from_std(service.handling().retry_interval).unwrap_or(TimeDelta::MAX);
    let measure = Measure { moment: service.moment(), retry_interval };
    let mut told = Told { json, pass: None, progress: None, done: 0, headed: false };
    let totals = verify(service.store(), &measure, mend, &mut told).await.map_err(exit::Error::failed)?;
    drop(told);
    if json {
        terminal::print_json(&json!({ "totals": totals }));
    } else {
        terminal::print(&summary(&totals));
    }
    Ok(if totals.differences == 0 { Done::All } else { Done::InPart })
}

/// Tells what is found at once, and how far the pass has come beside it.
struct Told {
    json: bool,
    pass: Option<(&'static str, Option<u64>)>,
    progress: Option<Progress>,
    done: u64,
    headed: bool,
}

impl Listener for Told {
    fn begins(&mut self, pass: &'static str, about: Option<u64>) {
        self.progress = None;
        self.done = 0;
        self.pass = Some((pass, about));
    }

    fn seen(&mut self, more: u64) {
        self.done += more;
        let Some((pass, about)) = self.pass else { return };
        let begun = match &mut self.progress {
            Some(progress) => return progress.add(more),
            None => self.progress.insert(Progress::new(pass, about)),
        };
        begun.add(self.done);
    }

    fn found(&mut self, difference: &Difference) {
        if self.json {
            return terminal::print_json(difference);
        }
        self.progress = None; // the bar would stand in the line
        if !self.headed {
            self.headed = true;
            terminal::print(&line("KEY", "WHAT", "ROW", ""));
        }
        terminal::print(&shown(difference));
    }
}

fn shown(difference: &Difference) -> String {
    let Difference { key, kind, row, detail, mending } = difference;
    let mending = match mending {
        Mending::No => None,
        Mending::Possible => Some("--fix would queue it"),
        Mending::Queued => Some("queued"),
    };
    let more: Vec<&str> = detail.as_deref().into_iter().chain(mending).collect();
    line(key, kind.words(), row.as_deref().unwrap_or_default(), &more.join("; "))
}

fn line(key: &str, what: &str, row: &str, more: &str) -> String {
    format!("{key:<22} {what:<23} {row:<10} {more}").trim_end().to_owned()
}

fn summary(totals: &Totals) -> String {
    let Totals { seen, differences, queued } = totals;
    match (differences, queued) {
        (0, _) => format!("no difference; {seen} changes, objects and messages were looked at"),
        (_, 0) => format!("{differences} differences; {seen} changes, objects and messages were looked at"),
        (_, _) => format!("{differences} differences, {queued} changes queued: the service that leads handles them"),
    }
}
