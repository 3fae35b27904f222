use serde_json::json;

use super::*;

const ONE: &str = "7d444840-9dc0-41d1-b245-5ffdce74fad2";
const TWO: &str = "3f0a1c52-1b7e-4b0e-9a51-0d7d9c1f2a33";

fn equal(expected: &Value, actual: &Value) -> Vec<Mismatch> {
    let mut compare = Compare::default();
    compare.equal("", expected, actual);
    compare.mismatches
}

fn set(expected: &Value, actual: &Value) -> Vec<Mismatch> {
    let mut compare = Compare::default();
    compare.set("rows", expected.as_array().unwrap(), actual.as_array().unwrap(), &Compare::equal);
    compare.mismatches
}

fn sequences(expected: &Value, actual: &Value) -> Vec<Mismatch> {
    let mut compare = Compare::default();
    compare.sequences("topic", "key", expected.as_array().unwrap(), actual.as_array().unwrap(), &Compare::equal);
    compare.mismatches
}

#[test]
fn numbers_are_compared_as_numbers() {
    assert_eq!(equal(&json!({"n": [80, 2.5, -1]}), &json!({"n": [80.0, 2.5, -1.0]})), []);
    assert_eq!(equal(&json!(80), &json!(80.5)), [Mismatch::new("", "80", "80.5")]);
    assert_eq!(equal(&json!(80), &json!("80")), [Mismatch::new("", "80", "\"80\"")]);
}

#[test]
fn large_whole_numbers_are_not_rounded() {
    assert_eq!(equal(&json!(9_007_199_254_740_993_i64), &json!(9_007_199_254_740_992_i64)).len(), 1);
    assert_eq!(equal(&json!(u64::MAX), &json!(u64::MAX - 1)).len(), 1);
    assert_eq!(equal(&json!(9_007_199_254_740_993_i64), &json!(9_007_199_254_740_992.0)).len(), 1);
}

#[test]
fn a_member_that_the_expectation_forgot_is_noticed() {
    let found = equal(&json!({"id": 1, "in": {"a": 1}}), &json!({"id": 1, "in": {"a": 1, "b": null}}));
    assert_eq!(found, [Mismatch::new("in.b", "nothing", "null")]);
}

#[test]
fn a_null_that_is_expected_must_be_there() {
    assert_eq!(equal(&json!({"a": null}), &json!({})), [Mismatch::new("a", "null", "nothing")]);
}

#[test]
fn items_of_an_array_keep_their_order() {
    assert_eq!(equal(&json!([1, 2]), &json!([2, 1])).len(), 2);
    assert_eq!(equal(&json!([1]), &json!([1, 2])), [Mismatch::new("[1]", "nothing", "2")]);
}

#[test]
fn having_members_allows_others() {
    let mut compare = Compare::default();
    compare.has("after", &json!({"A": 1}), &json!({"A": 1.0, "B": 2}));
    assert_eq!(compare.mismatches, []);
    compare.has("after", &json!({"A": 1, "C": null}), &json!({"A": 2, "B": 2}));
    assert_eq!(compare.mismatches, [Mismatch::new("after.A", "1", "2"), Mismatch::new("after.C", "null", "nothing")]);
    let mut compare = Compare::default();
    compare.has("after", &json!({}), &Value::Null);
    assert_eq!(compare.mismatches.len(), 1, "no image is not an image without members");
}

#[test]
fn containing_a_text_is_exact_about_case() {
    let mut compare = Compare::default();
    compare.contains("note", &json!("person"), &json!("unknown person 1"));
    assert_eq!(compare.mismatches, []);
    compare.contains("note", &json!("Person"), &json!("unknown person 1"));
    compare.contains("note", &json!("person"), &Value::Null);
    assert_eq!(compare.mismatches.len(), 2);
}

#[test]
fn rows_of_a_set_come_in_any_order() {
    assert_eq!(set(&json!([{"id": 1}, {"id": 2}, {"id": 2}]), &json!([{"id": 2}, {"id": 1}, {"id": 2}])), []);
}

