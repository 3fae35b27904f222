//! Dates and times in all the forms in which they come (R-WIRE-2, R-WIRE-3).

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, SubsecRound as _};
use serde_json::{Map, Value};

/// A date; of a date-time the date part as it is written, of an epoch value the UTC date. `None`: not readable.
pub(super) fn date(value: &Value) -> Option<NaiveDate> {
    match value {
        Value::String(text) if text.len() == 10 => day(text),
        Value::String(text) => written(text).map(|at| at.date()),
        Value::Array(parts) if parts.len() == 3 => array(parts).map(|at| at.date()),
        Value::Object(members) => epoch_or_text(members).map(|at| at.date()),
        _ => None,
    }
}

/// A date-time, cut to milliseconds: the local part as it is written, of an epoch value UTC. `None`: not readable.
pub(super) fn time(value: &Value) -> Option<NaiveDateTime> {
    let at = match value {
        Value::String(text) if text.len() == 10 => day(text).map(|day| day.and_time(NaiveTime::MIN)),
        Value::String(text) => written(text),
        Value::Array(parts) => array(parts),
        Value::Object(members) => epoch_or_text(members),
        _ => None,
    };
    at.map(|at| at.trunc_subsecs(3))
}

/// A date-time as it is stored.
pub(super) fn shown(at: NaiveDateTime) -> String {
    at.format("%Y-%m-%dT%H:%M:%S%.3f").to_string()
}

fn day(text: &str) -> Option<NaiveDate> {
    let shaped = text
        .bytes()
        .enumerate()
        .all(|(at, byte)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() });
    (shaped && text.len() == 10).then(|| text.parse().ok()).flatten()
}

/// `yyyy-MM-dd`, `T` or a space, a time, perhaps a zone that does not count.
fn written(text: &str) -> Option<NaiveDateTime> {
    let day = day(text.get(..10)?)?;
    let rest = text.get(10..)?;
    let clock = rest.strip_prefix('T').or_else(|| rest.strip_prefix(' '))?;
    let end = clock.find(|c: char| !(c.is_ascii_digit() || c == ':' || c == '.')).unwrap_or(clock.len());
    let (clock, zone) = clock.split_at(end);
    let is_zone = zone.is_empty() || zone == "Z" || zone.starts_with(['+', '-', '[']) || zone.starts_with("Z[");
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let format = if clock.len() == 5 { "%H:%M" } else { "%H:%M:%S" };
    let clock = NaiveTime::parse_from_str(clock, format).ok().filter(|_| is_zone)?;
    Some(day.and_time(clock) + chrono::TimeDelta::nanoseconds(nanos(fraction)?))
}

/// The nanoseconds of the digits after the point; more than nine are cut off.
fn nanos(fraction: &str) -> Option<i64> {
    let is_number = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let padded: String = fraction.chars().chain(std::iter::repeat('0')).take(9).collect();
    is_number.then(|| padded.parse().ok()).flatten()
}

/// `[yyyy, M, d, H, m, s, nanos]`; what is missing at the end is 0.
fn array(parts: &[Value]) -> Option<NaiveDateTime> {
    let mut numbers = [0_u32; 6];
    if !(3..=7).contains(&parts.len()) {
        return None;
    }
    let year = i32::try_from(parts.first()?.as_i64()?).ok()?;
    for (number, part) in numbers.iter_mut().zip(parts.iter().skip(1)) {
        *number = u32::try_from(part.as_u64()?).ok()?;
    }
    let [month, day, hour, minute, second, nano] = numbers;
    NaiveDate::from_ymd_opt(year, month, day)?.and_hms_nano_opt(hour, minute, second, nano)
}

/// `{"$date": …}`: a text, milliseconds, or milliseconds as `{"$numberLong": "…"}`.
fn epoch_or_text(members: &Map<String, Value>) -> Option<NaiveDateTime> {
    let millis = match members.get("$date")? {
        Value::String(text) => return if text.len() == 10 { day(text).map(Into::into) } else { written(text) },
        Value::Object(long) => long.get("$numberLong")?.as_str()?.parse().ok()?,
        number => number.as_i64()?,
    };
    DateTime::from_timestamp_millis(millis).map(|at| at.naive_utc())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_date_is_read_in_every_form() {
        let expected: NaiveDate = "2025-06-16".parse().unwrap();
        for value in [
            json!("2025-06-16"),
            json!([2025, 6, 16]),
            json!("2025-06-16 00:00:00"),
            json!("2025-06-16T23:59:59"),
            json!("2025-06-16T23:59:59.123+02:00"),
            json!({"$date": "2025-06-16T00:00:00Z"}),
            json!({"$date": 1_750_032_000_000_i64}),
            json!({"$date": {"$numberLong": "1750032000000"}}),
        ] {
            assert_eq!(date(&value), Some(expected), "{value}");
        }
    }

    #[test]
    fn a_time_is_read_in_every_form_and_cut_to_milliseconds() {
        for (value, expected) in [
            (json!("2025-03-04T05:06:07.0899"), "2025-03-04T05:06:07.089"),
            (json!("2025-03-04T05:06:07"), "2025-03-04T05:06:07.000"),
            (json!("2025-03-04T05:06"), "2025-03-04T05:06:00.000"),
            (json!("2025-03-04T05:06:07.5+01:00"), "2025-03-04T05:06:07.500"),
            (json!("2025-03-04 05:06:07"), "2025-03-04T05:06:07.000"),
            (json!([2025, 3, 4, 5, 6, 7, 89_999_999]), "2025-03-04T05:06:07.089"),
            (json!([2025, 3, 4, 5, 6]), "2025-03-04T05:06:00.000"),
            (json!({"$date": "2025-03-04T05:06:07.089Z"}), "2025-03-04T05:06:07.089"),
            (json!({"$date": 1_741_064_767_089_i64}), "2025-03-04T05:06:07.089"),
            (json!({"$date": {"$numberLong": "-1"}}), "1969-12-31T23:59:59.999"),
        ] {
            assert_eq!(time(&value).map(shown).as_deref(), Some(expected), "{value}");
        }
    }

    #[test]
    fn anything_else_is_not_read() {
        for value in [
            json!("16/06/2025"),
            json!("2025-02-30"),
            json!("2025-6-16"),
            json!(20250616),
            json!([2025, 6]),
            json!([2025, 13, 1]),
            json!({"$date": true}),
            json!({}),
            json!("2025-06-16Tnoon"),
            json!("2025-06-16T10:00:00 and more"),
            json!("äöüäö"),
        ] {
            assert_eq!((date(&value), time(&value)), (None, None), "{value}");
        }
    }
}
