//! How long to wait before the same is tried again: full jitter, base 100 ms, factor 2, cap 30 s (`docs/reliability.md`, section 3).

use std::time::Duration;

use uuid::Uuid;

const BASE: Duration = Duration::from_millis(100);
const CAP: Duration = Duration::from_secs(30);
/// The longest wait that the other side may ask for: a larger one would keep a lane shut on the word of a stranger.
const LONGEST_ASKED: Duration = Duration::from_secs(300);

/// The pause after try number `attempt` (from 1) failed.
///
/// `asked`, the wait that the other side named, wins, up to five minutes. Without it the pause is drawn evenly from zero
/// to 100 ms · 2^(attempt − 1), at most 30 s, so that those who failed together do not come back together.
#[must_use]
pub fn pause(attempt: u32, asked: Option<Duration>, jitter: &mut Jitter) -> Duration {
    match asked {
        Some(asked) => asked.min(LONGEST_ASKED),
        None => ceiling(attempt).mul_f64(jitter.fraction()),
    }
}

fn ceiling(attempt: u32) -> Duration {
    BASE.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1))).min(CAP)
}

/// A source of even randomness for pauses (SplitMix64); the same seed gives the same draws. Not for secrets.
#[derive(Debug, Clone)]
pub struct Jitter(u64);

impl Jitter {
    /// Draws that can be repeated.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// Draws that differ from process to process.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4().as_u64_pair().1)
    }

    /// The next draw, from 0 to below 1.
    fn fraction(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        // 32 bits are exact in an f64, and finer than any pause that is slept.
        f64::from(u32::try_from(mixed >> 32).unwrap_or(u32::MAX)) / (f64::from(u32::MAX) + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_its_cap() {
        assert_eq!(ceiling(1), Duration::from_millis(100));
        assert_eq!(ceiling(2), Duration::from_millis(200));
        assert_eq!(ceiling(9), Duration::from_millis(25_600));
        assert_eq!(ceiling(10), CAP);
        assert_eq!(ceiling(u32::MAX), CAP);
        assert_eq!(ceiling(0), Duration::from_millis(100), "a try that was not counted waits like the first");
    }

    #[test]
    fn pauses_fill_the_whole_range() {
        let mut jitter = Jitter::seeded(7);
        let pauses: Vec<_> = (0..1_000).map(|_| pause(4, None, &mut jitter)).collect();
        assert!(pauses.iter().all(|pause| *pause < Duration::from_millis(800)));
        for tenth in 0..10 {
            let range = Duration::from_millis(80 * tenth)..Duration::from_millis(80 * (tenth + 1));
            let hits = pauses.iter().filter(|pause| range.contains(*pause)).count();
            assert!((60..140).contains(&hits), "{hits} of 1000 pauses in {range:?}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_pauses_and_another_seed_others() {
        let draw = |seed| (0..5).map(|_| pause(8, None, &mut Jitter::seeded(seed))).collect::<Vec<_>>();
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert_ne!(Jitter::random().0, Jitter::random().0);
    }

    #[test]
    fn what_the_other_side_asks_wins_within_reason() {
        let mut jitter = Jitter::seeded(1);
        assert_eq!(pause(1, Some(Duration::from_secs(7)), &mut jitter), Duration::from_secs(7));
        assert_eq!(pause(1, Some(Duration::ZERO), &mut jitter), Duration::ZERO);
        assert_eq!(pause(1, Some(Duration::from_secs(86_400)), &mut jitter), Duration::from_secs(300));
    }
}
