//! Which expected row belongs to which observed one, where order does not tell.

use serde_json::Value;

use super::compare::{Compare, Rule};

/// Trials in the search for an arrangement without mismatch; far beyond what any published set needs.
const MOST_TRIALS: usize = 20_000;

/// Compares `expected` (each with its path) with `actual` in the arrangement that fits, else in the nearest.
pub(super) fn pair(compare: &mut Compare, path: &str, expected: &[(String, Value)], actual: &[Value], rule: Rule<'_>) {
    let mut search = Search { expected, actual, rule, used: vec![false; actual.len()], trials: 0 };
    let enough = expected.len() <= actual.len();
    if let Some(fitting) = enough.then(|| search.fit(compare, 0)).flatten() {
        *compare = fitting;
    } else {
        search.nearest(compare);
    }
    for (row, _) in actual.iter().zip(&search.used).filter(|(_, used)| !**used) {
        compare.differs(&format!("{path}[]"), None, Some(row));
    }
}

struct Search<'a> {
    expected: &'a [(String, Value)],
    actual: &'a [Value],
    rule: Rule<'a>,
    used: Vec<bool>,
    trials: usize,
}

impl Search<'_> {
    /// The comparison after the expected rows from `at` on found partners without a new mismatch; `None` if they cannot.
    fn fit(&mut self, so_far: &Compare, at: usize) -> Option<Compare> {
        let Some((path, row)) = self.expected.get(at) else { return Some(so_far.clone()) };
        for (partner, candidate) in self.actual.iter().enumerate() {
            if self.is_used(partner) || self.trials >= MOST_TRIALS {
                continue;
            }
            self.trials += 1;
            let tried = self.tried(so_far, path, row, candidate);
            if tried.mismatches().len() > so_far.mismatches().len() {
                continue;
            }
            self.use_up(partner, true);
            if let Some(whole) = self.fit(&tried, at + 1) {
                return Some(whole);
            }
            self.use_up(partner, false);
        }
        None
    }

    /// Pairs again and again the two rows that differ least; an expected row without a partner is missing.
    fn nearest(&mut self, compare: &mut Compare) {
        let mut open: Vec<_> = self.expected.iter().collect();
        while let Some((place, partner, tried)) = self.best(compare, &open) {
            open.remove(place);
            self.use_up(partner, true);
            *compare = tried;
        }
        for (path, row) in open {
            compare.differs(path, Some(row), None);
        }
    }

    fn best(&self, so_far: &Compare, open: &[&(String, Value)]) -> Option<(usize, usize, Compare)> {
        let mut best: Option<(usize, usize, Compare)> = None;
        for (place, (path, row)) in open.iter().enumerate() {
            for (partner, candidate) in self.actual.iter().enumerate().filter(|(partner, _)| !self.is_used(*partner)) {
                let tried = self.tried(so_far, path, row, candidate);
                if best.as_ref().is_none_or(|(_, _, least)| tried.mismatches().len() < least.mismatches().len()) {
                    best = Some((place, partner, tried));
                }
            }
        }
        best
    }

    fn tried(&self, so_far: &Compare, path: &str, row: &Value, candidate: &Value) -> Compare {
        let mut tried = so_far.clone();
        (self.rule)(&mut tried, path, row, candidate);
        tried
    }

    fn is_used(&self, partner: usize) -> bool {
        self.used.get(partner).copied().unwrap_or(true)
    }

    fn use_up(&mut self, partner: usize, now: bool) {
        if let Some(used) = self.used.get_mut(partner) {
            *used = now;
        }
    }
}
