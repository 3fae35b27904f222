//! The one table of a run: a row for each fault, for people and as JSON lines.

use std::{fmt::Write as _, time::Duration};

use serde_json::{Value, json};

use crate::account::Account;

/// What one fault run came to.
#[derive(Debug, Default)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) faults: usize,
    /// Records produced, copies included.
    pub(crate) records: usize,
    pub(crate) account: Account,
    /// Records with a durable effect that were delivered again.
    pub(crate) again: usize,
    /// Committed messages that had not left when a fault came.
    pub(crate) waiting: usize,
    /// The longest that the first effect took after a restart.
    pub(crate) first_effect: Option<Duration>,
    pub(crate) took: Duration,
    pub(crate) problems: Vec<String>,
}

const HEAD: [&str; 14] = [
    "faults",
    "records",
    "messages",
    "dead",
    "superseded",
    "again",
    "waiting",
    "twice",
    "lost",
    "doubled",
    "disorder",
    "strange",
    "differs",
    "first",
];

impl Row {
    pub(crate) fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    /// Adds what the account says.
    pub(crate) fn judge(&mut self) {
        let balance = &self.account.balance;
        let kinds = [
            ("lost", &balance.lost),
            ("doubled", &balance.doubled),
            ("out of order", &balance.disordered),
            ("strange", &balance.strange),
            ("differs", &self.account.differs),
        ];
        for (kind, ids) in kinds {
            self.problems.extend(ids.iter().take(3).map(|id| format!("{kind}: {id}")));
        }
    }

    fn counts(&self) -> [usize; 13] {
        let Account { balance, twice, superseded, differs } = &self.account;
        [
            self.faults,
            self.records,
            balance.effects,
            balance.dead_letters,
            *superseded,
            self.again,
            self.waiting,
            *twice,
            balance.lost.len(),
            balance.doubled.len(),
            balance.disordered.len(),
            balance.strange.len(),
            differs.len(),
        ]
    }

    pub(crate) fn json(&self) -> Value {
        let mut line = json!({
            "run": self.name, "clean": self.is_clean(), "first_effect_seconds": self.first_effect.map(|took| took.as_secs_f64()),
            "seconds": self.took.as_secs(), "problems": self.problems,
        });
        for (name, count) in HEAD.iter().zip(self.counts()) {
            line[*name] = count.into();
        }
        line
    }
}

/// The table.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = format!("{:<40}", "run");
    for name in HEAD {
        write!(text, "{name:>11}").unwrap();
    }
    writeln!(text, "{:>6}  verdict", "s").unwrap();
    for row in rows {
        write!(text, "{:<40}", row.name).unwrap();
        for count in row.counts() {
            write!(text, "{count:>11}").unwrap();
        }
        let first = row.first_effect.map_or_else(|| "-".to_owned(), |took| format!("{:.1} s", took.as_secs_f64()));
        let verdict = if row.is_clean() { "clean" } else { "NOT CLEAN" };
        writeln!(text, "{first:>11}{:>6}  {verdict}", row.took.as_secs()).unwrap();
    }
    text
}
