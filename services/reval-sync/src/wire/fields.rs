//! Members of a JSON object as typed values.

use chrono::{NaiveDate, NaiveDateTime};
use domain::reval_sync::Text;
use serde_json::{Map, Value};

use super::{Unreadable, dates};

/// The members of one object.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    pub(super) fn of(value: &'a Value) -> Result<Self, Unreadable> {
        value.as_object().map(Self).ok_or_else(|| Unreadable::new("wrong_type", "not an object"))
    }

    /// The member, unless it is null.
    pub(super) fn get(self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// Whether the member is there, also as null.
    pub(super) fn has(self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A text; a number or a boolean is read as the text that it is written with, as the original's mapper did.
    pub(super) fn text(self, name: &str) -> Result<Option<Text>, Unreadable> {
        self.get(name).map(|value| text(value).ok_or_else(|| wrong(name, "a text"))).transpose()
    }

    pub(super) fn whole(self, name: &str) -> Result<Option<i64>, Unreadable> {
        self.get(name).map(|value| whole(value).ok_or_else(|| wrong(name, "a whole number"))).transpose()
    }

    pub(super) fn flag(self, name: &str) -> Result<Option<bool>, Unreadable> {
        let flag = |value: &Value| value.as_bool().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
        self.get(name).map(|value| flag(value).ok_or_else(|| wrong(name, "true or false"))).transpose()
    }

    pub(super) fn date(self, name: &str) -> Result<Option<NaiveDate>, Unreadable> {
        self.dated(name).map(|value| dates::date(value).ok_or_else(|| bad_date(name))).transpose()
    }

    pub(super) fn time(self, name: &str) -> Result<Option<NaiveDateTime>, Unreadable> {
        self.dated(name).map(|value| dates::time(value).ok_or_else(|| bad_date(name))).transpose()
    }

    /// An empty text is no date, rather than a bad one, as the original's mapper had it.
    fn dated(self, name: &str) -> Option<&'a Value> {
        self.get(name).filter(|value| value.as_str().is_none_or(|text| !text.trim().is_empty()))
    }
}

/// A text, or a scalar as a text.
pub(super) fn text(value: &Value) -> Option<Text> {
    match value {
        Value::String(text) => Some(text.as_str().into()),
        Value::Number(number) => Some(number.to_string().into()),
        Value::Bool(flag) => Some(flag.to_string().into()),
        _ => None,
    }
}

/// A whole number: as such, in text, or as `{"$numberLong": "…"}`.
fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Object(members) => {
            members.get("$numberLong").or_else(|| members.get("$numberInt"))?.as_str()?.parse().ok()
        }
        _ => None,
    }
}

fn wrong(name: &str, expected: &str) -> Unreadable {
    Unreadable::new("wrong_type", format!("{name} is not {expected}"))
}

fn bad_date(name: &str) -> Unreadable {
    Unreadable::new("bad_date", format!("{name} is not a date"))
}
