use std::{fs, path::Path};

use super::*;

#[test]
fn every_published_row_has_its_answer() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut functions = Vec::new();
    for file in fs::read_dir(&folder).unwrap() {
        let document: Value = serde_json::from_slice(&fs::read(file.unwrap().path()).unwrap()).unwrap();
        if document["kind"] != "table" {
            continue;
        }
        let function = document["function"].as_str().unwrap();
        for row in document["rows"].as_array().unwrap() {
            assert_eq!(eval(function, &row["in"]).as_ref(), Ok(&row["out"]), "{function}: {}", row["name"]);
        }
        functions.push(function.to_owned());
    }
    functions.sort();
    functions.dedup();
    let expected = ["aarsak", "clean-text", "gjennomforing-valid", "parse-time", "status", "supported", "tiltakskode"];
    assert_eq!(functions, expected, "no file is missing");
}

#[test]
fn an_unknown_function_is_an_error() {
    for function in ["", "Status", "status ", "nothing"] {
        assert_eq!(eval(function, &json!({})), Err(EvalError::UnknownFunction));
    }
}

#[test]
fn a_member_that_is_absent_or_wrong_is_named() {
    for (function, input, member) in [
        ("supported", json!({}), "arena_kode"),
        ("supported", json!(null), "arena_kode"),
        ("supported", json!({"arena_kode": 7}), "arena_kode"),
        ("tiltakskode", json!({"tiltakskode": null}), "tiltakskode"),
        ("parse-time", json!({"text": "x", "kind": "time"}), "kind"),
        ("parse-time", json!({"text": null, "kind": "date"}), "text"),
        ("clean-text", json!({"json": "no literal"}), "json"),
        ("clean-text", json!({"json": "7"}), "json"),
        ("gjennomforing-valid", json!({"row": []}), "row"),
        ("gjennomforing-valid", json!({"row": {"SAK_ID": "x"}}), "row"),
        ("gjennomforing-valid", json!({}), "row"),
        ("aarsak", json!({"arena_status": "x"}), "arena_status"),
        ("aarsak", json!({"arena_status": "GJENN", "status": "PABEGYNT_REGISTRERING"}), "status"),
        ("aarsak", json!({"arena_status": "GJENN", "status": "DELTAR", "arena_aarsak": "x"}), "arena_aarsak"),
        ("aarsak", json!({"arena_status": "GJENN", "status": "DELTAR"}), "gjennomforing_avsluttet"),
        ("status", json!({"arena_status": "GJENN", "start": "10.03.2025"}), "start"),
    ] {
        assert_eq!(eval(function, &input), Err(EvalError::Member(member)), "{function} {input}");
    }
}

#[test]
fn unknown_members_do_not_matter() {
    let input = json!({"arena_kode": "JOBBK", "other": []});
    assert_eq!(eval("supported", &input), Ok(json!({"supported": true})));
}

#[test]
fn text_is_cleaned_as_in_a_record() {
    let input = json!({"json": "\"\\u0000C:\\\\u0000\\ud800\0\""});
    assert_eq!(eval("clean-text", &input), Ok(json!({"text": "C:\\u0000\u{fffd}"})));
}
