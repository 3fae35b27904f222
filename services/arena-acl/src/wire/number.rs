//! Numbers as JSON writes them.

/// The integer part of a JSON number, exact for any number of digits; `None` where it does not fit 64 bits.
pub(super) fn truncated(json: &str) -> Option<i64> {
    let (digits, negative) = json.strip_prefix('-').map_or((json, false), |digits| (digits, true));
    let (mantissa, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = whole.bytes().chain(fraction.bytes()).peekable();
    let mut before_point = i64::try_from(whole.len()).ok()?.saturating_add(saturated(exponent));
    while digits.next_if_eq(&b'0').is_some() {
        before_point = before_point.saturating_sub(1);
    }
    if digits.peek().is_none() || before_point <= 0 {
        return Some(0);
    }
    let before_point = usize::try_from(before_point).ok().filter(|count| *count <= 19)?; // i64::MAX has 19 digits
    digits.chain(std::iter::repeat(b'0')).take(before_point).try_fold(0_i64, |sum, digit| {
        let digit = i64::from(digit.checked_sub(b'0')?);
        let shifted = sum.checked_mul(10)?;
        if negative { shifted.checked_sub(digit) } else { shifted.checked_add(digit) }
    })
}

/// The exponent of a JSON number; one that does not fit 64 bits is the nearest that does.
fn saturated(exponent: &str) -> i64 {
    let nearest = if exponent.starts_with('-') { i64::MIN } else { i64::MAX };
    exponent.parse().unwrap_or(nearest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_fraction_is_cut_off() {
        for (json, integer) in [
            ("0", 0),
            ("-0", 0),
            ("12", 12),
            ("12.0", 12),
            ("12.999", 12),
            ("-12.999", -12),
            ("0.9", 0),
            ("-0.9", 0),
            ("9223372036854775807.9", i64::MAX),
            ("-9223372036854775808.9", i64::MIN),
        ] {
            assert_eq!(truncated(json), Some(integer), "{json}");
        }
    }

    #[test]
    fn an_exponent_moves_the_point() {
        for (json, integer) in [
            ("1e3", 1000),
            ("1E+3", 1000),
            ("-1.5e3", -1500),
            ("1234e-2", 12),
            ("0.0012e5", 120),
            ("99e-2", 0),
            ("1e-99999999999999999999", 0),
            ("0e99999999999999999999", 0),
            ("0.000e400", 0),
            ("1e18", 1_000_000_000_000_000_000),
        ] {
            assert_eq!(truncated(json), Some(integer), "{json}");
        }
    }

    #[test]
    fn what_does_not_fit_is_nothing() {
        for json in
            ["9223372036854775808", "-9223372036854775809", "1e19", "1e400", "1e99999999999999999999", "123456e15"]
        {
            assert_eq!(truncated(json), None, "{json}");
        }
    }

    proptest! {
        #[test]
        fn every_integer_is_itself_however_it_is_written(integer: i64, zeros in 0_usize..5) {
            prop_assert_eq!(truncated(&integer.to_string()), Some(integer));
            prop_assert_eq!(truncated(&format!("{integer}{}e-{zeros}", "0".repeat(zeros))), Some(integer));
            prop_assert_eq!(truncated(&format!("{integer}.{}7", "0".repeat(zeros))), Some(integer));
        }

        #[test]
        fn small_numbers_agree_with_floating_point(number in "-?(0|[1-9][0-9]{0,5})(\\.[0-9]{1,4})?(e[-+]?[0-4])?") {
            let float: f64 = number.parse().unwrap();
            let near = float.round() != float.trunc() || (float - float.round()).abs() > 1e-6 || float.fract() == 0.0;
            if near {
                #[expect(clippy::cast_possible_truncation, reason = "at most ten digits")]
                let expected = float.trunc() as i64;
                prop_assert_eq!(truncated(&number), Some(expected));
            }
        }
    }
}
