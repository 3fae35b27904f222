//! `dead-letters …`: the same commands in every service.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use chrono::{DateTime, TimeDelta, Utc};
use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    Filter, LetterId, LettersError, Note, OpenLetters, Show, object, table,
    work::{Verdict, Work, carry_out, rehearse},
};
use crate::{exit::Done, progress::Progress};

/// Letters that are worked on together.
const CHUNK: u32 = 100;
/// Letters whose bytes are held together.
const CONTENTS_CHUNK: u32 = 16;

/// What is done with dead letters.
#[derive(Debug, Subcommand)]
pub enum DeadLetterCommand {
    /// List what waits for a person, by id: a table on a terminal, JSON lines otherwise
    List {
        /// Which are meant.
        #[command(flatten)]
        chosen: Chosen,
        /// At most so many
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
        /// Go on after this id, the last one of the page before
        #[arg(long)]
        after: Option<LetterId>,
        /// JSON lines, also on a terminal
        #[arg(long)]
        json: bool,
    },
    /// Show one with all its fields, as a JSON object
    Show {
        /// Its id, as `list` prints it
        id: LetterId,
        /// With key, headers and payload in Base64. They are about people: mind who looks over your shoulder
        #[arg(long)]
        payload: bool,
    },
    /// Write them out with key, headers and payload in Base64, as JSON lines. They are about people: keep the file safe
    Export {
        /// Which are meant.
        #[command(flatten)]
        chosen: Chosen,
        /// The file to write, which must not exist; standard output without it
        #[arg(long)]
        output: Option<PathBuf>,
    },
    /// Feed them through the service once more, by the ordinary path
    Redrive {
        /// Which are meant.
        #[command(flatten)]
        chosen: Chosen,
        /// Every one that is open
        #[arg(long, conflicts_with_all = ["ids", "reason", "source", "since"])]
        all: bool,
        /// Also those that were redriven five times
        #[arg(long)]
        force: bool,
        /// Say what would be done and do nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Take them off the list without any effect; their bytes are kept
    Drop {
        /// Which are meant.
        #[command(flatten)]
        chosen: Chosen,
        /// Every one that is open
        #[arg(long, conflicts_with_all = ["ids", "reason", "source", "since"])]
        all: bool,
        /// Why, for the log and the letter; nothing about people
        #[arg(long)]
        why: String,
        /// Who you are, for the log and the letter
        #[arg(long)]
        by: String,
        /// Say what would be done and do nothing
        #[arg(long)]
        dry_run: bool,
    },
}

/// Which dead letters are meant; several conditions must hold together.
#[derive(Debug, Args)]
pub struct Chosen {
    /// Ids, as `list` prints them
    ids: Vec<LetterId>,
    /// With this reason
    #[arg(long)]
    reason: Option<String>,
    /// From this source: a topic, a table
    #[arg(long)]
    source: Option<String>,
    /// Given up since then: a time (2025-03-10T12:00:00Z) or a span back from now (90m, 24h, 7d)
    #[arg(long)]
    since: Option<Since>,
}

/// A time, or a span back from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// This time (UTC).
    At(DateTime<Utc>),
    /// So long ago.
    Ago(TimeDelta),
}

/// The text is neither a time nor a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a time (2025-03-10T12:00:00Z) or a span (90m, 24h, 7d)")]
pub struct NoSince;

impl std::str::FromStr for Since {
    type Err = NoSince;

    fn from_str(text: &str) -> Result<Self, NoSince> {
        if let Ok(at) = text.parse::<DateTime<Utc>>() {
            return Ok(Self::At(at));
        }
        let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or(NoSince)?;
        let number: u32 = number.parse().map_err(|_not_a_number| NoSince)?;
        let span = match unit {
            "m" => TimeDelta::try_minutes(number.into()),
            "h" => TimeDelta::try_hours(number.into()),
            "d" => TimeDelta::try_days(number.into()),
            _ => None,
        };
        span.map(Self::Ago).ok_or(NoSince)
    }
}

impl Since {
    /// The time that is meant at `now`.
    #[must_use]
    pub fn at(self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::At(at) => at,
            Self::Ago(span) => now.checked_sub_signed(span).unwrap_or(DateTime::<Utc>::MIN_UTC),
        }
    }
}

impl Chosen {
    fn filter(self, now: DateTime<Utc>) -> Filter {
        let Self { ids, reason, source, since } = self;
        Filter { ids, reason, source, since: since.map(|since| since.at(now)) }
    }
}

/// Why a command on dead letters failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The store failed. What was done stays.
    #[error(transparent)]
    Letters(#[from] LettersError),
    /// The output could not be written.
    #[error("the output cannot be written ({})", .0.kind())]
    Output(#[from] io::Error),
    /// Nothing says which are meant.
    #[error("say which: ids, --reason, --source, --since or --all")]
    NoneChosen,
}

/// In which form results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Table,
    /// For programs: one JSON object a line.
    Lines,
}

