//! ISO 8601 durations, as the conformance interface writes them (`PT10M`, `P1DT2H30S`).

use std::time::Duration;

/// The duration that `text` names, of days, hours, minutes and seconds in whole numbers; `None` for any other text.
#[must_use]
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let (days, time) = match text.strip_prefix('P')?.split_once('T') {
        Some((days, time)) if !time.is_empty() => (days, time),
        Some(_) => return None,
        None => (text.strip_prefix('P')?, ""),
    };
    let (days, rest) = amount(days, 'D')?;
    if !rest.is_empty() || (days.is_none() && time.is_empty()) {
        return None;
    }
    let (hours, time) = amount(time, 'H')?;
    let (minutes, time) = amount(time, 'M')?;
    let (seconds, time) = amount(time, 'S')?;
    let parts = [(days, 86_400), (hours, 3_600), (minutes, 60), (seconds, 1)];
    let total =
        parts.iter().try_fold(0_u64, |sum, (amount, unit)| sum.checked_add(amount.unwrap_or(0).checked_mul(*unit)?))?;
    time.is_empty().then_some(Duration::from_secs(total))
}

/// The number before `unit`, if `text` begins with one, and what follows it.
fn amount(text: &str, unit: char) -> Option<(Option<u64>, &str)> {
    match text.split_once(unit) {
        Some((digits, rest)) => Some((Some(digits.parse().ok()?), rest)),
        None => Some((None, text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_hours_minutes_and_seconds_add_up() {
        assert_eq!(parse("PT10M"), Some(Duration::from_secs(600)));
        assert_eq!(parse("P1DT2H3M4S"), Some(Duration::from_secs(86_400 + 7_200 + 184)));
        assert_eq!(parse("P2D"), Some(Duration::from_secs(172_800)));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "P", "PT", "10M", "PT-1M", "PT1.5S", "PT1M1H", "P1M", "PT1D"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
