//! What came out, for people and for programs.

use std::{fmt::Write as _, time::Duration};

use serde_json::{Value, json};

use crate::{limit::BATCH, path::FullPath};

/// One value per pair in each.
#[derive(Default)]
pub(crate) struct Figures {
    ratio: Vec<f64>,
    path: Vec<f64>,
    limit: Vec<f64>,
    peak: Vec<f64>,
    start: Vec<f64>,
}

/// Where the values of a figure lie.
struct Spread {
    median: f64,
    /// The first and the third quartile.
    quartiles: (f64, f64),
    worst: f64,
}

impl Figures {
    /// Adds a pair, and says it in a line.
    pub(crate) fn add(&mut self, path: &FullPath, limit: Duration, changes: usize) -> String {
        let rate = |time: Duration| f64::from(u32::try_from(changes).unwrap()) / time.as_secs_f64();
        let (path_rate, limit_rate) = (rate(path.time), rate(limit));
        #[expect(clippy::cast_precision_loss, reason = "the memory of a process, to a tenth of a MiB")]
        let peak = path.peak_bytes as f64 / f64::from(1 << 20);
        self.ratio.push(path_rate / limit_rate);
        self.path.push(path_rate);
        self.limit.push(limit_rate);
        self.peak.push(peak);
        self.start.push(path.start.as_secs_f64() * 1000.0);
        format!(
            "pair {}: {changes} changes, full path {:.2} s, limit {:.2} s, ratio {:.3}, peak {peak:.1} MiB",
            self.ratio.len(),
            path.time.as_secs_f64(),
            limit.as_secs_f64(),
            path_rate / limit_rate,
        )
    }

    pub(crate) fn table(&self) -> String {
        let mut table = format!("{:<42}{:>10}{:>22}{:>10}\n", "", "median", "quartiles", "worst");
        for (name, _, decimals, spread) in self.all() {
            let (low, high) = spread.quartiles;
            let quartiles = format!("{low:.decimals$} – {high:.decimals$}");
            writeln!(table, "{name:<42}{:>10.decimals$}{quartiles:>22}{:>10.decimals$}", spread.median, spread.worst)
                .unwrap();
        }
        table
    }

    /// One JSON object per figure.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let pairs = self.ratio.len();
        self.all()
            .into_iter()
            .map(|(_, figure, _, spread)| {
                let Spread { median, quartiles: (low, high), worst } = spread;
                json!({
                    "service": "arena-acl", "bench": "full_path", "figure": figure, "median": median, "quartiles": [low, high],
                    "worst": worst, "pairs": pairs, "batch": BATCH,
                })
            })
            .collect()
    }

    fn all(&self) -> [(&'static str, &'static str, usize, Spread); 5] {
        [
            ("full path / limit", "ratio", 3, Spread::lowest_is_worst(&self.ratio)),
            ("full path, changes per second", "changes_per_second", 0, Spread::lowest_is_worst(&self.path)),
            ("limit, changes per second", "limit_changes_per_second", 0, Spread::lowest_is_worst(&self.limit)),
            ("peak memory of the service, MiB", "peak_mib", 1, Spread::highest_is_worst(&self.peak)),
            ("start to ready, ms", "start_to_ready_ms", 0, Spread::highest_is_worst(&self.start)),
        ]
    }
}

impl Spread {
    fn lowest_is_worst(values: &[f64]) -> Self {
        Self::of(values, false)
    }

    fn highest_is_worst(values: &[f64]) -> Self {
        Self::of(values, true)
    }

    fn of(values: &[f64], highest_is_worst: bool) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let worst = if highest_is_worst { sorted[sorted.len() - 1] } else { sorted[0] };
        let at = |quarters: usize| {
            // between two values where the place falls between them
            let place = (sorted.len() - 1) * quarters;
            let (below, part) = (place / 4, place % 4);
            let above = (below + 1).min(sorted.len() - 1);
            sorted[below] + (sorted[above] - sorted[below]) * f64::from(u32::try_from(part).unwrap()) / 4.0
        };
        Self { median: at(2), quartiles: (at(1), at(3)), worst }
    }
}
