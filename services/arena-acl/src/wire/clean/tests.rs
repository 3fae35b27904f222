use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn cleaned(record: &[u8]) -> String {
    clean(record).unwrap().into_owned()
}

/// A string escape in an object, cleaned and decoded.
fn decoded(escaped: &str) -> String {
    let json = format!(r#"{{"{escaped}":"{escaped}"}}"#);
    let Value::Object(object) = serde_json::from_str(&cleaned(json.as_bytes())).unwrap() else { panic!("an object") };
    let (name, value) = object.into_iter().next().unwrap();
    assert_eq!(value, *name, "names are cleaned like values");
    name
}

#[test]
fn a_clean_record_is_borrowed() {
    for record in ["", "{}", r#"{"A":"\\u0000","B":"\u0041\ud83d\ude00\"\n","C":[1e400,"Østfold"]}"#, "{", "\"\\"] {
        assert!(matches!(clean(record.as_bytes()), Ok(Cow::Borrowed(text)) if text == record), "{record}");
    }
}

#[test]
fn invalid_utf8_becomes_the_replacement_character() {
    assert_eq!(cleaned(b"{\"A\":\"\xff\xc3(\xed\xa0\x80\"}"), "{\"A\":\"\u{fffd}\u{fffd}(\u{fffd}\u{fffd}\u{fffd}\"}");
    // decoded before NUL bytes go: these two bytes are no letter
    assert_eq!(cleaned(b"\"\xc3\0\xb8\""), "\"\u{fffd}\u{fffd}\"");
}

#[test]
fn literal_nul_bytes_go_wherever_they_stand() {
    assert_eq!(cleaned(b"\0{\"A\0\":\0\"\0test\0\"}\0"), r#"{"A":"test"}"#);
    assert_eq!(cleaned(b"\"\\\0u00\x0000x\""), "\"x\"", "an escape that a NUL byte splits is one afterwards");
}

#[test]
fn escaped_nuls_go_from_strings() {
    assert_eq!(decoded(r"\u0000\u0000God oppfølging\u0000"), "God oppfølging");
    assert_eq!(decoded(r"\u0000"), "");
    assert_eq!(decoded(r"a\u0000\nb"), "a\nb");
}

#[test]
fn an_escaped_backslash_before_u0000_is_text() {
    assert_eq!(decoded(r"C:\\u0000"), r"C:\u0000");
    assert_eq!(decoded(r"C:\\\u0000"), r"C:\");
    assert_eq!(decoded(r"C:\\\\u0000"), r"C:\\u0000");
    assert_eq!(decoded(r#"\"\u0000\\"#), r#""\"#);
}

#[test]
fn lone_surrogates_become_the_replacement_character() {
    for (escaped, text) in [
        (r"\ud800", "\u{fffd}"),
        (r"\uDFFFx", "\u{fffd}x"),
        (r"\ud83d\ude00", "😀"),
        (r"\uD83D\uDE00", "😀"),
        (r"\ude00\ud83d", "\u{fffd}\u{fffd}"),
        (r"\ud83d\ud83d\ude00", "\u{fffd}😀"),
        (r"\ud83d\u0041", "\u{fffd}A"),
        (r"\ud83d\n\ude00", "\u{fffd}\n\u{fffd}"),
        (r"\ud83d\\ude00", "\u{fffd}\\ude00"),
        (r"\ud83d\u0000\ude00", "\u{fffd}\u{fffd}"), // surrogates pair before U+0000 goes, not after
    ] {
        assert_eq!(decoded(escaped), text, "{escaped}");
    }
}

#[test]
fn nothing_outside_strings_is_mended() {
    for record in [r"{}\u0000", r"\u0000{}", r#"{"A":1\u0000}"#, r#"{"A":\ud800}"#] {
        assert_eq!(cleaned(record.as_bytes()), record);
    }
}

#[test]
fn escapes_that_are_none_are_left_to_the_parser() {
    for record in [r#""\u+000""#, r#""\u00""#, r#""\u00g0""#, r#""\ø""#, r#""\u000"#, r#""\u00ø0""#, r#""\U0000""#] {
        assert_eq!(cleaned(record.as_bytes()), record);
        assert!(serde_json::from_str::<Value>(record).is_err(), "{record}");
    }
}

#[test]
fn the_depth_limit_is_the_one_of_the_parser() {
    for depth in 120..135 {
        for (open, close) in [("[", "]"), (r#"{"[{":"#, "}")] {
            let record = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            assert_eq!(clean(record.as_bytes()).is_ok(), serde_json::from_str::<Value>(&record).is_ok(), "{depth}");
        }
    }
    assert_eq!(clean(&b"[".repeat(1 << 20)), Err(TooDeep));
    assert!(clean(b"[{}]".repeat(1000).as_slice()).is_ok(), "what lies beside each other is not deep");
    assert!(clean(format!("\"{}\"", "[".repeat(1000)).as_bytes()).is_ok(), "brackets in a string are text");
}

/// What section 2.4 says, step by step on the decoded value.
fn model(value: Value) -> Value {
    let text = |text: String| text.replace('\0', "");
    match value {
        Value::String(string) => Value::String(text(string)),
        Value::Array(values) => values.into_iter().map(model).collect(),
        Value::Object(members) => members.into_iter().map(|(name, value)| (text(name), model(value))).collect(),
        other => other,
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a\\\\u0\"{}\\[\\]\0\n😀ø]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec(inner, 0..4).prop_map(|values| {
                // names that stay different without U+0000
                let member = |(place, value): (usize, Value)| (format!("{place}\0\\u0000\""), value);
                values.into_iter().enumerate().map(member).collect()
            }),
        ]
    })
}

proptest! {
    #[test]
    fn valid_json_is_cleaned_as_its_decoded_form_would_be(value in any_value()) {
        let json = value.to_string();
        let text = clean(json.as_bytes()).unwrap();
        prop_assert_eq!(matches!(text, Cow::Borrowed(_)), model(value.clone()) == value);
        prop_assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), model(value));
    }

    #[test]
    fn any_bytes_are_cleaned_once_and_for_all(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(once) = clean(&bytes) {
            prop_assert!(!once.contains('\0'));
            prop_assert!(matches!(clean(once.as_bytes()), Ok(Cow::Borrowed(twice)) if twice == once));
        }
    }

    #[test]
    fn any_escapes_are_cleaned_once_and_for_all(
        text in "([\"\\\\u0dD8cC9{}\\[ ]|\\\\u0000|\\\\ud83d|\\\\ude00|\\\\\\\\|\0|\u{e9}){0,30}"
    ) {
        let once = clean(text.as_bytes()).unwrap();
        prop_assert!(matches!(clean(once.as_bytes()), Ok(Cow::Borrowed(twice)) if twice == once));
    }
}
