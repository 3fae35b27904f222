//! The ledger of a fault run: every id that was sent against the final state.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// What was sent and what became of it. Ids are unique over the run; order counts among the ids of one key.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Key and place in the key's order, by id.
    sent: BTreeMap<String, (String, usize)>,
    per_key: BTreeMap<String, usize>,
    poison: BTreeSet<String>,
    effects: Vec<String>,
    dead: Vec<String>,
    redelivered: usize,
}

impl Ledger {
    /// Notes that `id` was sent under `key`, after all that was noted before. Once per id.
    pub fn sent(&mut self, key: &str, id: &str) {
        let place = self.per_key.entry(key.to_owned()).or_default();
        self.sent.insert(id.to_owned(), (key.to_owned(), *place));
        *place += 1;
    }

    /// Notes that `id` was sent and should end as a dead letter.
    pub fn sent_poison(&mut self, id: &str) {
        self.poison.insert(id.to_owned());
    }

    /// Notes that the effect of `id` is visible, after those noted before.
    pub fn effect(&mut self, id: &str) {
        self.effects.push(id.to_owned());
    }

    /// Notes that `id` is among the dead letters.
    pub fn dead_letter(&mut self, id: &str) {
        self.dead.push(id.to_owned());
    }

    /// Notes that `count` deliveries came again. A fault run without any is void.
    pub fn redelivered(&mut self, count: usize) {
        self.redelivered += count;
    }

    /// The account.
    #[must_use]
    pub fn balance(&self) -> Balance {
        let mut balance = Balance {
            sent: self.sent.len() + self.poison.len(),
            effects: self.effects.len(),
            dead_letters: self.dead.len(),
            redelivered: self.redelivered,
            ..Balance::default()
        };
        let mut seen = BTreeSet::new();
        let mut reached: BTreeMap<&str, usize> = BTreeMap::new();
        for id in &self.effects {
            let Some((key, place)) = self.sent.get(id) else {
                balance.strange.push(id.clone());
                continue;
            };
            if !seen.insert(id.as_str()) {
                balance.doubled.push(id.clone());
                continue;
            }
            match reached.get_mut(key.as_str()) {
                Some(last) if *last > *place => balance.disordered.push(id.clone()),
                Some(last) => *last = *place,
                None => {
                    reached.insert(key, *place);
                }
            }
        }
        let mut buried = BTreeSet::new();
        for id in &self.dead {
            if !self.poison.contains(id) {
                balance.strange.push(id.clone());
            } else if !buried.insert(id.as_str()) {
                balance.doubled.push(id.clone());
            }
        }
        balance.lost.extend(self.sent.keys().filter(|id| !seen.contains(id.as_str())).cloned());
        balance.lost.extend(self.poison.iter().filter(|id| !buried.contains(id.as_str())).cloned());
        balance
    }
}

/// The account of a run. Its `Display` is a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Balance {
    /// Distinct ids that were sent, poison included.
    pub sent: usize,
    /// Effects that are visible, counted with repetitions.
    pub effects: usize,
    /// Dead letters, likewise.
    pub dead_letters: usize,
    /// Deliveries that came again.
    pub redelivered: usize,
    /// Sent, but neither visible nor (poison) a dead letter.
    pub lost: Vec<String>,
    /// Visible or dead more than once; an id is named once for each time too many.
    pub doubled: Vec<String>,
    /// Visible after a later one of the same key.
    pub disordered: Vec<String>,
    /// Visible but never sent or poison, or a dead letter that should not be one.
    pub strange: Vec<String>,
}

/// The account is not clean, or the run shows nothing; the text is the table.
#[derive(Debug, thiserror::Error)]
pub enum Unclean {
    /// Something was lost, doubled, out of order or strange.
    #[error("the run is not clean\n{0}")]
    Balance(Box<Balance>),
    /// Nothing was redelivered: the faults met no work.
    #[error("the run is void: nothing was redelivered\n{0}")]
    Void(Box<Balance>),
}

