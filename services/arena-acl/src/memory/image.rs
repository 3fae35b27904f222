//! What the store itself reads in a row image.

use domain::arena_acl::CourseId;
use serde_json::Value;

/// The course in a row image, as the function `arena_course_id` of the migrations has it: null or blank is 0, blanks around the digits and
/// a fraction are dropped; `None` for what is no number of 64 bits.
pub(super) fn course(image: &str) -> Option<CourseId> {
    let Ok(Value::Object(columns)) = serde_json::from_str(image) else { return None };
    let id = match columns.get("TILTAKGJENNOMFORING_ID") {
        None | Some(Value::Null) => 0,
        Some(Value::Number(number)) => number.as_i64().or_else(|| whole(number.as_f64()?))?,
        Some(Value::String(text)) if text.trim().is_empty() => 0,
        Some(Value::String(text)) => text.trim().parse().ok()?,
        Some(_) => return None,
    };
    Some(CourseId(id))
}

#[expect(clippy::cast_possible_truncation, reason = "the fraction is what is dropped, and the range is checked")]
fn whole(number: f64) -> Option<i64> {
    // beyond 2^53 a number has no fraction that could be meant
    (number.abs() < 9_007_199_254_740_992.0).then_some(number as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_course_is_read_by_the_rules_of_row_columns() {
        for (image, id) in [
            (r#"{"TILTAKGJENNOMFORING_ID":3001}"#, Some(3001)),
            (r#"{"TILTAKGJENNOMFORING_ID":3001.9}"#, Some(3001)),
            (r#"{"TILTAKGJENNOMFORING_ID":3e3}"#, Some(3000)),
            (r#"{"TILTAKGJENNOMFORING_ID":" 3001 "}"#, Some(3001)),
            (r#"{"TILTAKGJENNOMFORING_ID":null}"#, Some(0)),
            (r#"{"TILTAKGJENNOMFORING_ID":" "}"#, Some(0)),
            ("{}", Some(0)),
            (r#"{"TILTAKGJENNOMFORING_ID":"abc"}"#, None),
            (r#"{"TILTAKGJENNOMFORING_ID":{}}"#, None),
            (r#"{"TILTAKGJENNOMFORING_ID":1e300}"#, None),
            ("[3001]", None),
            ("{", None),
        ] {
            assert_eq!(course(image).map(|id| id.0), id, "{image}");
        }
    }
}
