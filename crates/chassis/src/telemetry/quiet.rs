//! Few lines for many failures.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// The shortest time between two lines with the same source and reason.
const SPACING: Duration = Duration::from_secs(10);

/// Lets at most one line per source and reason through in 10 s, and counts what it holds back. A clone shares the counts.
///
/// ```
/// # use chassis::telemetry::Quiet;
/// let quiet = Quiet::default();
/// if let Some(count) = quiet.admit("deltaker", "database") {
///     tracing::warn!(source = "deltaker", reason = "database", count, "not settled");
/// }
/// assert_eq!(quiet.admit("deltaker", "database"), None);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Quiet(Arc<Mutex<HashMap<(String, &'static str), Held>>>);

#[derive(Debug)]
struct Held {
    last_line: Instant,
    count: u64,
}

impl Quiet {
    /// Counts one event; where a line about it may be written, how many events it stands for: this one and those held back since the last line.
    #[must_use]
    pub fn admit(&self, source: &str, reason: &'static str) -> Option<u64> {
        let now = Instant::now();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(held) = all.get_mut(&(source.to_owned(), reason)) else {
            all.insert((source.to_owned(), reason), Held { last_line: now, count: 0 });
            return Some(1);
        };
        held.count += 1;
        if now.duration_since(held.last_line) < SPACING {
            return None;
        }
        held.last_line = now;
        Some(std::mem::take(&mut held.count))
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_line_in_ten_seconds_tells_how_many_it_stands_for() {
        let quiet = Quiet::default();
        assert_eq!(quiet.admit("deltaker", "database"), Some(1));
        assert_eq!(quiet.admit("deltaker", "database"), None);
        advance(SPACING - Duration::from_millis(1)).await;
        assert_eq!(quiet.admit("deltaker", "database"), None);
        advance(Duration::from_millis(1)).await;
        assert_eq!(quiet.admit("deltaker", "database"), Some(3));
        assert_eq!(quiet.admit("deltaker", "database"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn another_source_or_reason_has_a_line_of_its_own() {
        let quiet = Quiet::default();
        assert_eq!(quiet.admit("deltaker", "database"), Some(1));
        assert_eq!(quiet.admit("gjennomforing", "database"), Some(1));
        assert_eq!(quiet.admit("deltaker", "broker"), Some(1));
    }
}
