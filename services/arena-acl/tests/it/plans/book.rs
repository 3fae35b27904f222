//! The plans of the statements, one by one, with what may be said of each, and as a table.

use std::{collections::BTreeSet, fmt::Write as _};

use super::recorder::{Plan, Recorder};

/// What a statement may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    /// What it is about, by indexes: no large table from end to end, and not many more rows than it needs.
    Few,
    /// The same, though what it is about may be many rows.
    ByIndex,
    /// As much as it needs: a command over a whole table.
    Whole,
}

/// Rows that a statement over a batch or a page may look at: what it needs is at most a tenth.
const FEW: f64 = 20_000.0;
/// Courses are few: to read all of them takes as long as some hundred lookups.
const SMALL: &str = "gjennomforing";

/// Plans, in the order in which the statements ran.
pub(crate) struct Book {
    recorder: Recorder,
    statistics: &'static str,
    lines: Vec<String>,
    problems: Vec<String>,
}

impl Book {
    pub(crate) fn new(recorder: Recorder) -> Self {
        let head = [
            "| what | statistics | statement | plan | rows | looked at | ms | buffers hit / read | temp |",
            "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        ];
        Self { recorder, statistics: "yes", lines: head.map(str::to_owned).to_vec(), problems: Vec::new() }
    }

    /// Whether the planner knows the tables from here on.
    pub(crate) fn statistics(&mut self, statistics: &'static str) {
        self.statistics = statistics;
    }

    /// Runs `work`, and notes the plans of its statements.
    pub(crate) async fn note<T>(&mut self, what: &str, reads: Reads, work: impl Future<Output = T>) -> T {
        drop(self.recorder.take());
        let done = work.await;
        let plans = self.recorder.take();
        assert!(!plans.is_empty(), "{what}: no statement was heard");
        for plan in plans {
            // statements that read no table of ours: locks, settings of a session
            if plan.root.all().iter().all(|node| node.relation.is_none()) {
                continue;
            }
            let scanned = || {
                plan.root
                    .all()
                    .into_iter()
                    .filter(|node| node.kind == "Seq Scan" && node.relation.as_deref() != Some(SMALL))
            };
            let too_much = match reads {
                Reads::Few => scanned().count() > 0 || plan.root.looked_at(SMALL) > FEW,
                Reads::ByIndex => scanned().count() > 0,
                Reads::Whole => false,
            };
            if too_much {
                self.problems.push(format!("{what}, statistics {}: {}", self.statistics, plan.line()));
            }
            self.lines.push(format!("| {what} | {} | {} |", self.statistics, plan.line()));
        }
        done
    }

    /// The table, and what is wrong with it.
    pub(crate) fn end(self) -> (String, Vec<String>) {
        (self.lines.join("\n"), self.problems)
    }
}

impl Plan {
    fn line(&self) -> String {
        let text = self.text.split_whitespace().collect::<Vec<_>>().join(" ");
        let short: String = text.chars().take(72).map(|char| if char == '|' { '/' } else { char }).collect();
        let mut nodes = String::new();
        let mut seen = BTreeSet::new();
        for node in self.root.all() {
            let object = node.index.as_deref().or(node.relation.as_deref()).unwrap_or_default();
            let name = format!("{} {object}", node.operation.as_deref().unwrap_or(&node.kind)).trim_end().to_owned();
            if seen.insert(name.clone()) {
                write!(nodes, "{}{name}", if nodes.is_empty() { "" } else { " < " }).unwrap();
            }
        }
        let root = &self.root;
        format!(
            "`{short}` | {nodes} | {} | {} | {:.1} | {} / {} | {}",
            root.done(),
            root.looked_at(""),
            root.time,
            root.hit,
            root.read,
            root.temp
        )
    }
}