#[test]
fn a_row_too_few_or_too_many_is_named() {
    assert_eq!(
        set(&json!([{"id": 1}, {"id": 1}]), &json!([{"id": 1}])),
        [Mismatch::new("rows[1]", r#"{"id":1}"#, "nothing")]
    );
    assert_eq!(set(&json!([]), &json!([{"id": 1}])), [Mismatch::new("rows[]", "nothing", r#"{"id":1}"#)]);
}

#[test]
fn a_row_that_differs_is_shown_beside_the_nearest() {
    let expected = json!([{"id": 1, "status": "NEW", "n": 0}, {"id": 2, "status": "RETRY", "n": 1}]);
    let actual = json!([{"id": 2, "status": "FAILED", "n": 1}, {"id": 1, "status": "NEW", "n": 0}]);
    assert_eq!(set(&expected, &actual), [Mismatch::new("rows[1].status", "\"RETRY\"", "\"FAILED\"")]);
}

#[test]
fn an_arrangement_is_found_where_the_first_fit_would_block_another() {
    let rule =
        |compare: &mut Compare, path: &str, expected: &Value, actual: &Value| compare.has(path, expected, actual);
    let mut compare = Compare::default();
    let actual = [json!({"id": 1, "note": "x"}), json!({"id": 1, "note": "y"})];
    compare.set("rows", &[json!({"id": 1}), json!({"id": 1, "note": "x"})], &actual, &rule);
    assert_eq!(compare.mismatches, []);
}

#[test]
fn a_placeholder_binds_once_and_across_parts() {
    let mut compare = Compare::default();
    compare.set("ids", &[json!({"id": "{{amt:1}}", "of": 1})], &[json!({"id": ONE, "of": 1})], &Compare::equal);
    compare.equal("key", &json!("{{amt:1}}"), &json!(ONE));
    assert_eq!(compare.mismatches, []);
    compare.equal("key", &json!("{{amt:1}}"), &json!(TWO));
    assert_eq!(
        compare.mismatches,
        [Mismatch::new("key", format!("{{{{amt:1}}}}, which is {ONE}, as before"), format!("\"{TWO}\""))]
    );
}

#[test]
fn a_placeholder_inside_one_row_cannot_stand_for_two_values() {
    assert_eq!(set(&json!([{"key": "{{a:1}}", "id": "{{a:1}}"}]), &json!([{"key": ONE, "id": TWO}])).len(), 1);
}

#[test]
fn two_placeholders_find_their_rows_whatever_the_order() {
    let expected = json!([{"id": "{{a:1}}"}, {"id": "{{a:2}}", "of": 2}]);
    assert_eq!(set(&expected, &json!([{"id": ONE, "of": 2}, {"id": TWO}])), []);
    assert_eq!(set(&json!(["{{a:1}}", "{{a:2}}"]), &json!([ONE, ONE])).len(), 1, "two ids may not be one");
}

#[test]
fn a_binding_that_was_only_tried_is_forgotten() {
    let mut compare = Compare::default();
    compare.set("rows", &[json!({"id": "{{a:1}}", "of": 1})], &[json!({"id": ONE, "of": 2})], &Compare::equal);
    assert_eq!(compare.mismatches.len(), 1);
    let mut compare = Compare::default();
    let actual = [json!({"id": ONE, "of": 2}), json!({"id": TWO, "of": 1})];
    compare.set("rows", &[json!({"id": "{{a:1}}", "of": 1}), json!({"id": ONE, "of": 2})], &actual, &Compare::equal);
    assert_eq!((compare.bindings().get("a:1"), compare.mismatches()), (Some(TWO), [].as_slice()));
}

#[test]
fn messages_keep_their_order_for_one_key_only() {
    let expected = json!([{"key": "a", "n": 1}, {"key": "a", "n": 2}, {"key": "b", "n": 1}]);
    assert_eq!(sequences(&expected, &json!([{"key": "b", "n": 1}, {"key": "a", "n": 1}, {"key": "a", "n": 2}])), []);
    let swapped = sequences(&expected, &json!([{"key": "a", "n": 2}, {"key": "b", "n": 1}, {"key": "a", "n": 1}]));
    assert_eq!(swapped, [Mismatch::new("topic[\"a\"][0].n", "1", "2"), Mismatch::new("topic[\"a\"][1].n", "2", "1")]);
}

#[test]
fn a_message_too_many_for_a_key_is_named() {
    let found = sequences(&json!([{"key": "{{a:1}}", "n": 1}]), &json!([{"key": ONE, "n": 1}, {"key": ONE, "n": 2}]));
    assert_eq!(found, [Mismatch::new("topic[\"{{a:1}}\"][1]", "nothing", json!({"key": ONE, "n": 2}))]);
}

#[test]
fn long_values_are_cut_in_the_report() {
    let found = equal(&json!("ø".repeat(5000)), &json!(1));
    assert!(found[0].expected.ends_with("… (10002 bytes)"), "{}", found[0].expected);
}
