//! Row images as they are stored.

use std::sync::Arc;

/// A number with more characters, or with an exponent of this size, is stored as text. JSONB's own limits are 131,072
/// digits before the point and 16,383 after it; no column of Arena has more than 38.
const MAX_NUMBER: usize = 1000;

/// A JSON object as JSONB can hold it: numbers that are too wide for it become texts, so that a column nobody uses
/// never fails a record (docs/spec/arena-acl.md 2.2). All else stays as it was received.
pub(super) fn image(json: &str) -> Arc<str> {
    let mut out = String::new();
    let mut copied = 0;
    let (mut at, mut in_string) = (0, false);
    let bytes = json.as_bytes();
    while let Some(byte) = bytes.get(at) {
        at += match (in_string, byte) {
            (_, b'"') => {
                in_string = !in_string;
                1
            }
            (true, b'\\') => 2,
            (false, b'-' | b'0'..=b'9') => {
                let rest = json.get(at..).unwrap_or_default();
                let length = rest.find([',', '}', ']', ' ', '\t', '\r', '\n']).unwrap_or(rest.len());
                let number = rest.get(..length).unwrap_or_default();
                if is_wide(number) {
                    out.push_str(json.get(copied..at).unwrap_or_default());
                    out.extend(["\"", number, "\""]);
                    copied = at + length;
                }
                length
            }
            _ => 1,
        };
    }
    if copied == 0 {
        return json.into(); // an object begins with a brace, so no number ends at byte 0
    }
    out.push_str(json.get(copied..).unwrap_or_default());
    out.into()
}

fn is_wide(number: &str) -> bool {
    let exponent = number.split_once(['e', 'E']).map_or("0", |(_, exponent)| exponent);
    let size = exponent.trim_start_matches(['+', '-']).parse().unwrap_or(usize::MAX);
    number.len() > MAX_NUMBER || size > MAX_NUMBER
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_jsonb_cannot_hold_become_texts() {
        let long = "7".repeat(1001);
        let json =
            format!(r#"{{"A":1e200000,"B":[-1.5E-20000, 2],"C":{long} ,"D":"1e200000","E":1e99999999999999999999}}"#);
        let expected = format!(
            r#"{{"A":"1e200000","B":["-1.5E-20000", 2],"C":"{long}" ,"D":"1e200000","E":"1e99999999999999999999"}}"#
        );
        assert_eq!(&*image(&json), expected);
    }

    #[test]
    fn other_numbers_and_all_texts_stay() {
        for json in [
            "{}",
            r#"{"A":1e308,"B":-0.5e-300,"C":12345678901234567890123456789012345678}"#,
            r#"{"A":"\"1e200000","B":"\\","1e200000":[true,null,{"C":1e0001}]}"#,
        ] {
            assert_eq!(&*image(json), json);
        }
    }
}
