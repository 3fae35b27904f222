//! Comparison of an expectation with what was observed.

use serde_json::{Map, Number, Value};

use super::{Bindings, Mismatch, Verdict, matching};

/// How one row or message is compared: the path for mismatches, what is expected, what is there.
pub type Rule<'a> = &'a dyn Fn(&mut Compare, &str, &Value, &Value);

/// Collects mismatches and binds placeholders while the parts of an expectation are compared.
///
/// Compare the part that tells ids apart first (a table of translations): there each placeholder finds its value beyond doubt.
#[derive(Debug, Clone, Default)]
pub struct Compare {
    bindings: Bindings,
    mismatches: Vec<Mismatch>,
}

impl Compare {
    /// A comparison in which `bindings` already hold.
    #[must_use]
    pub fn with(bindings: Bindings) -> Self {
        Self { bindings, mismatches: Vec::new() }
    }

    /// What the placeholders stand for so far.
    #[must_use]
    pub fn bindings(&self) -> &Bindings {
        &self.bindings
    }

    /// What was found so far.
    #[must_use]
    pub fn mismatches(&self) -> &[Mismatch] {
        &self.mismatches
    }

    /// Passed if nothing was found.
    #[must_use]
    pub fn verdict(self) -> Verdict {
        if self.mismatches.is_empty() { Verdict::Passed } else { Verdict::Failed(self.mismatches) }
    }

    /// Notes that `path` is not as expected; `None` is shown as `nothing`.
    pub fn differs(&mut self, path: &str, expected: Option<&Value>, actual: Option<&Value>) {
        self.mismatches.push(Mismatch::new(path, shown(expected), shown(actual)));
    }

    /// The same value: members in any order but no more and no fewer, items in order, numbers as numbers, placeholders bound.
    pub fn equal(&mut self, path: &str, expected: &Value, actual: &Value) {
        match (expected, actual) {
            (Value::String(text), _) if Bindings::name(text).is_some() => self.placeholder(path, text, actual),
            (Value::Object(expected), Value::Object(actual)) => {
                self.members(path, expected, actual);
                for (name, value) in actual.iter().filter(|(name, _)| !expected.contains_key(*name)) {
                    self.differs(&member(path, name), None, Some(value));
                }
            }
            (Value::Array(expected), Value::Array(actual)) => self.items(path, expected, actual, &Self::equal),
            (Value::Number(one), Value::Number(other)) if same_number(one, other) => {}
            _ if expected == actual => {}
            _ => self.differs(path, Some(expected), Some(actual)),
        }
    }

    /// Every member of `expected` is in `actual` with an equal value; what else `actual` has does not count.
    pub fn has(&mut self, path: &str, expected: &Value, actual: &Value) {
        match (expected, actual) {
            (Value::Object(expected), Value::Object(actual)) => self.members(path, expected, actual),
            _ => self.differs(path, Some(expected), Some(actual)),
        }
    }

    /// The text `actual` contains the text `expected`.
    pub fn contains(&mut self, path: &str, expected: &Value, actual: &Value) {
        match (expected, actual) {
            (Value::String(part), Value::String(whole)) if whole.contains(part.as_str()) => {}
            _ => {
                self.mismatches.push(Mismatch::new(path, format!("a text with {expected} in it"), shown(Some(actual))))
            }
        }
    }

    /// The same rows in any order, no more and no fewer, each compared by `rule`.
    ///
    /// If no arrangement fits, each row is paired with the one that is nearest, and their differences are the mismatches.
    pub fn set(&mut self, path: &str, expected: &[Value], actual: &[Value], rule: Rule<'_>) {
        let expected: Vec<_> =
            expected.iter().enumerate().map(|(at, row)| (format!("{path}[{at}]"), row.clone())).collect();
        matching::pair(self, path, &expected, actual, rule);
    }

    /// The same messages, in order among those with one `key` (a member), free between keys, each compared by `rule`.
    pub fn sequences(&mut self, path: &str, key: &str, expected: &[Value], actual: &[Value], rule: Rule<'_>) {
        let expected: Vec<_> = by_key(key, expected)
            .into_iter()
            .map(|(key, messages)| (format!("{path}[{key}]"), Value::Array(messages)))
            .collect();
        let actual: Vec<_> = by_key(key, actual).into_iter().map(|(_, messages)| Value::Array(messages)).collect();
        matching::pair(self, path, &expected, &actual, &|compare, path, expected, actual| {
            if let (Value::Array(expected), Value::Array(actual)) = (expected, actual) {
                compare.items(path, expected, actual, rule);
            }
        });
    }

    fn members(&mut self, path: &str, expected: &Map<String, Value>, actual: &Map<String, Value>) {
        for (name, value) in expected {
            match actual.get(name) {
                Some(found) => self.equal(&member(path, name), value, found),
                None => self.differs(&member(path, name), Some(value), None),
            }
        }
    }

    fn items(&mut self, path: &str, expected: &[Value], actual: &[Value], rule: Rule<'_>) {
        for at in 0..expected.len().max(actual.len()) {
            let path = format!("{path}[{at}]");
            match (expected.get(at), actual.get(at)) {
                (Some(expected), Some(actual)) => rule(self, &path, expected, actual),
                (expected, actual) => self.differs(&path, expected, actual),
            }
        }
    }

    fn placeholder(&mut self, path: &str, placeholder: &str, actual: &Value) {
        let name = Bindings::name(placeholder).unwrap_or_default();
        let refused = match actual {
            Value::String(text) => self.bindings.bind(name, text).err().map(|refused| refused.to_string()),
            _ => Some("a text".to_owned()),
        };
        if let Some(wanted) = refused {
            let expected = format!("{placeholder}, which is {wanted}");
            self.mismatches.push(Mismatch::new(path, expected, shown(Some(actual))));
        }
    }
}

/// Whether two numbers have the same value, however they are written: `80` is `80.0`.
#[must_use]
pub fn same_number(one: &Number, other: &Number) -> bool {
    match (whole(one), whole(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one.as_f64() == other.as_f64(),
    }
}

fn whole(number: &Number) -> Option<i128> {
    if let Some(signed) = number.as_i64() {
        return Some(i128::from(signed));
    }
    if let Some(unsigned) = number.as_u64() {
        return Some(i128::from(unsigned));
    }
    let float = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 1e30)?;
    #[expect(clippy::cast_possible_truncation, reason = "a whole number below 1e30 fits")]
    let whole = float as i128;
    Some(whole)
}

fn member(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Long values are cut: a mismatch is for reading.
fn shown(value: Option<&Value>) -> String {
    const MOST: usize = 600;
    let Some(value) = value else { return "nothing".to_owned() };
    let text = value.to_string();
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}… ({} bytes)", text.get(..end).unwrap_or_default(), text.len()),
        None => text,
    }
}

fn by_key(key: &str, messages: &[Value]) -> Vec<(String, Vec<Value>)> {
    let mut groups: Vec<(String, Vec<Value>)> = Vec::new();
    for message in messages {
        let own = message.get(key).map_or_else(|| "no key".to_owned(), Value::to_string);
        match groups.iter_mut().find(|(key, _)| *key == own) {
            Some((_, group)) => group.push(message.clone()),
            None => groups.push((own, vec![message.clone()])),
        }
    }
    groups
}

#[cfg(test)]
mod tests;
