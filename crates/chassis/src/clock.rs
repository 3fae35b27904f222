//! The one source of the time of day.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, LocalResult, NaiveDateTime, SubsecRound as _, TimeDelta, TimeZone as _, Utc};
use chrono_tz::Tz;
use tokio::time::Instant;

/// The time of day: a base plus the time that tokio has counted since, so tests with paused time move it together with their sleeps.
///
/// A clone shows the same time, also after [`freeze`](Self::freeze) and [`advance`](Self::advance).
#[derive(Debug, Clone)]
pub struct Clock(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    base: DateTime<Utc>,
    /// When the clock showed `base`; `None` while it stands still.
    since: Option<Instant>,
}

impl Clock {
    /// A clock that shows the machine's time.
    #[must_use]
    pub fn system() -> Self {
        Self::starting_at(real_now())
    }

    /// A clock that shows `base` now and runs.
    #[must_use]
    pub fn starting_at(base: DateTime<Utc>) -> Self {
        Self(Arc::new(Mutex::new(State { base, since: Some(Instant::now()) })))
    }

    /// The time, UTC, cut to microseconds: what Postgres can hold, so that a time reads back as it was written.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        let state = self.state();
        later(state.base, state.since.map_or(Duration::ZERO, |since| since.elapsed())).trunc_subsecs(6)
    }

    /// The time of day on a wall in `zone`.
    #[must_use]
    pub fn local(&self, zone: Tz) -> NaiveDateTime {
        self.now().with_timezone(&zone).naive_local()
    }

    /// Shows `at` and stands still until it is set or advanced again.
    pub fn freeze(&self, at: DateTime<Utc>) {
        *self.state() = State { base: at, since: None };
    }

    /// Moves forward by `by`. A clock that stands still stands still at the new time; one that runs goes on from there.
    pub fn advance(&self, by: Duration) {
        let mut state = self.state();
        state.base = later(state.base, by);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The machine's own time, UTC: for the validity of tokens, and for log lines. It does not move with paused time.
#[must_use]
pub fn real_now() -> DateTime<Utc> {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads it")]
    std::time::SystemTime::now().into()
}

/// The moment, UTC, at which walls in `zone` show `wall`.
///
/// Of two such moments (the hour that comes twice in autumn) the earlier one. A time that no wall shows (the hour left out in spring) is moved
/// forward by the length of the gap. Both as `java.time.ZonedDateTime.of` does.
#[must_use]
pub fn to_utc(wall: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
    match zone.from_local_datetime(&wall) {
        LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => at.to_utc(),
        LocalResult::None => {
            // the offset before the gap, which no zone has within a day of another one, gives the moved time
            let before = wall.checked_sub_signed(TimeDelta::days(1)).unwrap_or(wall);
            let offset =
                zone.from_local_datetime(&before).earliest().map_or(TimeDelta::zero(), |at| before - at.naive_utc());
            wall.checked_sub_signed(offset).unwrap_or(wall).and_utc()
        }
    }
}

fn later(at: DateTime<Utc>, by: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(by).ok().and_then(|by| at.checked_add_signed(by)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

#[cfg(test)]
mod tests {
    use chrono_tz::Europe::Oslo;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn wall(text: &str) -> NaiveDateTime {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn paused_time_moves_the_clock_with_the_sleeps() {
        let clock = Clock::starting_at(at("2026-03-29T00:30:00Z"));
        tokio::time::sleep(HOUR).await;
        assert_eq!(clock.now(), at("2026-03-29T01:30:00Z"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_frozen_clock_stands_still_until_it_is_advanced() {
        let clock = Clock::system();
        let shared = clock.clone();
        clock.freeze(at("2026-01-01T00:00:00Z"));
        tokio::time::sleep(HOUR).await;
        assert_eq!(shared.now(), at("2026-01-01T00:00:00Z"));
        clock.advance(HOUR);
        tokio::time::sleep(HOUR).await;
        assert_eq!(shared.now(), at("2026-01-01T01:00:00Z"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_running_clock_goes_on_from_where_it_was_advanced_to() {
        let clock = Clock::starting_at(at("2026-01-01T00:00:00Z"));
        clock.advance(HOUR);
        tokio::time::sleep(HOUR).await;
        assert_eq!(clock.now(), at("2026-01-01T02:00:00Z"));
        clock.advance(Duration::MAX);
        assert_eq!(clock.now().timestamp(), DateTime::<Utc>::MAX_UTC.timestamp());
    }

    #[test]
    fn a_time_has_no_more_than_microseconds() {
        let clock = Clock::system();
        clock.freeze(at("2026-01-01T00:00:00.123456789Z"));
        assert_eq!(clock.now(), at("2026-01-01T00:00:00.123456Z"));
    }

    #[test]
    fn a_wall_in_oslo_is_one_or_two_hours_ahead() {
        let clock = Clock::system();
        clock.freeze(at("2026-01-01T12:00:00Z"));
        assert_eq!(clock.local(Oslo), wall("2026-01-01T13:00:00"));
        clock.freeze(at("2026-07-01T12:00:00Z"));
        assert_eq!(clock.local(Oslo), wall("2026-07-01T14:00:00"));
        assert_eq!(to_utc(wall("2026-07-01T14:00:00"), Oslo), at("2026-07-01T12:00:00Z"));
    }

    #[test]
    fn the_hour_left_out_in_spring_is_moved_forward() {
        assert_eq!(to_utc(wall("2026-03-29T01:59:59"), Oslo), at("2026-03-29T00:59:59Z"));
        assert_eq!(to_utc(wall("2026-03-29T02:30:00"), Oslo), at("2026-03-29T01:30:00Z"));
        assert_eq!(to_utc(wall("2026-03-29T03:00:00"), Oslo), at("2026-03-29T01:00:00Z"));
    }

    #[test]
    fn the_hour_that_comes_twice_in_autumn_is_the_first_one() {
        assert_eq!(to_utc(wall("2026-10-25T02:30:00"), Oslo), at("2026-10-25T00:30:00Z"));
        assert_eq!(to_utc(wall("2026-10-25T03:00:00"), Oslo), at("2026-10-25T02:00:00Z"));
    }
}
