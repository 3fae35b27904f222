use domain::arena_acl::ParticipantRow;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn record() -> Value {
    json!({
        "table": "SIAMO.TILTAKDELTAKER", "op_type": "I", "op_ts": "2025-03-10 11:59:58.120000",
        "current_ts": "2025-03-10 11:59:59.250000", "pos": "00000000071000600010", "before": null,
        "after": {"TILTAKDELTAKER_ID": 70001, "PERSON_ID": 5001},
    })
}

fn with(member: &str, value: Value) -> Value {
    let mut record = record();
    record[member] = value;
    record
}

fn without(member: &str) -> Value {
    let mut record = record();
    record.as_object_mut().unwrap().remove(member);
    record
}

fn reason(payload: impl AsRef<[u8]>) -> &'static str {
    read(payload.as_ref()).unwrap_err().reason
}

fn reason_of(record: &Value) -> &'static str {
    reason(record.to_string())
}

#[test]
fn a_record_becomes_a_change() {
    let item = read(record().to_string().as_bytes()).unwrap();
    assert_eq!(
        *item.change,
        Change {
            table: Table::Participants,
            arena_id: 70001,
            operation: Operation::Created,
            position: Position::new("71000600010").unwrap(),
            timestamp: time::operation_time("2025-03-10 11:59:58.120000").unwrap(),
            row: Row::Participant(ParticipantRow { id: 70001, person: Some(5001), ..ParticipantRow::default() }),
        }
    );
    assert_eq!(item.change.position.as_str(), "00000000071000600010", "as received");
    assert_eq!(
        (item.before.as_deref(), item.after.as_deref()),
        (None, Some(r#"{"PERSON_ID":5001,"TILTAKDELTAKER_ID":70001}"#))
    );
}

#[test]
fn the_operation_says_which_image_is_the_data_section() {
    let images = |op_type: &str, before: Value, after: Value| {
        let mut record = with("op_type", op_type.into());
        (record["before"], record["after"]) = (before, after);
        read(record.to_string().as_bytes()).map(|item| (item.change.operation, item.change.arena_id))
    };
    let (one, two) = (json!({"TILTAKDELTAKER_ID": 1}), json!({"TILTAKDELTAKER_ID": 2}));
    assert_eq!(images("I", one.clone(), two.clone()), Ok((Operation::Created, 2)));
    assert_eq!(images("U", one.clone(), two.clone()), Ok((Operation::Modified, 2)));
    assert_eq!(images("D", one.clone(), two.clone()), Ok((Operation::Deleted, 1)));
    assert_eq!(images("D", Value::Null, two).unwrap_err().reason, "MISSING_DATA");
    assert_eq!(images("U", one, Value::Null).unwrap_err().reason, "MISSING_DATA");
}

#[test]
fn every_table_has_its_own_id_column() {
    let ids = json!({"TILTAKGJENNOMFORING_ID": "1", "TILTAKDELTAKER_ID": 2.5, "HIST_TILTAKDELTAKER_ID": 3});
    for (table, id) in [(Table::Courses, 1), (Table::Participants, 2), (Table::History, 3)] {
        let mut record = with("table", table.name().into());
        record["after"] = ids.clone();
        let change = read(record.to_string().as_bytes()).unwrap().change;
        assert_eq!((change.table, change.arena_id), (table, id));
        record["after"] = json!({});
        assert_eq!(read(record.to_string().as_bytes()).unwrap().change.arena_id, 0);
    }
}

#[test]
fn the_other_image_never_fails_a_record() {
    for (other, stored) in [
        (json!({"TILTAKDELTAKER_ID": []}), Some(r#"{"TILTAKDELTAKER_ID":[]}"#)),
        (json!("text"), None),
        (json!([{}]), None),
        (json!(7), None),
        (json!(false), None),
        (Value::Null, None),
    ] {
        let item = read(with("before", other).to_string().as_bytes()).unwrap();
        assert_eq!(item.before.as_deref(), stored);
    }
}

#[test]
fn broken_json_is_malformed() {
    let whole = record().to_string();
    for payload in [
        "",
        " \n\t",
        "{",
        "nul",
        "{'a':1}",
        "{}{}",
        "{},",
        "{\"a\":1,}",
        "[1,2",
        "\"text",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":01}",
        "{\"a\":NaN}",
        "\u{feff}{}",
        "[] x",
        "7 7",
        "{}\\u0000",
    ] {
        assert_eq!(reason(payload), "MALFORMED_JSON", "{payload}");
    }
    for end in 0..whole.len() {
        assert_eq!(reason(&whole[..end]), "MALFORMED_JSON", "cut at {end}");
    }
    for rest in ["x", "{}", "null", ",", "]"] {
        assert_eq!(reason(format!("{whole}{rest}")), "MALFORMED_JSON", "{rest}");
    }
    assert!(read(format!(" \r\n{whole}\t\n ").as_bytes()).is_ok(), "white space is nothing");
}

#[test]
fn deep_nesting_is_malformed_wherever_it_lies() {
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    for member in ["unused", "before"] {
        let with = |depth| record().to_string().replacen('{', &format!(r#"{{"{member}":{},"#, nested(depth)), 1);
        assert!(read(with(126).as_bytes()).is_ok(), "{member}");
        assert_eq!(reason(with(127)), "MALFORMED_JSON", "{member}");
    }
    assert_eq!(reason(nested(100_000)), "MALFORMED_JSON");
}

#[test]
fn json_that_is_no_envelope_is_told_from_broken_json() {
    for payload in ["null", "7", "\"text\"", "[]", "[{}]", "true", " {} "] {
        assert_eq!(reason(payload), "ENVELOPE_INVALID", "{payload}");
    }
    for member in ["table", "op_type", "op_ts", "pos"] {
        assert_eq!(reason_of(&without(member)), "ENVELOPE_INVALID", "{member}");
        for value in [json!(null), json!({}), json!([]), json!(["x"])] {
            assert_eq!(reason_of(&with(member, value)), "ENVELOPE_INVALID", "{member}");
        }
    }
}

#[test]
fn a_position_is_1_to_20_digits_as_text_or_number() {
    for (pos, text) in [
        (json!("7"), "7"),
        (json!("007"), "007"),
        (json!(7), "7"),
        (json!(u64::MAX), "18446744073709551615"),
        (json!("99999999999999999999"), "99999999999999999999"),
    ] {
        assert_eq!(read(with("pos", pos).to_string().as_bytes()).unwrap().change.position.as_str(), text);
    }
    for pos in [json!(""), json!(" 7"), json!("+7"), json!("-7"), json!(-7), json!(7.0), json!("7e1"), json!(true)] {
        assert_eq!(reason_of(&with("pos", pos)), "ENVELOPE_INVALID");
    }
    assert_eq!(reason_of(&with("pos", "1".repeat(21).into())), "ENVELOPE_INVALID");
    assert_eq!(reason_of(&with("pos", "٧".into())), "ENVELOPE_INVALID", "a digit, but not a decimal one");
}

#[test]
fn scalars_that_mean_nothing_are_told_apart() {
    for table in [json!("SIAMO.TILTAK"), json!("siamo.tiltakdeltaker"), json!(""), json!(7), json!(true)] {
        assert_eq!(reason_of(&with("table", table)), "UNKNOWN_TABLE");
    }
    for op_type in [json!("i"), json!("T"), json!(""), json!("I "), json!(1)] {
        assert_eq!(reason_of(&with("op_type", op_type)), "UNKNOWN_OPERATION");
    }
    for op_ts in [json!("2025-03-10 11:59:58.120"), json!("2025-03-10T11:59:58.120000"), json!(""), json!(20250310)] {
        assert_eq!(reason_of(&with("op_ts", op_ts)), "BAD_TIMESTAMP");
    }
    assert_eq!(reason_of(&without("after")), "MISSING_DATA");
    assert_eq!(reason_of(&with("after", Value::Null)), "MISSING_DATA");
    for after in [json!("x"), json!([]), json!(7), json!({"PERSON_ID": "x"}), json!({"REG_DATO": {}})] {
        assert_eq!(reason_of(&with("after", after)), "BAD_ROW");
    }
}

#[test]
fn the_first_reason_in_the_order_of_the_table_counts() {
    let mut record = json!({"table": "x", "op_type": "x", "op_ts": "x", "pos": "x", "after": null});
    assert_eq!(reason(format!("{record},")), "MALFORMED_JSON");
    assert_eq!(reason_of(&record), "ENVELOPE_INVALID");
    record["pos"] = "1".into();
    assert_eq!(reason_of(&record), "UNKNOWN_TABLE");
    record["table"] = "SIAMO.HIST_TILTAKDELTAKER".into();
    assert_eq!(reason_of(&record), "UNKNOWN_OPERATION");
    record["op_type"] = "U".into();
    assert_eq!(reason_of(&record), "BAD_TIMESTAMP");
    record["op_ts"] = "2025-03-10 11:59:58.120000".into();
    assert_eq!(reason_of(&record), "MISSING_DATA");
    record["after"] = json!([]);
    assert_eq!(reason_of(&record), "BAD_ROW");
    record["after"] = json!({});
    assert!(read(record.to_string().as_bytes()).is_ok(), "a row without anything is the business of validation");
}

#[test]
fn a_record_may_have_one_mebibyte_and_not_a_byte_more() {
    let padded = |bytes: usize| {
        let short = with("unused", "".into()).to_string().len();
        with("unused", "x".repeat(bytes - short).into()).to_string()
    };
    for bytes in [MAX_BYTES - 1, MAX_BYTES] {
        assert_eq!(padded(bytes).len(), bytes);
        assert!(read(padded(bytes).as_bytes()).is_ok(), "{bytes}");
    }
    assert_eq!(reason(padded(MAX_BYTES + 1)), "too_large");
    assert_eq!(reason(vec![b'{'; MAX_BYTES + 1]), "too_large", "before it is decoded");
}

#[test]
fn of_an_envelope_member_twice_the_last_one_counts() {
    let json = record().to_string();
    let json = json.strip_suffix('}').unwrap();
    let item = read(format!(r#"{json},"pos":"8","op_type":"U","\u0074able":"SIAMO.TILTAKGJENNOMFORING"}}"#).as_bytes());
    let change = item.unwrap().change;
    assert_eq!((change.position.as_str(), change.operation, change.table), ("8", Operation::Modified, Table::Courses));
    assert_eq!(reason(format!(r#"{json},"pos":null}}"#)), "ENVELOPE_INVALID");
    assert_eq!(reason(format!(r#"{json},"after":null}}"#)), "MISSING_DATA");
    let item = read(format!(r#"{json},"before":{{"A":1}},"before":2}}"#).as_bytes()).unwrap();
    assert_eq!(item.before, None);
}

#[test]
fn texts_and_images_are_clean() {
    let mut json = record().to_string().into_bytes();
    let after = br#"{"TILTAKDELTAKER_ID":1,"BEGRUNNELSE_BESTILLING":"\u0000C:\\u0000\ud800"#.as_slice();
    let after = [after, b"\0\xff", br#"","ANNET":1e300000,"\u0000":"\u0000"}"#].concat();
    json.truncate(json.len() - 1);
    json.extend([br#","after":"#.as_slice(), &after, b"\0}"].concat());
    let item = read(&json).unwrap();
    let Row::Participant(row) = &item.change.row else { panic!("a participant") };
    assert_eq!(row.order_text.as_deref(), Some("C:\\u0000\u{fffd}\u{fffd}"));
    assert_eq!(
        item.after.as_deref(),
        Some(
            "{\"TILTAKDELTAKER_ID\":1,\"BEGRUNNELSE_BESTILLING\":\"C:\\\\u0000\u{fffd}\u{fffd}\",\"ANNET\":\"1e300000\",\"\":\"\"}"
        )
    );
}

#[test]
fn a_detail_says_where_and_never_what() {
    let canary = "90000005001";
    let mut details = vec![read(format!("{{\"{canary}\": {canary}x").as_bytes()).unwrap_err().to_string()];
    for member in ["table", "op_type", "op_ts", "pos", "after"] {
        details.push(read(with(member, format!("x{canary}").into()).to_string().as_bytes()).unwrap_err().to_string());
        let row = json!({"PERSON_ID": format!("x{canary}"), canary: canary});
        details.push(read(with(member, row).to_string().as_bytes()).unwrap_err().to_string());
    }
    assert!(details.iter().all(|detail| !detail.contains(canary)), "{details:#?}");
    assert_eq!(details[0], "not JSON at line 1, column 28");
    assert!(details.contains(&"PERSON_ID cannot be decoded".into()), "{details:#?}");
}

fn stored_change(operation: Operation, before: Option<&str>, after: Option<&str>) -> StoredChange {
    StoredChange {
        id: 17,
        table: Table::Participants,
        arena_id: "70001".into(),
        operation,
        position: Position::new("7").unwrap(),
        timestamp: time::operation_time("2025-03-10 11:59:58.120000").unwrap(),
        before: before.map(Into::into),
        after: after.map(Into::into),
        retry_at: None,
    }
}

#[test]
fn what_was_read_is_read_again_from_the_store() {
    let item = read(record().to_string().as_bytes()).unwrap();
    let again = stored(&stored_change(Operation::Created, item.before.as_deref(), item.after.as_deref()));
    assert_eq!(again.change.row, item.change.row);
    assert_eq!((again.change.arena_id, again.change.timestamp), (70001, item.change.timestamp));
    assert_eq!((again.before, again.after), (item.before, item.after));
}

#[test]
fn a_stored_row_that_cannot_be_decoded_is_unusable() {
    let good = Some(r#"{"PERSON_ID": 5001}"#);
    for (operation, before, after) in [
        (Operation::Created, good, None),
        (Operation::Modified, None, None),
        (Operation::Deleted, None, good),
        (Operation::Modified, good, Some("[]")),
        (Operation::Modified, good, Some(r#"{"PERSON_ID": "x"}"#)),
    ] {
        let item = stored(&stored_change(operation, before, after));
        assert_eq!(item.change.row, Row::Unusable);
        assert_eq!(item.change.arena_id, 70001);
    }
    assert_ne!(stored(&stored_change(Operation::Deleted, good, None)).change.row, Row::Unusable);
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(read(&bytes).is_err());
    }

    #[test]
    fn a_damaged_record_is_read_or_refused_but_never_panics(
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6)
    ) {
        let mut payload = record().to_string().into_bytes();
        for (place, byte) in damage {
            let place = place.index(payload.len());
            payload[place] = byte;
        }
        if let Ok(item) = read(&payload) {
            for image in [&item.before, &item.after].into_iter().flatten() {
                prop_assert!(serde_json::from_str::<Value>(image).is_ok_and(|image| image.is_object()));
            }
        }
    }
}
