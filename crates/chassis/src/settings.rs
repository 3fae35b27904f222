//! Settings, declared once: the same declaration reads them, reports what is wrong with them and documents them.
//!
//! A service declares its settings in one function that takes a [`Table`] and returns a [`Slot`]. [`load`] runs it over the process
//! environment, [`read`] over pairs that a test gives, [`describe`] over nothing at all.
//!
//! - A value that is empty counts as not set. Values lose the white space around them; secrets do not.
//! - A secret may stand in a file that `NAME_FILE` names; one line end at the end of the file is dropped. Both at once is a problem.
//! - Every problem is reported, by name and with what is expected; no text of this module ever holds a value of a secret, and no problem
//!   holds any value.
//!
//! ```
//! use chassis::settings::{self, Slot, Table};
//! use std::{num::NonZeroU32, time::Duration};
//!
//! struct Settings {
//!     pause: Duration,
//!     rows: NonZeroU32,
//! }
//!
//! fn declare(table: &mut Table) -> Slot<Settings> {
//!     let pause = table.seconds("RETRY_PAUSE_SECONDS", "pause between two retry runs").or("600");
//!     let rows = table.value("RETRY_ROWS", "rows on one page of a retry run").or("5000");
//!     table.all(|ok| Settings { pause: ok.take(pause), rows: ok.take(rows) })
//! }
//!
//! let problems = settings::read([("RETRY_ROWS", "0")], declare).map(|_| ()).unwrap_err();
//! assert_eq!(problems.to_string(), "RETRY_ROWS is not a whole number from 1 to 4294967295");
//! ```

mod describe;
mod entry;
mod in_force;
mod problems;
mod source;
mod values;

#[cfg(test)]
mod tests;

use std::time::Duration;

use secrecy::SecretString;

pub use self::{
    describe::{Row, markdown},
    entry::Entry,
    in_force::InForce,
    problems::{Problem, Problems},
    values::Setting,
};
use self::{source::Source, values::Reader};

/// Reads the settings of `declare` from the process environment.
///
/// # Errors
/// Every problem at once: what is missing, what is not readable, what breaks a rule, what has the service's prefix and is no setting.
pub fn load<T>(declare: impl FnOnce(&mut Table) -> Slot<T>) -> Result<T, Problems> {
    Table::reading(Source::environment()).finish(declare)
}

/// Reads the settings of `declare` from `pairs` alone; of a name given twice the last counts.
///
/// # Errors
/// As [`load`].
pub fn read<T>(
    pairs: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
    declare: impl FnOnce(&mut Table) -> Slot<T>,
) -> Result<T, Problems> {
    Table::reading(Source::pairs(pairs)).finish(declare)
}

/// Reads the settings of `declare` from the process environment and, where that says nothing of a setting, from `defaults`.
///
/// # Errors
/// As [`load`].
pub fn overlay<T>(
    defaults: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
    declare: impl FnOnce(&mut Table) -> Slot<T>,
) -> Result<T, Problems> {
    Table::reading(Source::environment().over(Source::pairs(defaults))).finish(declare)
}

/// The rows of `declare`, in the order of declaration. Nothing is read.
pub fn describe<T>(declare: impl FnOnce(&mut Table) -> Slot<T>) -> Vec<Row> {
    let mut table = Table::new(None);
    drop(declare(&mut table));
    table.rows
}

/// The one table of a service's settings.
#[derive(Debug)]
pub struct Table {
    /// `None` while the table is only described.
    source: Option<Source>,
    rows: Vec<Row>,
    prefixes: Vec<&'static str>,
    problems: Vec<Problem>,
    in_force: InForce,
}

impl Table {
    fn new(source: Option<Source>) -> Self {
        Self { source, rows: Vec::new(), prefixes: Vec::new(), problems: Vec::new(), in_force: InForce::default() }
    }

    fn reading(source: Source) -> Self {
        Self::new(Some(source))
    }

