//! Numbers that identify a doctor, and texts that only stand where one should (R-ID-1).

use super::Text;

/// A usable GMC number as it is compared: trimmed of ASCII white space, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GmcNumber(Text);

impl GmcNumber {
    /// The number in `text`; `None` when it is unusable: absent, blank, `unknown`, `na` or `n/a` in any case, or with a no-break space anywhere.
    #[must_use]
    pub fn usable(text: Option<&str>) -> Option<Self> {
        let text = stored(text?)?;
        let key = text.to_lowercase();
        let usable = !text.contains('\u{a0}') && !["unknown", "na", "n/a"].contains(&key.as_str());
        usable.then(|| Self(key.into()))
    }

    /// The number in the form in which it is compared, for a lookup.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A number text as it is stored: trimmed, and absent when nothing is left. A no-break space is no white space here.
pub(super) fn stored(text: &str) -> Option<&str> {
    Some(text.trim_matches(|c: char| c.is_ascii_whitespace())).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usable(text: &str) -> Option<String> {
        GmcNumber::usable(Some(text)).map(|number| number.as_str().to_owned())
    }

    #[test]
    fn a_number_is_compared_trimmed_and_without_case() {
        assert_eq!(usable(" 7012345\t").as_deref(), Some("7012345"));
        assert_eq!(usable("X12A").as_deref(), Some("x12a"));
    }

    #[test]
    fn what_says_that_there_is_no_number_is_none() {
        for text in ["", "  ", "UNKNOWN", " unknown ", "Na", "N/A", "n/a", "701\u{a0}2345", "\u{a0}", "7012345\u{a0}"] {
            assert_eq!(usable(text), None, "{text:?}");
        }
        assert_eq!(GmcNumber::usable(None), None);
    }

    #[test]
    fn an_unusable_text_is_stored_as_it_came_and_a_blank_one_not_at_all() {
        assert_eq!(stored(" UNKNOWN "), Some("UNKNOWN"));
        assert_eq!(stored("\u{a0}7 "), Some("\u{a0}7"));
        assert_eq!(stored(" \t"), None);
    }
}