/// Carries out `command` at `now` and writes its result to `out`. Done in part when one of what was asked for was not to be had.
///
/// # Errors
/// As [`CommandError`] says.
pub async fn run(
    letters: &impl OpenLetters,
    command: DeadLetterCommand,
    now: DateTime<Utc>,
    form: Form,
    out: &mut (dyn Write + Send),
) -> Result<Done, CommandError> {
    match command {
        DeadLetterCommand::List { chosen, limit, after, json } => {
            let form = if json { Form::Lines } else { form };
            list(letters, &chosen.filter(now), after, limit, form, out).await
        }
        DeadLetterCommand::Show { id, payload } => {
            let filter = Filter { ids: vec![id], ..Filter::default() };
            let show = if payload { Show::Contents } else { Show::Summary };
            match letters.page(&filter, None, 1, show).await?.first() {
                Some(letter) => writeln!(out, "{:#}", object(letter))?,
                None => {
                    writeln!(out, "{}", json!({ "id": id.to_string(), "result": "not_open" }))?;
                    return Ok(Done::InPart);
                }
            }
            Ok(Done::All)
        }
        DeadLetterCommand::Export { chosen, output } => {
            let filter = chosen.filter(now);
            match output {
                // a file that is there may be the only copy of something
                Some(path) => export(letters, filter, &mut io::BufWriter::new(std::fs::File::create_new(path)?)).await,
                None => export(letters, filter, out).await,
            }
        }
        DeadLetterCommand::Redrive { chosen, all, force, dry_run } => {
            let work = Work::Redrive { force };
            work_on(letters, chosen.filter(now), all, dry_run, &work, out).await
        }
        DeadLetterCommand::Drop { chosen, all, why, by, dry_run } => {
            let work = Work::Drop(Note { by, why });
            work_on(letters, chosen.filter(now), all, dry_run, &work, out).await
        }
    }
}

async fn list(
    letters: &impl OpenLetters,
    filter: &Filter,
    after: Option<LetterId>,
    limit: u32,
    form: Form,
    out: &mut (dyn Write + Send),
) -> Result<Done, CommandError> {
    // one more than asked for says whether there are more
    let mut found = letters.page(filter, after, limit.saturating_add(1), Show::Summary).await?;
    let more = found.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    match form {
        Form::Lines => {
            for letter in &found {
                writeln!(out, "{}", object(letter))?;
            }
        }
        Form::Table if found.is_empty() => writeln!(out, "No dead letter waits.")?,
        Form::Table => {
            for line in table(&found) {
                writeln!(out, "{line}")?;
            }
            if let Some(last) = found.last().filter(|_| more) {
                writeln!(out, "There are more: --after {}", last.id)?;
            }
        }
    }
    Ok(Done::All)
}

async fn export(
    letters: &impl OpenLetters,
    filter: Filter,
    out: &mut (dyn Write + Send),
) -> Result<Done, CommandError> {
    let mut progress = Progress::new("exporting dead letters", None);
    let (mut after, mut found) = (None, 0);
    loop {
        let page = letters.page(&filter, after, CONTENTS_CHUNK, Show::Contents).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        for letter in &page {
            writeln!(out, "{}", object(letter))?;
            found += 1;
            progress.add(1);
        }
    }
    out.flush()?;
    Ok(if found < filter.ids.len() { Done::InPart } else { Done::All })
}

async fn work_on(
    letters: &impl OpenLetters,
    filter: Filter,
    all: bool,
    dry_run: bool,
    work: &Work,
    out: &mut (dyn Write + Send),
) -> Result<Done, CommandError> {
    if filter == Filter::default() && !all {
        return Err(CommandError::NoneChosen);
    }
    let mut progress = Progress::new("working on dead letters", None);
    let mut missing = filter.ids.clone();
    let (mut after, mut done, mut not_done) = (None, 0_u64, 0_u64);
    loop {
        let page = letters.page(&filter, after, CHUNK, Show::Summary).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        missing.retain(|id| page.iter().all(|letter| letter.id != *id));
        let verdicts = if dry_run { rehearse(&page, work) } else { carry_out(letters, &page, work).await? };
        for verdict in verdicts {
            writeln!(out, "{}", verdict.object())?;
            *(if verdict.is_done { &mut done } else { &mut not_done }) += 1;
            progress.add(1);
        }
    }
    for id in missing {
        writeln!(out, "{}", Verdict::not_open(id).object())?;
        not_done += 1;
    }
    writeln!(out, "{}", json!({ "done": done, "not_done": not_done, "dry_run": dry_run }))?;
    Ok(if not_done == 0 { Done::All } else { Done::InPart })
}
