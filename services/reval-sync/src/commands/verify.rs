//! `verify`: whether the index is true.

use std::io::{self, IsTerminal as _};

use chassis::{
    exit::{self, Done},
    progress::Progress,
};
use clap::Args;
use serde_json::json;

use crate::{
    shared::{Ports, Shared},
    terminal,
    verify::{Found, Kind, Listener, Mending, Totals, verify},
};

/// How it is looked.
#[derive(Debug, Args)]
pub struct Verify {
    /// Send what repairs it to the queues of the service, as late data, and ask the trainee service about persons on two documents
    #[arg(long)]
    fix: bool,
    /// As JSON lines, for programs; also where the output is no terminal
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run<P: Ports>(shared: &Shared<P>, asked: Verify) -> Result<Done, exit::Error> {
    let json = asked.json || !io::stdout().is_terminal();
    let mut told = Told { json, pass: None, progress: None, done: 0, headed: false };
    let totals = verify(shared, asked.fix, &mut told).await.map_err(exit::Error::failed)?;
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
    pass: Option<(&'static str, u64)>,
    progress: Option<Progress>,
    done: u64,
    headed: bool,
}

impl Listener for Told {
    fn begins(&mut self, pass: &'static str, about: u64) {
        (self.progress, self.done, self.pass) = (None, 0, Some((pass, about)));
    }

    fn seen(&mut self, more: u64) {
        self.done += more;
        let Some((pass, about)) = self.pass else { return };
        match &mut self.progress {
            Some(progress) => progress.add(more),
            None => self.progress.insert(Progress::new(pass, Some(about))).add(self.done),
        }
    }

    fn found(&mut self, found: &Found) {
        if self.json {
            return terminal::print_json(found);
        }
        self.progress = None; // the bar would stand in the line
        if !self.headed {
            self.headed = true;
            terminal::print(&line("KEY", "WHAT", "DOCUMENT", ""));
        }
        terminal::print(&shown(found));
    }
}

fn shown(found: &Found) -> String {
    let Found { key, document, kind, fields, mending } = found;
    let what = match kind {
        Kind::Differs => "differs",
        Kind::Missing => "missing",
        Kind::PersonTwice => "person twice",
        Kind::Unreadable => "unreadable",
    };
    let mending = match mending {
        Mending::ByRun => "only a run mends it",
        Mending::Possible => "--fix would send it",
        Mending::Sent => "sent",
    };
    let fields = fields.join(", ");
    let more: Vec<&str> = [fields.as_str(), mending].into_iter().filter(|text| !text.is_empty()).collect();
    line(key, what, document.as_deref().unwrap_or_default(), &more.join("; "))
}

fn line(key: &str, what: &str, document: &str, more: &str) -> String {
    format!("{key:<22} {what:<13} {document:<14} {more}").trim_end().to_owned()
}

fn summary(totals: &Totals) -> String {
    let Totals { seen, differences, sent } = totals;
    match (differences, sent) {
        (0, _) => format!("no difference; {seen} documents and doctors were looked at"),
        (_, 0) => format!("{differences} differences; {seen} documents and doctors were looked at"),
        (_, _) => format!("{differences} differences, repairs of {sent} sent: the service applies them; look again"),
    }
}
