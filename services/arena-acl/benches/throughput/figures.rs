//! What came out, for people and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::{
    limit::{BATCH, WRITERS},
    run::Measured,
};

/// Figures in the order in which they were first added, one value per round in each.
#[derive(Default)]
pub(crate) struct Figures {
    figures: Vec<Figure>,
    cpu: Vec<Processors>,
}

struct Figure {
    name: String,
    decimals: usize,
    worst: Worst,
    values: Vec<f64>,
}

/// Microseconds of a core per change.
struct Processors {
    name: &'static str,
    /// By process, then one value per round.
    values: Vec<(&'static str, Vec<f64>)>,
}

#[derive(Clone, Copy)]
pub(crate) enum Worst {
    Lowest,
    Highest,
}

/// Where the values of a figure lie.
struct Spread {
    median: f64,
    /// The first and the third quartile.
    quartiles: (f64, f64),
    worst: f64,
}

impl Figures {
    pub(crate) fn add(&mut self, name: &str, value: f64, decimals: usize, worst: Worst) {
        match self.figures.iter_mut().find(|figure| figure.name == name) {
            Some(figure) => figure.values.push(value),
            None => self.figures.push(Figure { name: name.to_owned(), decimals, worst, values: vec![value] }),
        }
    }

    /// Changes per second of a measurement, and where its time went.
    pub(crate) fn rate(&mut self, name: &'static str, measured: &Measured, changes: usize) -> f64 {
        let changes = f64::from(u32::try_from(changes).unwrap());
        let rate = changes / measured.time.as_secs_f64();
        self.add(&format!("{name}, changes per second"), rate, 0, Worst::Lowest);
        let all = ("all", measured.cpu.all());
        let spent =
            measured.cpu.each().into_iter().chain([all]).map(|(process, seconds)| (process, seconds * 1e6 / changes));
        match self.cpu.iter_mut().find(|processors| processors.name == name) {
            Some(processors) => {
                processors.values.iter_mut().zip(spent).for_each(|((_, values), (_, value))| values.push(value))
            }
            None => {
                let values = spent.map(|(process, value)| (process, vec![value])).collect();
                self.cpu.push(Processors { name, values });
            }
        }
        let cores = measured.cpu.all() / measured.time.as_secs_f64();
        println!("  {name}: {rate:.0} changes per second on {cores:.2} cores");
        rate
    }

    /// How `rate` compares to that of `limit`.
    pub(crate) fn ratio(&mut self, name: &str, rate: f64, limit: f64, decimals: usize) {
        println!("  {name}: {:.decimals$}", rate / limit);
        self.add(name, rate / limit, decimals, Worst::Lowest);
    }

    pub(crate) fn table(&self) -> String {
        let mut table = format!("{:<54}{:>10}{:>22}{:>10}\n", "", "median", "quartiles", "worst");
        for Figure { name, decimals, worst, values } in &self.figures {
            let Spread { median, quartiles: (low, high), worst } = Spread::of(values, *worst);
            let quartiles = format!("{low:.decimals$} – {high:.decimals$}");
            writeln!(table, "{name:<54}{median:>10.decimals$}{quartiles:>22}{worst:>10.decimals$}").unwrap();
        }
        table.push_str("\nµs of a core per change (medians)\n");
        for (place, Processors { name, values }) in self.cpu.iter().enumerate() {
            if place == 0 {
                let processes: String = values.iter().map(|(process, _)| format!("{process:>10}")).collect();
                writeln!(table, "{:<54}{processes}", "").unwrap();
            }
            let medians: String = values
                .iter()
                .map(|(_, values)| format!("{:>10.1}", Spread::of(values, Worst::Highest).median))
                .collect();
            writeln!(table, "{name:<54}{medians}").unwrap();
        }
        table
    }

    /// One JSON object per figure.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let plain = self
            .figures
            .iter()
            .map(|figure| (figure.name.clone(), Spread::of(&figure.values, figure.worst), figure.values.len()));
        let cpu = self.cpu.iter().flat_map(|Processors { name, values }| {
            values.iter().map(move |(process, values)| {
                (format!("{name}, µs of {process} per change"), Spread::of(values, Worst::Highest), values.len())
            })
        });
        plain
            .chain(cpu)
            .map(|(figure, Spread { median, quartiles: (low, high), worst }, rounds)| {
                json!({
                    "service": "arena-acl", "bench": "throughput", "figure": figure, "median": median, "quartiles": [low, high],
                    "worst": worst, "rounds": rounds, "batch": BATCH, "writers": WRITERS,
                })
            })
            .collect()
    }
}

impl Spread {
    fn of(values: &[f64], worst: Worst) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let worst = match worst {
            Worst::Highest => sorted[sorted.len() - 1],
            Worst::Lowest => sorted[0],
        };
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
