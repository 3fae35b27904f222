//! `backfill`: the import of single-place participants from the participant topic (docs/spec/arena-acl.md 4.15).

use std::{collections::BTreeMap, str::FromStr};

use chassis::{exit::Done, parts::stop_signal, progress::Progress};
use clap::Args;

use crate::{
    backfill::{ImportError, Reread, import},
    inbox::Inbox,
    records::Records,
    terminal,
};

/// How far the topic is read.
#[derive(Debug, Args)]
pub struct Backfill {
    /// For each partition its last record, inclusive: `0:10535748,1:10531311`. Partitions that are not named are not read
    #[arg(long, required = true, value_delimiter = ',')]
    until: Vec<Until>,
    /// Begin at the start of the topic, whatever the group has committed
    #[arg(long)]
    from_start: bool,
}

/// The last record of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Until {
    partition: i32,
    offset: i64,
}

impl FromStr for Until {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.trim().split_once(':').and_then(|(partition, offset)| {
            Some(Self { partition: partition.parse().ok()?, offset: offset.parse().ok()? })
        });
        parts.filter(|until| until.partition >= 0 && until.offset >= 0).ok_or("expected partition:offset")
    }
}

impl Backfill {
    /// The last record of each partition; `None` when a partition is named twice.
    pub(crate) fn until(&self) -> Option<BTreeMap<i32, i64>> {
        let until: BTreeMap<i32, i64> = self.until.iter().map(|until| (until.partition, until.offset)).collect();
        (until.len() == self.until.len()).then_some(until)
    }

    /// Where each partition is begun.
    pub(crate) fn begin(&self) -> kafka::reread::Begin {
        if self.from_start { kafka::reread::Begin::Start } else { kafka::reread::Begin::Committed }
    }
}

/// Imports what `source` gives, to its end, to a record that blocks, or to the stop signal.
pub(crate) async fn run<I: Inbox>(records: &Records<I>, source: impl Reread) -> Result<Done, ImportError> {
    let total = source.spans().iter().map(kafka::reread::Span::records).sum();
    let mut progress = Progress::new("backfill", Some(total));
    let imported = import(records, source, stop_signal(), |read| progress.add(read)).await;
    drop(progress);
    let imported = imported?;
    terminal::print_json(&imported);
    Ok(if imported.is_complete() { Done::All } else { Done::InPart })
}
