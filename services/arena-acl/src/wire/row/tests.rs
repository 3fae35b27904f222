use serde_json::{Value, json};

use super::*;

/// A participant row with one column, written as it stands.
fn participant_with(column: &str, json: &str) -> Result<ParticipantRow, RowError> {
    participant(&format!(r#"{{"{column}":{json}}}"#), "TILTAKDELTAKER_ID")
}

fn course_of(image: &Value) -> Result<CourseRow, RowError> {
    course(&image.to_string())
}

#[test]
fn every_used_column_of_a_course_is_read() {
    let image = json!({
        "TILTAKGJENNOMFORING_ID": 3001, "SAK_ID": 880001, "TILTAKSKODE": "INDOPPFAG", "DATO_FRA": "2025-01-06 00:00:00",
        "DATO_TIL": "2025-12-19 00:00:00", "REG_DATO": "2024-11-15 13:45:10", "LOKALTNAVN": "Oppfølging Nordbyen",
        "TILTAKSTATUSKODE": "GJENNOMFOR", "ARBGIV_ID_ARRANGOR": 45001, "PROSENT_DELTID": {"unused": []},
    });
    let text = |text: &str| Some(text.to_owned());
    let expected = CourseRow {
        id: 3001,
        measure: text("INDOPPFAG"),
        case: Some(880_001),
        organiser: Some(45_001),
        name: text("Oppfølging Nordbyen"),
        state: text("GJENNOMFOR"),
        registered: text("2024-11-15 13:45:10"),
        start: text("2025-01-06 00:00:00"),
        end: text("2025-12-19 00:00:00"),
    };
    assert_eq!(row(Table::Courses, &image.to_string()), Ok(Row::Course(expected)));
}

#[test]
fn every_used_column_of_a_participant_is_read() {
    let image = json!({
        "TILTAKDELTAKER_ID": 70001, "HIST_TILTAKDELTAKER_ID": 9001, "PERSON_ID": 5001, "TILTAKGJENNOMFORING_ID": 3001,
        "DELTAKERSTATUSKODE": "TILBUD", "DELTAKERTYPEKODE": "INNSOKT", "AARSAKVERDIKODE_STATUS": "SYK",
        "DATO_FRA": "a", "DATO_TIL": "b", "DATO_STATUSENDRING": "c", "REG_DATO": "d", "MOD_DATO": "e",
        "PROSENT_DELTID": 80, "ANTALL_DAGER_PR_UKE": 2.5, "BEGRUNNELSE_BESTILLING": "", "EKSTERN_ID": "f",
    })
    .to_string();
    let text = |text: &str| Some(text.to_owned());
    let expected = ParticipantRow {
        id: 70001,
        person: Some(5001),
        course: 3001,
        status: text("TILBUD"),
        kind: text("INNSOKT"),
        reason: text("SYK"),
        start: text("a"),
        end: text("b"),
        status_changed: text("c"),
        registered: text("d"),
        modified: text("e"),
        part_time_percent: Some(80.0),
        days_per_week: Some(2.5),
        order_text: text(""),
        external_id: text("f"),
    };
    assert_eq!(row(Table::Participants, &image), Ok(Row::Participant(expected.clone())));
    let historised = ParticipantRow { id: 9001, ..expected };
    assert_eq!(row(Table::History, &image), Ok(Row::Participant(historised)));
}

#[test]
fn absent_and_null_are_the_same_and_an_id_is_zero() {
    assert_eq!(row(Table::Courses, "{}"), Ok(Row::Course(CourseRow::default())));
    assert_eq!(row(Table::Participants, " {\n}"), Ok(Row::Participant(ParticipantRow::default())));
    let nulls = r#"{"TILTAKDELTAKER_ID":null,"TILTAKGJENNOMFORING_ID":null,"PERSON_ID":null,"REG_DATO":null}"#;
    assert_eq!(row(Table::Participants, nulls), Ok(Row::Participant(ParticipantRow::default())));
}

#[test]
fn integers_are_read_leniently() {
    for (json, integer) in [
        ("5001", Some(5001)),
        ("-1", Some(-1)),
        ("5001.9", Some(5001)),
        ("1e3", Some(1000)),
        ("9223372036854775807", Some(i64::MAX)),
        (r#""5001""#, Some(5001)),
        (r#"" 5001\t""#, Some(5001)),
        (r#""""#, None),
        (r#""  \n""#, None),
        ("null", None),
    ] {
        assert_eq!(participant_with("PERSON_ID", json).map(|row| row.person), Ok(integer), "{json}");
        let id = participant_with("TILTAKDELTAKER_ID", json).map(|row| row.id);
        assert_eq!(id, Ok(integer.unwrap_or(0)), "{json}");
        let course = participant_with("TILTAKGJENNOMFORING_ID", json).map(|row| row.course);
        assert_eq!(course, Ok(integer.unwrap_or(0)), "{json}");
    }
}

#[test]
fn what_is_no_integer_is_a_bad_row() {
    for json in [
        "true",
        "{}",
        "[5001]",
        "9223372036854775808",
        "1e19",
        r#""9223372036854775808""#,
        r#""x""#,
        r#""5 001""#,
        r#""5001.0""#,
        r#""0x1""#,
        r#""null""#,
    ] {
        for column in ["PERSON_ID", "TILTAKDELTAKER_ID", "TILTAKGJENNOMFORING_ID"] {
            assert_eq!(participant_with(column, json), Err(RowError::Column(column)), "{json}");
        }
    }
}

#[test]
fn numbers_with_decimals_are_read_leniently() {
    for (json, number) in [
        ("40", Some(40.0)),
        ("40.0", Some(40.0)),
        ("2.5", Some(2.5)),
        ("4e1", Some(40.0)),
        ("1e-999", Some(0.0)),
        (r#"" 2.5 ""#, Some(2.5)),
        (r#"".5""#, Some(0.5)), // how Oracle itself writes it
        (r#""""#, None),
        (r#"" ""#, None),
        ("null", None),
    ] {
        for column in ["PROSENT_DELTID", "ANTALL_DAGER_PR_UKE"] {
            let read = participant_with(column, json).map(|row| row.part_time_percent.or(row.days_per_week));
            assert_eq!(read, Ok(number), "{json}");
        }
    }
}

#[test]
fn what_is_no_number_is_a_bad_row() {
    for json in ["true", "{}", "[]", "1e39", "-1e400", r#""NaN""#, r#""inf""#, r#""2,5""#, r#""x""#, r#""1e39""#] {
        let read = participant_with("PROSENT_DELTID", json);
        assert_eq!(read, Err(RowError::Column("PROSENT_DELTID")), "{json}");
    }
}

#[test]
fn a_number_or_a_boolean_is_its_own_text() {
    for (json, text) in [
        ("5001", "5001"),
        ("1.50", "1.50"),
        ("1e400", "1e400"),
        ("true", "true"),
        ("false", "false"),
        (r#""""#, ""),
        (r#"" \u00f8\n""#, " ø\n"),
    ] {
        let read = participant_with("BEGRUNNELSE_BESTILLING", json).map(|row| row.order_text);
        assert_eq!(read, Ok(Some(text.to_owned())), "{json}");
    }
}

#[test]
fn an_object_or_an_array_is_a_bad_row_in_every_used_column() {
    let (course_id, participant_id) = ("TILTAKGJENNOMFORING_ID", "TILTAKDELTAKER_ID");
    for value in [json!({}), json!([]), json!([1])] {
        for column in [course_id, "TILTAKSKODE", "SAK_ID", "ARBGIV_ID_ARRANGOR", "LOKALTNAVN", "TILTAKSTATUSKODE"] {
            assert_eq!(course_of(&json!({column: value})), Err(RowError::Column(column)));
        }
        for column in ["REG_DATO", "DATO_FRA", "DATO_TIL"] {
            assert_eq!(course_of(&json!({column: value})), Err(RowError::Column(column)));
            assert_eq!(participant_with(column, &value.to_string()), Err(RowError::Column(column)));
        }
        for column in [
            participant_id,
            course_id,
            "PERSON_ID",
            "DELTAKERSTATUSKODE",
            "DELTAKERTYPEKODE",
            "AARSAKVERDIKODE_STATUS",
            "DATO_STATUSENDRING",
            "MOD_DATO",
            "PROSENT_DELTID",
            "ANTALL_DAGER_PR_UKE",
            "BEGRUNNELSE_BESTILLING",
            "EKSTERN_ID",
        ] {
            assert_eq!(participant_with(column, &value.to_string()), Err(RowError::Column(column)));
        }
    }
}

#[test]
fn what_nobody_uses_never_matters() {
    for json in ["{}", "[[]]", "1e999999", "true", r#""\u0001""#, "-0.0e-0"] {
        let image = format!(r#"{{"PARTISJON":{json},"PERSON_ID":1,"":{json}}}"#);
        assert_eq!(participant(&image, "TILTAKDELTAKER_ID").map(|row| row.person), Ok(Some(1)), "{json}");
    }
    let stray = r#"{"TILTAKDELTAKER_ID":{},"HIST_TILTAKDELTAKER_ID":"9001"}"#;
    assert_eq!(participant(stray, "HIST_TILTAKDELTAKER_ID").map(|row| row.id), Ok(9001));
}

#[test]
fn of_a_member_twice_the_last_one_counts() {
    for (image, expected) in [
        (r#"{"PERSON_ID":1,"PERSON_ID":2}"#, Ok(Some(2))),
        (r#"{"PERSON_ID":{},"PERSON_ID":2}"#, Ok(Some(2))),
        (r#"{"PERSON_ID":1,"PERSON_ID":null}"#, Ok(None)),
        (r#"{"PERSON_ID":1,"\u0050ERSON_ID":2}"#, Ok(Some(2))),
        (r#"{"PERSON_ID":1,"PERSON_ID":[]}"#, Err(RowError::Column("PERSON_ID"))),
    ] {
        assert_eq!(participant(image, "TILTAKDELTAKER_ID").map(|row| row.person), expected, "{image}");
    }
}

#[test]
fn only_an_object_is_a_row() {
    for image in ["", "null", "1", "[]", "[{}]", r#""{}""#, "{", "{} {}"] {
        for table in Table::ALL {
            assert_eq!(row(table, image), Err(RowError::NotAnObject), "{image}");
        }
    }
}
