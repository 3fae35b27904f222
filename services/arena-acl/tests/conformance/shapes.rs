//! The shape of the files, read strictly (docs/spec/arena-acl/README.md sections 1 to 3).

use std::path::Path;

use serde_json::{Value, json};
use testkit::vectors::{BadCase, BadFile, Case, list, object, text};

use crate::steps::Step;

/// The kind of cases that play steps.
pub(crate) const SCENARIO: &str = "scenario";
/// The kind of cases that call a pure function.
pub(crate) const TABLE: &str = "table";

/// The tables of `given`, each with its columns (2.1).
pub(crate) const GIVEN: [(&str, &[&str]); 5] = [
    ("gjennomforing", &GJENNOMFORING),
    (
        "arena_data",
        &[
            "id",
            "arena_table_name",
            "arena_id",
            "operation_type",
            "operation_pos",
            "operation_timestamp",
            "ingest_status",
            "ingested_timestamp",
            "ingest_attempts",
            "last_attempted",
            "before",
            "after",
            "note",
        ],
    ),
    ("deltaker", &DELTAKER),
    ("arena_data_id_translation", &ID_TRANSLATION),
    ("arena_data_hist_id_translation", &HIST_ID_TRANSLATION),
];
/// Columns in `given` and in `then`.
pub(crate) const GJENNOMFORING: [&str; 4] = ["arena_id", "tiltak_kode", "is_valid", "id"];
/// Columns in `given` and in `then`.
pub(crate) const DELTAKER: [&str; 11] = [
    "arena_id",
    "person_id",
    "gjennomforing_id",
    "dato_fra",
    "dato_til",
    "reg_dato",
    "mod_dato",
    "status",
    "dato_statusendring",
    "ekstern_id",
    "arena_source_table",
];
/// Columns in `given` and in `then`.
pub(crate) const ID_TRANSLATION: [&str; 3] = ["amt_id", "arena_table_name", "arena_id"];
/// Columns in `given` and in `then`.
pub(crate) const HIST_ID_TRANSLATION: [&str; 3] = ["amt_id", "arena_hist_id", "arena_id"];

/// The members of `then` that list rows or messages, each with the members of an item: required ones, optional ones (2.4).
const THEN: [(&str, &[&str], &[&str]); 8] = [
    ("arena_data", &["table", "arena_id", "op", "pos", "status", "attempts"], &["note", "note_contains", "after_has"]),
    ("gjennomforing", &GJENNOMFORING, &[]),
    ("deltaker", &DELTAKER, &[]),
    ("id_translation", &ID_TRANSLATION, &[]),
    ("hist_id_translation", &HIST_ID_TRANSLATION, &[]),
    ("amt_tiltak", &["key", "operation", "payload"], &[]),
    ("enkeltplass", &["key"], &["payload", "tombstone"]),
    ("quarantine", &["topic", "reason"], &[]),
];

/// The pure functions, each with the members of `in`, and those that `out` may have (3).
const FUNCTIONS: [(&str, &[&str], &[&str]); 7] = [
    (
        "status",
        &[
            "today",
            "arena_status",
            "start",
            "slutt",
            "status_endret",
            "registrert",
            "krever_godkjenning",
            "enkeltplass",
            "gjennomforing_status",
            "gjennomforing_slutt",
        ],
        &["status", "status_endret_dato"],
    ),
    ("aarsak", &["arena_status", "status", "arena_aarsak", "gjennomforing_avsluttet"], &["status_aarsak"]),
    ("tiltakskode", &["tiltakskode"], &["arena_kode", "enkeltplass", "error"]),
    ("parse-time", &["kind", "text"], &["value", "error"]),
    ("clean-text", &["json"], &["text"]),
    ("gjennomforing-valid", &["row"], &["valid"]),
    ("supported", &["arena_kode"], &["supported"]),
];