    /// Declares a setting with one value.
    pub fn value<T: Setting>(&mut self, name: &'static str, doc: &'static str) -> Entry<'_, T> {
        Entry::new(self, name, doc, Reader::of_one())
    }

    /// Declares a setting with values separated by commas; an empty item is not readable.
    pub fn list<T: Setting>(&mut self, name: &'static str, doc: &'static str) -> Entry<'_, Vec<T>> {
        Entry::new(self, name, doc, Reader::of_list())
    }

    /// Declares a secret, which may stand in the file that `NAME_FILE` names.
    pub fn secret(&mut self, name: &'static str, doc: &'static str) -> Entry<'_, SecretString> {
        Entry::new(self, name, doc, Reader::of_secret())
    }

    /// Declares a duration in whole seconds.
    pub fn seconds(&mut self, name: &'static str, doc: &'static str) -> Entry<'_, Duration> {
        Entry::new(self, name, doc, Reader::of_seconds())
    }

    /// Declares a duration in whole milliseconds.
    pub fn millis(&mut self, name: &'static str, doc: &'static str) -> Entry<'_, Duration> {
        Entry::new(self, name, doc, Reader::of_millis())
    }

    /// Makes every variable that begins with `prefix` and is no setting a problem.
    ///
    /// What Kubernetes injects for a Service whose name gives the same prefix (`…SERVICE_HOST`, `…PORT_8080_TCP`, …) is let through.
    pub fn prefix(&mut self, prefix: &'static str) {
        self.prefixes.push(prefix);
    }

    /// States a rule across settings: where `values` are there and do not satisfy `holds`, `text` is a problem.
    ///
    /// `text` names the settings and says what is refused. A rule over settings that already have a problem is not asked.
    ///
    /// ```
    /// # use chassis::settings::{self, Slot, Table};
    /// # use std::path::PathBuf;
    /// fn declare(table: &mut Table) -> Slot<()> {
    ///     let test_mode = table.value::<bool>("TEST_MODE", "whether the test routes are there").or("false");
    ///     let ca = table.value::<PathBuf>("CA_PATH", "the broker's authority").optional();
    ///     table.rule(
    ///         test_mode.get().zip(ca.get()),
    ///         |(test_mode, ca)| !(*test_mode && ca.is_some()),
    ///         "TEST_MODE is refused together with CA_PATH",
    ///     );
    ///     table.all(|_| ())
    /// }
    /// assert!(settings::read([("TEST_MODE", "true")], declare).is_ok());
    /// assert!(settings::read([("TEST_MODE", "true"), ("CA_PATH", "/ca")], declare).is_err());
    /// ```
    pub fn rule<T>(&mut self, values: Option<T>, holds: impl FnOnce(T) -> bool, text: &'static str) {
        if values.is_some_and(|values| !holds(values)) {
            self.problems.push(Problem::Rule(text));
        }
    }

    /// Builds a group of settings. `build` runs only while the table has no problem, so every slot it takes is full.
    pub fn all<T>(&self, build: impl FnOnce(Full) -> T) -> Slot<T> {
        let complete = self.source.is_some() && self.problems.is_empty();
        Slot(complete.then(|| build(Full(()))))
    }

    /// The names and values of the settings in force, whether declared before this call or after it.
    #[must_use]
    pub fn in_force(&self) -> InForce {
        self.in_force.clone()
    }

    fn finish<T>(mut self, declare: impl FnOnce(&mut Self) -> Slot<T>) -> Result<T, Problems> {
        let slot = declare(&mut self);
        if let Some(source) = &self.source {
            self.problems.extend(source.unknown(&self.prefixes, &self.rows));
        }
        match slot.0 {
            Some(value) if self.problems.is_empty() => Ok(value),
            _ => Err(Problems::new(self.problems)),
        }
    }
}

/// The place of a value that was declared; empty where a problem was noted instead.
#[must_use]
#[derive(Debug)]
pub struct Slot<T>(Option<T>);

impl<T> Slot<T> {
    /// The value, for a [rule](Table::rule).
    #[must_use]
    pub fn get(&self) -> Option<&T> {
        self.0.as_ref()
    }
}

/// Says that every slot of the table is full.
#[derive(Debug)]
pub struct Full(());

impl Full {
    /// The value of `slot`, which must be of the same table.
    #[expect(
        clippy::expect_used,
        reason = "a slot is empty only where its table noted a problem, and then `Table::all` makes no `Full`"
    )]
    pub fn take<T>(&self, slot: Slot<T>) -> T {
        slot.0.expect("a full slot")
    }
}
