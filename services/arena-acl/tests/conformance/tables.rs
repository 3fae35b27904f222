//! The pure functions, each input with its output (docs/spec/arena-acl/README.md section 3).

use arena_acl::eval::eval;
use chrono::{NaiveDate, NaiveDateTime};
use serde_json::Value;
use testkit::vectors::{BadCase, Compare, Verdict, text};

/// Calls the function of `body` and compares.
pub(crate) fn run(body: &Value) -> Result<Verdict, BadCase> {
    let function = text("function", &body["function"])?;
    let (input, expected) = (&body["in"], &body["out"]);
    let mut actual = eval(function, input).map_err(|error| BadCase::because(function, &error))?;
    if function == "parse-time"
        && same_time(&input["kind"], &expected["value"], &actual["value"])
        && let Some(members) = actual.as_object_mut()
    {
        members.insert("value".to_owned(), expected["value"].clone());
    }
    let mut compare = Compare::default();
    compare.equal("out", expected, &actual);
    Ok(compare.verdict())
}

/// Whether two texts are the same date or the same local time, however they are written.
fn same_time(kind: &Value, one: &Value, other: &Value) -> bool {
    let (Some(one), Some(other)) = (one.as_str(), other.as_str()) else { return false };
    if kind == "date" {
        matches!((one.parse::<NaiveDate>(), other.parse::<NaiveDate>()), (Ok(one), Ok(other)) if one == other)
    } else {
        matches!((one.parse::<NaiveDateTime>(), other.parse::<NaiveDateTime>()), (Ok(one), Ok(other)) if one == other)
    }
}