/// The cases of a file.
pub(crate) fn cases(file: &Path, json: &Value) -> Result<Vec<Case>, BadFile> {
    object("the file", json, &["format", "kind"], &["function", "cases", "rows"])?;
    if json["format"] != json!(1) {
        return Err(BadFile::new("its format is not 1"));
    }
    match json["kind"].as_str() {
        Some(SCENARIO) => scenarios(file, json),
        Some(TABLE) => rows(file, json),
        _ => Err(BadFile::new(format!("its kind {} is not known", json["kind"]))),
    }
}

fn scenarios(file: &Path, json: &Value) -> Result<Vec<Case>, BadFile> {
    object("the file", json, &["format", "kind", "cases"], &[])?;
    let mut cases = Vec::new();
    for (at, body) in list("cases", &json["cases"])?.iter().enumerate() {
        scenario(&format!("cases[{at}]"), body)?;
        cases.push(Case {
            file: file.to_owned(),
            name: text("name", &body["name"])?.to_owned(),
            kind: SCENARIO.to_owned(),
            body: body.clone(),
        });
    }
    Ok(cases)
}

fn scenario(path: &str, body: &Value) -> Result<(), BadCase> {
    let required = ["name", "profile", "covers", "clock", "given", "when", "then"];
    match body["profile"].as_str() {
        Some("common") => object(path, body, &required, &["why"])?,
        Some("improved") => object(path, body, &[&required[..], &["improvement", "legacy"]].concat(), &["why"])?,
        _ => return Err(BadCase::new(format!("{path}.profile {} is not known", body["profile"]))),
    };
    let given = object(&format!("{path}.given"), &body["given"], &[], &["tables", "http"])?;
    let names: Vec<&str> = GIVEN.iter().map(|(name, _)| *name).collect();
    if let Some(tables) = given.get("tables") {
        let tables = object(&format!("{path}.given.tables"), tables, &[], &names)?;
        for (name, columns) in GIVEN {
            let path = format!("{path}.given.tables.{name}");
            items(&path, tables.get(name), columns, &[])?;
        }
    }
    for (at, step) in list(&format!("{path}.when"), &body["when"])?.iter().enumerate() {
        Step::read(&format!("{path}.when[{at}]"), step)?;
    }
    let path = format!("{path}.then");
    let lists: Vec<&str> = THEN.iter().map(|(name, ..)| *name).collect();
    let then = object(&path, &body["then"], &lists, &["responses"])?;
    for (name, required, optional) in THEN {
        items(&format!("{path}.{name}"), then.get(name), required, optional)?;
    }
    items(
        &format!("{path}.responses"),
        then.get("responses"),
        &[],
        &["status", "body", "deleted", "requeued", "mismatches", "backfill"],
    )
}

fn items(path: &str, found: Option<&Value>, required: &[&str], optional: &[&str]) -> Result<(), BadCase> {
    let Some(found) = found else { return Ok(()) };
    for (at, item) in list(path, found)?.iter().enumerate() {
        object(&format!("{path}[{at}]"), item, required, optional)?;
    }
    Ok(())
}

fn rows(file: &Path, json: &Value) -> Result<Vec<Case>, BadFile> {
    object("the file", json, &["format", "kind", "function", "rows"], &[])?;
    let function = text("function", &json["function"])?;
    let Some((_, inputs, outputs)) = FUNCTIONS.into_iter().find(|(name, ..)| *name == function) else {
        return Err(BadFile::new(format!("its function {function:?} is not known")));
    };
    let mut cases = Vec::new();
    for (at, row) in list("rows", &json["rows"])?.iter().enumerate() {
        let path = format!("rows[{at}]");
        object(&path, row, &["name", "in", "out"], &[])?;
        object(&format!("{path}.in"), &row["in"], inputs, &[])?;
        object(&format!("{path}.out"), &row["out"], &[], outputs)?;
        cases.push(Case {
            file: file.to_owned(),
            name: text("name", &row["name"])?.to_owned(),
            kind: TABLE.to_owned(),
            body: json!({ "function": function, "in": row["in"], "out": row["out"] }),
        });
    }
    Ok(cases)
}
