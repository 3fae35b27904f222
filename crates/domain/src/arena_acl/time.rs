//! Arena's time formats (2.3): fixed width, no zone. Values are wall clock of Europe/Oslo and never converted.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};

/// The date of a date column, `yyyy-MM-dd HH:mm:ss`; the time part must be well-formed and is dropped.
///
/// `None` for any other form and for what no calendar has, such as 30 February or 24:00:00.
#[must_use]
pub fn date(text: &str) -> Option<NaiveDate> {
    date_time(text).map(|time| time.date())
}

/// The time of a date-time column, `yyyy-MM-dd HH:mm:ss`; `None` as for [`date`].
#[must_use]
pub fn date_time(text: &str) -> Option<NaiveDateTime> {
    shaped(text, b"0000-00-00 00:00:00").and_then(|text| parse(text, 0))
}

/// The time of an operation, `yyyy-MM-dd HH:mm:ss.SSSSSS` with exactly six digits of fraction; `None` as for [`date`].
#[must_use]
pub fn operation_time(text: &str) -> Option<NaiveDateTime> {
    let text = shaped(text, b"0000-00-00 00:00:00.000000")?;
    parse(text, number(text, 20, 26)?)
}

/// `text` if it has a digit wherever `shape` has one and is equal to it elsewhere: then it is ASCII too.
fn shaped<'a>(text: &'a str, shape: &[u8]) -> Option<&'a str> {
    let fits = |(byte, shape): (u8, &u8)| if *shape == b'0' { byte.is_ascii_digit() } else { byte == *shape };
    (text.len() == shape.len() && text.bytes().zip(shape).all(fits)).then_some(text)
}

fn parse(text: &str, microseconds: u32) -> Option<NaiveDateTime> {
    let year = number(text, 0, 4).filter(|year| *year > 0)?; // the calendar has no year 0
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, number(text, 5, 7)?, number(text, 8, 10)?)?;
    let time = NaiveTime::from_hms_micro_opt(
        number(text, 11, 13)?,
        number(text, 14, 16)?,
        number(text, 17, 19)?,
        microseconds,
    )?;
    Some(date.and_time(time))
}

fn number(text: &str, from: usize, to: usize) -> Option<u32> {
    text.get(from..to)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use chrono::Timelike;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_exact_form_is_read() {
        for text in [
            "",
            " ",
            "2025-04-01",
            "2025-04-01 13:45",
            "2025-04-01T13:45:10",
            " 2025-04-01 13:45:10",
            "2025-04-01 13:45:10 ",
            "2025-04-01 13:45:10.0",
            "2025-04-01 13:45:10Z",
            "2025-4-1 13:45:10",
            "2025-04-01 1:45:10",
            "01-04-2025 13:45:10",
            "+025-04-01 13:45:10",
            "2025-+4-01 13:45:10",
            "2025/04/01 13:45:10",
            "٢٠٢٥-04-01 13:45:1",
        ] {
            assert_eq!(date_time(text), None, "{text:?}");
            assert_eq!(date(text), None, "{text:?}");
        }
        for text in ["2025-04-01 13:45:10", "2025-04-01 13:45:10.12345", "2025-04-01 13:45:10.1234567", ""] {
            assert_eq!(operation_time(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_no_calendar_has_is_malformed() {
        for text in [
            "2025-02-30 00:00:00",
            "2025-02-29 00:00:00",
            "2025-00-10 00:00:00",
            "2025-13-10 00:00:00",
            "2025-04-00 00:00:00",
            "2025-04-31 00:00:00",
            "0000-04-01 00:00:00",
            "2025-04-01 24:00:00",
            "2025-04-01 23:60:00",
            "2025-04-01 23:59:60",
        ] {
            assert_eq!(date_time(text), None, "{text}");
            assert_eq!(operation_time(&format!("{text}.000000")), None, "{text}");
        }
        assert!(date("2024-02-29 00:00:00").is_some());
    }

    #[test]
    fn the_fraction_of_an_operation_time_is_microseconds() {
        let time = operation_time("2025-03-10 11:59:58.120003").unwrap();
        assert_eq!(time.to_string(), "2025-03-10 11:59:58.120003");
        assert_eq!(operation_time("2025-03-10 11:59:58.1200 3"), None);
    }

    proptest! {
        #[test]
        fn a_written_time_is_read_back(seconds in -62_135_596_800_i64..253_402_300_800, micros in 0_u32..1_000_000) {
            let time = chrono::DateTime::from_timestamp(seconds, micros * 1000).unwrap().naive_utc();
            prop_assert_eq!(operation_time(&time.format("%Y-%m-%d %H:%M:%S%.6f").to_string()), Some(time));
            let text = time.format("%Y-%m-%d %H:%M:%S").to_string();
            prop_assert_eq!(date_time(&text), Some(time.with_nanosecond(0).unwrap()));
            prop_assert_eq!(date(&text), Some(time.date()));
        }

        #[test]
        fn what_is_read_is_written_the_same(text in "[0-9]{4}-[01][0-9]-[0-3][0-9] [0-2][0-9]:[0-6][0-9]:[0-6][0-9]") {
            if let Some(time) = date_time(&text) {
                prop_assert_eq!(time.format("%Y-%m-%d %H:%M:%S").to_string(), text);
            }
        }

        #[test]
        fn no_text_panics(text in ".{0,30}") {
            prop_assert!(date(&text).is_none() && operation_time(&text).is_none());
        }
    }
}
