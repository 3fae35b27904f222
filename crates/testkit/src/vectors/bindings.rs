//! Placeholders: `{{amt:70001}}` stands for an id that the service makes up.

use std::collections::BTreeMap;

use serde_json::Value;
use uuid::{Uuid, Variant};

/// What each placeholder stands for. The first use binds it, every further use must agree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bindings {
    ids: BTreeMap<String, String>,
}

/// Why a value cannot be what a placeholder stands for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Ids are version 4 UUIDs in the usual form: lower case, with hyphens.
    #[error("a new version 4 UUID")]
    NotAnId,
    /// It is bound to this other value.
    #[error("{0}, as before")]
    Bound(String),
    /// The value belongs to this other placeholder.
    #[error("another value than {{{{{0}}}}} has")]
    Taken(String),
}

/// A placeholder that nothing has bound yet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the placeholder {{{{{0}}}}} is not bound yet")]
pub struct Unbound(pub String);

impl Bindings {
    /// The name inside, `amt:70001`, if `text` is a placeholder.
    #[must_use]
    pub fn name(text: &str) -> Option<&str> {
        text.strip_prefix("{{")?.strip_suffix("}}").filter(|name| !name.is_empty())
    }

    /// What `name` stands for, once bound.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.ids.get(name).map(String::as_str)
    }

    /// Says that `name` stands for `actual`. Twice the same is fine.
    ///
    /// # Errors
    /// `actual` is not a version 4 UUID, or `name` or `actual` is bound otherwise; nothing changes then.
    pub fn bind(&mut self, name: &str, actual: &str) -> Result<(), Refused> {
        match self.ids.get(name) {
            Some(bound) if bound == actual => return Ok(()),
            Some(bound) => return Err(Refused::Bound(bound.clone())),
            None => {}
        }
        if !is_new_id(actual) {
            return Err(Refused::NotAnId);
        }
        if let Some((other, _)) = self.ids.iter().find(|(_, bound)| bound.as_str() == actual) {
            return Err(Refused::Taken(other.clone()));
        }
        self.ids.insert(name.to_owned(), actual.to_owned());
        Ok(())
    }

    /// The placeholders in `value` that are not bound yet, each once, in order of their names.
    #[must_use]
    pub fn missing(&self, value: &Value) -> Vec<String> {
        let mut found = Vec::new();
        collect(value, &mut found);
        found.retain(|name| !self.ids.contains_key(name));
        found.sort();
        found.dedup();
        found
    }

    /// `value` with what each placeholder stands for, in texts and in names of members.
    ///
    /// # Errors
    /// A placeholder is not bound.
    pub fn fill(&self, value: &Value) -> Result<Value, Unbound> {
        Ok(match value {
            Value::String(text) => Value::String(self.fill_text(text)?),
            Value::Array(items) => Value::Array(items.iter().map(|item| self.fill(item)).collect::<Result<_, _>>()?),
            Value::Object(members) => Value::Object(
                members.iter().map(|(name, member)| Ok((self.fill_text(name)?, self.fill(member)?))).collect::<Result<
                    _,
                    Unbound,
                >>(
                )?,
            ),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        })
    }

    fn fill_text(&self, text: &str) -> Result<String, Unbound> {
        match Self::name(text) {
            Some(name) => self.get(name).map(str::to_owned).ok_or_else(|| Unbound(name.to_owned())),
            None => Ok(text.to_owned()),
        }
    }
}

fn is_new_id(text: &str) -> bool {
    Uuid::try_parse(text).is_ok_and(|id| {
        id.get_version_num() == 4 && id.get_variant() == Variant::RFC4122 && id.hyphenated().to_string() == text
    })
}

fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.extend(Bindings::name(text).map(str::to_owned)),
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(members) => {
            for (name, member) in members {
                found.extend(Bindings::name(name).map(str::to_owned));
                collect(member, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ONE: &str = "7d444840-9dc0-41d1-b245-5ffdce74fad2";
    const TWO: &str = "3f0a1c52-1b7e-4b0e-9a51-0d7d9c1f2a33";

    #[test]
    fn the_first_use_binds_and_the_next_must_agree() {
        let mut bindings = Bindings::default();
        assert_eq!(bindings.bind("amt:1", ONE), Ok(()));
        assert_eq!(bindings.bind("amt:1", ONE), Ok(()));
        assert_eq!(bindings.bind("amt:1", TWO), Err(Refused::Bound(ONE.to_owned())));
        assert_eq!(bindings.get("amt:1"), Some(ONE));
    }

    #[test]
    fn two_placeholders_do_not_share_a_value() {
        let mut bindings = Bindings::default();
        bindings.bind("amt:1", ONE).unwrap();
        assert_eq!(bindings.bind("amt:2", ONE), Err(Refused::Taken("amt:1".to_owned())));
        assert_eq!(bindings.get("amt:2"), None);
    }

    #[test]
    fn only_a_version_4_uuid_in_its_usual_form_is_a_new_id() {
        let mut bindings = Bindings::default();
        let others = [
            "",
            "70001",
            "00000000-0000-0000-0000-000000000000",
            "a1000bb9-0000-1000-8000-000000000bb9", // version 1
            "7d444840-9dc0-41d1-c245-5ffdce74fad2", // another variant
            "7D444840-9DC0-41D1-B245-5FFDCE74FAD2",
            "7d4448409dc041d1b2455ffdce74fad2",
        ];
        for other in others {
            assert_eq!(bindings.bind("amt:1", other), Err(Refused::NotAnId), "{other}");
        }
    }

    #[test]
    fn filling_replaces_texts_and_names_of_members() {
        let mut bindings = Bindings::default();
        bindings.bind("amt:1", ONE).unwrap();
        let filled = bindings.fill(&json!({"{{amt:1}}": [{"id": "{{amt:1}}", "n": 1}, "{{"]})).unwrap();
        assert_eq!(filled, json!({ONE: [{"id": ONE, "n": 1}, "{{"]}));
    }

    #[test]
    fn what_is_not_bound_is_named() {
        let mut bindings = Bindings::default();
        bindings.bind("amt:1", ONE).unwrap();
        let value = json!(["{{amt:3}}", "{{amt:1}}", {"{{amt:2}}": "{{amt:3}}"}]);
        assert_eq!(bindings.missing(&value), ["amt:2", "amt:3"]);
        assert_eq!(bindings.fill(&value), Err(Unbound("amt:3".to_owned())));
    }
}
