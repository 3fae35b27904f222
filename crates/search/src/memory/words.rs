//! Text as the standard analyser takes it apart.

/// The words of a text in lower case: letters, digits and `_` that stand together, and a dot or apostrophe between two letters or
/// two digits. (The engine follows Unicode's word boundaries, which part some scripts further.)
pub(super) fn words(text: &str) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    let mut words = Vec::new();
    let mut word = String::new();
    for (place, &letter) in letters.iter().enumerate() {
        let before = place.checked_sub(1).and_then(|place| letters.get(place));
        let after = letters.get(place + 1);
        if letter.is_alphanumeric() || letter == '_' || joins(letter, before, after) {
            word.extend(letter.to_lowercase());
        } else if !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

fn joins(letter: char, before: Option<&char>, after: Option<&char>) -> bool {
    let (Some(before), Some(after)) = (before, after) else { return false };
    let between_letters = before.is_alphabetic() && after.is_alphabetic();
    let between_digits = before.is_numeric() && after.is_numeric();
    match letter {
        '.' | '\'' | '’' => between_letters || between_digits,
        ',' => between_digits,
        ':' => between_letters,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn text_is_parted_as_the_standard_analyser_parts_it() {
        for (text, expected) in [
            ("1-1RSSQ05", vec!["1", "1rssq05"]),
            ("Dr. O'Neill, A&E", vec!["dr", "o'neill", "a", "e"]),
            ("Health Education England (North_West)", vec!["health", "education", "england", "north_west"]),
            ("v1.5 e.g. a.b", vec!["v1.5", "e.g", "a.b"]),
            ("", vec![]),
            ("--", vec![]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }
}
