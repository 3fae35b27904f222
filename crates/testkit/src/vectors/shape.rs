//! Reading a case strictly: what is not known is an error.

use serde_json::{Map, Value};

use super::BadCase;

/// The members of the object `value` at `path`, which has all of `required`, any of `optional`, and no other.
///
/// # Errors
/// Not an object, a member that is missing, a member that is not known.
pub fn object<'a>(
    path: &str,
    value: &'a Value,
    required: &[&str],
    optional: &[&str],
) -> Result<&'a Map<String, Value>, BadCase> {
    let Value::Object(members) = value else { return Err(BadCase::new(format!("{path} is not an object"))) };
    if let Some(missing) = required.iter().find(|name| !members.contains_key(**name)) {
        return Err(BadCase::new(format!("{path} has no member {missing:?}")));
    }
    let known = |name: &String| required.contains(&name.as_str()) || optional.contains(&name.as_str());
    match members.keys().find(|name| !known(name)) {
        Some(unknown) => Err(BadCase::new(format!("{path} has the unknown member {unknown:?}"))),
        None => Ok(members),
    }
}

/// The items of the array `value` at `path`.
///
/// # Errors
/// Not an array.
pub fn list<'a>(path: &str, value: &'a Value) -> Result<&'a [Value], BadCase> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| BadCase::new(format!("{path} is not an array")))
}

/// The text `value` at `path`.
///
/// # Errors
/// Not a string.
pub fn text<'a>(path: &str, value: &'a Value) -> Result<&'a str, BadCase> {
    value.as_str().ok_or_else(|| BadCase::new(format!("{path} is not a text")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_member_that_is_not_known_is_an_error() {
        let value = json!({"run": "retry_job", "tims": 2});
        let error = object("when[0]", &value, &["run"], &["times"]).unwrap_err();
        assert_eq!(error.to_string(), r#"when[0] has the unknown member "tims""#);
    }

    #[test]
    fn a_member_that_is_missing_is_an_error() {
        let error = object("given", &json!({"http": {}}), &["tables"], &["http"]).unwrap_err();
        assert_eq!(error.to_string(), r#"given has no member "tables""#);
    }

    #[test]
    fn known_members_are_given() {
        let value = json!({"run": "retry_job", "times": 2});
        assert_eq!(object("when[0]", &value, &["run"], &["times", "batch_size"]).unwrap().len(), 2);
    }

    #[test]
    fn an_item_of_another_type_is_an_error() {
        assert!(object("given", &json!([]), &[], &[]).is_err());
        assert!(list("when", &json!({})).is_err());
        assert!(text("name", &json!(1)).is_err());
    }
}
