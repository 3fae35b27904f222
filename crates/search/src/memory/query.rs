//! Whether a query holds for a document.

use std::{cmp::Ordering, collections::BTreeSet};

use serde_json::Value;

use super::{
    mapping::{Kind, Mapping},
    words::words,
};
use crate::engine::{Query, Source};

/// A document as a query looks at it.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    mapping: &'a Mapping,
    source: &'a Source,
    /// The entry of a nested list that is looked at, under the name of the list.
    entry: Option<(&'a str, &'a Value)>,
}

impl<'a> View<'a> {
    pub(super) fn of(mapping: &'a Mapping, source: &'a Source) -> Self {
        Self { mapping, source, entry: None }
    }

    pub(super) fn holds(self, query: &'a Query) -> bool {
        match query {
            Query::All => true,
            Query::Term(field, wanted) => self.any(field, |kind, value| is(kind, value, wanted)),
            Query::Terms(field, wanted) => {
                self.any(field, |kind, value| wanted.iter().any(|wanted| is(kind, value, wanted)))
            }
            Query::Match(field, text) => self.any(field, |kind, value| matches(kind, value, text)),
            Query::Exists(field) => self.any(field, |_, _| true),
            Query::Missing(field) => !self.any(field, |_, _| true),
            Query::Below(field, limit) => self.any(field, |_, value| compare(value, limit) == Ordering::Less),
            Query::Differ(one, other) => self.distinct(one) != self.distinct(other),
            Query::Nested(list, query) => {
                let entries = self.source.get(list).map(flat).unwrap_or_default();
                entries.into_iter().any(|entry| Self { entry: Some((list, entry)), ..self }.holds(query))
            }
            Query::Every(queries) => queries.iter().all(|query| self.holds(query)),
            Query::Any(queries) => queries.iter().any(|query| self.holds(query)),
        }
    }

    /// What the engine orders the document by: the value, of several or of several words the least one; null without any.
    pub(super) fn order(self, field: &str) -> Value {
        let Some((kind, values)) = self.values(field) else { return Value::Null };
        let values = values.into_iter().flat_map(|value| match (kind, value) {
            (Kind::Text, Value::String(text)) => words(text).into_iter().map(Value::from).collect(),
            _ => vec![value.clone()],
        });
        values.min_by(compare).unwrap_or(Value::Null)
    }

    fn any(self, field: &str, holds: impl Fn(Kind, &Value) -> bool) -> bool {
        self.values(field).is_some_and(|(kind, values)| values.into_iter().any(|value| holds(kind, value)))
    }

    fn distinct(self, field: &str) -> BTreeSet<String> {
        self.values(field).map(|(_, values)| values.into_iter().map(Value::to_string).collect()).unwrap_or_default()
    }

    /// The values of a field that are not null; `None` if the field is not mapped, or is in another list than the one looked at.
    fn values(self, name: &str) -> Option<(Kind, Vec<&'a Value>)> {
        let field = self.mapping.field(name)?;
        let list = field.nested.and_then(|segments| field.path.get(..segments)).map(|path| path.join("."));
        let (start, path) = match (self.entry, &list, field.nested) {
            (None, None, _) => (self.source.get(*field.path.first()?).into_iter().collect(), field.path.get(1..)?),
            (Some((looked_at, entry)), Some(list), Some(segments)) if looked_at == list => {
                (vec![entry], field.path.get(segments..)?)
            }
            _ => return None,
        };
        let mut values: Vec<&Value> = start.into_iter().flat_map(flat).collect();
        for segment in path {
            values = values.into_iter().filter_map(|value| value.get(segment)).flat_map(flat).collect();
        }
        Some((field.kind, values))
    }
}

fn flat(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(entries) => entries.iter().flat_map(flat).collect(),
        value => vec![value],
    }
}

fn is(kind: Kind, value: &Value, wanted: &Value) -> bool {
    match (kind, value, wanted) {
        (Kind::Text, Value::String(text), Value::String(wanted)) => words(text).contains(wanted),
        _ => compare(value, wanted) == Ordering::Equal,
    }
}

fn matches(kind: Kind, value: &Value, text: &str) -> bool {
    match (kind, value) {
        (Kind::Text, Value::String(value)) => {
            let held = words(value);
            words(text).iter().any(|word| held.contains(word))
        }
        _ => value.as_str() == Some(text),
    }
}

/// Numbers before texts before booleans before nothing.
pub(super) fn compare(one: &Value, other: &Value) -> Ordering {
    match (one, other) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => a.as_f64().unwrap_or(f64::NAN).total_cmp(&b.as_f64().unwrap_or(f64::NAN)),
        },
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        _ => rank(one).cmp(&rank(other)),
    }
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Number(_) => 0,
        Value::String(_) => 1,
        Value::Bool(_) => 2,
        Value::Array(_) | Value::Object(_) => 3,
        Value::Null => 4,
    }
}