impl Balance {
    /// That nothing was lost, doubled, out of order or strange.
    ///
    /// # Errors
    /// Something was.
    pub fn clean(self) -> Result<Self, Unclean> {
        let problems = [&self.lost, &self.doubled, &self.disordered, &self.strange];
        if problems.iter().all(|ids| ids.is_empty()) { Ok(self) } else { Err(Unclean::Balance(Box::new(self))) }
    }

    /// The same for a run in which something should have been redelivered.
    ///
    /// # Errors
    /// Something was not clean, or nothing was redelivered.
    pub fn clean_after_faults(self) -> Result<Self, Unclean> {
        let balance = self.clean()?;
        if balance.redelivered > 0 { Ok(balance) } else { Err(Unclean::Void(Box::new(balance))) }
    }
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            ("sent", self.sent),
            ("effects", self.effects),
            ("dead letters", self.dead_letters),
            ("redelivered", self.redelivered),
        ];
        for (name, count) in counts {
            writeln!(f, "{name:<16}{count:>9}")?;
        }
        let problems = [
            ("lost", &self.lost),
            ("doubled", &self.doubled),
            ("out of order", &self.disordered),
            ("strange", &self.strange),
        ];
        for (name, ids) in problems {
            let first: Vec<_> = ids.iter().take(5).map(String::as_str).collect();
            writeln!(f, "{}", format!("{name:<16}{:>9}  {}", ids.len(), first.join(" ")).trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        for (key, id) in [("a", "a1"), ("b", "b1"), ("a", "a2")] {
            ledger.sent(key, id);
        }
        ledger.sent_poison("p1");
        ledger
    }

    fn balance(effects: &[&str], dead: &[&str]) -> Balance {
        let mut ledger = ledger();
        effects.iter().for_each(|id| ledger.effect(id));
        dead.iter().for_each(|id| ledger.dead_letter(id));
        ledger.balance()
    }

    #[test]
    fn all_visible_once_and_in_order_is_clean_whatever_the_order_between_keys() {
        balance(&["b1", "a1", "a2"], &["p1"]).clean().unwrap();
        balance(&["a1", "a2", "b1"], &["p1"]).clean().unwrap();
    }

    #[test]
    fn what_is_not_visible_is_lost() {
        let balance = balance(&["a2"], &[]);
        assert_eq!(balance.lost, ["a1", "b1", "p1"]);
        assert!(balance.clean().is_err());
    }

    #[test]
    fn what_is_visible_twice_is_doubled() {
        let balance = balance(&["a1", "a2", "a1", "a1", "b1"], &["p1", "p1"]);
        assert_eq!(
            (balance.doubled.clone(), balance.disordered.len()),
            (vec!["a1".into(), "a1".into(), "p1".into()], 0)
        );
        assert!(balance.clean().is_err());
    }

    #[test]
    fn an_earlier_one_after_a_later_one_is_out_of_order() {
        let balance = balance(&["a2", "b1", "a1"], &["p1"]);
        assert_eq!(balance.disordered, ["a1"]);
        assert!(balance.clean().is_err());
    }

    #[test]
    fn what_nobody_sent_is_strange() {
        let balance = balance(&["a1", "a2", "b1", "x", "p1"], &["p1", "b1"]);
        assert_eq!(balance.strange, ["x", "p1", "b1"]);
        assert!(balance.clean().is_err());
    }

    #[test]
    fn a_fault_run_without_redelivery_is_void() {
        let mut ledger = Ledger::default();
        ledger.sent("a", "a1");
        ledger.effect("a1");
        assert!(matches!(ledger.balance().clean_after_faults(), Err(Unclean::Void(_))));
        ledger.redelivered(1);
        ledger.balance().clean_after_faults().unwrap();
    }

    #[test]
    fn the_table_names_what_went_wrong() {
        let text = "sent                    4\neffects                 2\ndead letters            1\nredelivered             0\n\
                    lost                    1  b1\ndoubled                 0\nout of order            1  a1\nstrange                 0\n";
        assert_eq!(balance(&["a2", "a1"], &["p1"]).to_string(), text);
    }
}
