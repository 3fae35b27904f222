//! What an index knows of its fields.

use chrono::{NaiveDate, NaiveDateTime};
use serde_json::{Map, Value};

use crate::engine::Source;

/// How a field can be asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// By its words.
    Text,
    /// By its value.
    Exact,
}

/// A field as a query names it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Field<'a> {
    /// Its place in a document.
    pub(super) path: Vec<&'a str>,
    /// The nested list that it is in, as a number of segments of `path`.
    pub(super) nested: Option<usize>,
    pub(super) kind: Kind,
}

/// The mapping of an index.
#[derive(Debug, Clone, Default)]
pub(super) struct Mapping {
    properties: Map<String, Value>,
    /// A field that is not mapped becomes text with a sub-field `keyword` when it first has a value.
    fixed: bool,
}

impl Mapping {
    /// The mapping in the body that an index is created with.
    pub(super) fn of(body: &Value) -> Self {
        let mappings = &body["mappings"];
        let fixed = matches!(&mappings["dynamic"], Value::Bool(false))
            || matches!(mappings["dynamic"].as_str(), Some("false" | "strict"));
        Self { properties: properties(mappings).cloned().unwrap_or_default(), fixed }
    }

    /// `None` for a field that no query finds.
    pub(super) fn field<'a>(&self, name: &'a str) -> Option<Field<'a>> {
        let mut path: Vec<&str> = name.split('.').collect();
        let mut nested = None;
        let mut known = Some(&self.properties);
        for place in 0..path.len() {
            let segment = *path.get(place)?;
            let Some(node) = known.and_then(|known| known.get(segment)) else {
                return if self.fixed { None } else { Some(guessed(path, nested)) };
            };
            if node["enabled"] == false {
                return None;
            }
            if node["type"] == "nested" {
                nested = Some(place + 1);
            }
            known = properties(node);
            if known.is_some() {
                continue;
            }
            let rest = path.split_off(place + 1);
            let kind = match rest.as_slice() {
                [] => kind(node)?,
                [sub] => kind(node["fields"].get(*sub)?)?,
                _ => return None,
            };
            return Some(Field { path, nested, kind });
        }
        None
    }

    /// Why the engine would refuse the document; `None` if it would not.
    pub(super) fn refuses(&self, source: &Source) -> Option<&'static str> {
        let refused =
            source.iter().any(|(name, value)| self.properties.get(name).is_some_and(|node| !accepts(node, value)));
        refused.then_some("mapper_parsing_exception")
    }
}

fn properties(node: &Value) -> Option<&Map<String, Value>> {
    node.get("properties").and_then(Value::as_object)
}

fn kind(node: &Value) -> Option<Kind> {
    if node["index"] == false {
        return None;
    }
    Some(if node["type"] == "text" { Kind::Text } else { Kind::Exact })
}

/// As the engine maps text that it meets first.
fn guessed(mut path: Vec<&str>, nested: Option<usize>) -> Field<'_> {
    if path.len() > 1 && path.last() == Some(&"keyword") {
        path.pop();
        return Field { path, nested, kind: Kind::Exact };
    }
    Field { path, nested, kind: Kind::Text }
}

fn accepts(node: &Value, value: &Value) -> bool {
    match value {
        Value::Null => return true,
        Value::Array(entries) => return entries.iter().all(|entry| accepts(node, entry)),
        _ => {}
    }
    if node["enabled"] == false {
        return true;
    }
    if let Some(known) = properties(node) {
        return value.as_object().is_some_and(|entry| {
            entry.iter().all(|(name, value)| known.get(name).is_none_or(|node| accepts(node, value)))
        });
    }
    match (node["type"].as_str(), value) {
        (Some("nested" | "object"), value) => value.is_object(),
        (_, Value::Object(_)) => false,
        (Some("long" | "integer"), Value::String(text)) => text.parse::<i64>().is_ok(),
        (Some("long" | "integer"), value) => value.is_number(),
        (Some("boolean"), Value::String(text)) => matches!(text.as_str(), "true" | "false" | ""),
        (Some("boolean"), value) => value.is_boolean(),
        (Some("date"), value) => is_date(node["format"].as_str(), value),
        _ => true,
    }
}

/// Whether it is a date in one of the formats in use here; any other format takes everything.
fn is_date(format: Option<&str>, value: &Value) -> bool {
    let text = value.as_str();
    match format {
        Some("uuuu-MM-dd") => {
            text.is_some_and(|text| text.len() == 10 && NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok())
        }
        Some("uuuu-MM-dd'T'HH:mm:ss.SSS") => text.is_some_and(|text| {
            text.len() == 23 && NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.3f").is_ok()
        }),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Kind, Mapping};

    fn mapping() -> Mapping {
        let text = json!({"type": "text", "fields": {"keyword": {"type": "keyword"}}});
        Mapping::of(&json!({"mappings": {"dynamic": false, "properties": {
            "name": text, "born": {"type": "date", "format": "uuuu-MM-dd"}, "person": {"type": "long"},
            "hidden": {"type": "nested", "properties": {"id": text}},
            "meta": {"type": "object", "enabled": false},
        }}}))
    }

    #[test]
    fn a_field_is_known_by_its_place_and_its_kind() {
        let mapping = mapping();
        let found = |name| mapping.field(name).map(|field| (field.path.join("."), field.nested, field.kind));
        assert_eq!(found("name"), Some(("name".to_owned(), None, Kind::Text)));
        assert_eq!(found("name.keyword"), Some(("name".to_owned(), None, Kind::Exact)));
        assert_eq!(found("hidden.id.keyword"), Some(("hidden.id".to_owned(), Some(1), Kind::Exact)));
        for unknown in ["other", "name.raw", "meta.run", "meta"] {
            assert_eq!(found(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn without_a_mapping_a_field_is_text_with_a_keyword() {
        let mapping = Mapping::of(&json!({}));
        assert_eq!(mapping.field("name").unwrap().kind, Kind::Text);
        assert_eq!(mapping.field("name.keyword").unwrap().kind, Kind::Exact);
    }

    #[test]
    fn a_value_of_another_type_is_refused() {
        let mapping = mapping();
        let refused = |source: serde_json::Value| mapping.refuses(source.as_object().unwrap()).is_some();
        for fine in [
            json!({"born": "1990-01-31", "person": 7, "hidden": [{"id": "a"}], "other": {"a": 1}}),
            json!({"born": null, "person": "7", "meta": {"run": 1}, "name": "x"}),
        ] {
            assert!(!refused(fine.clone()), "{fine}");
        }
        for bad in [
            json!({"born": "31/01/1990"}),
            json!({"born": "1990-02-31"}),
            json!({"person": "x"}),
            json!({"name": {"first": "x"}}),
            json!({"hidden": "x"}),
        ] {
            assert!(refused(bad.clone()), "{bad}");
        }
    }
}
