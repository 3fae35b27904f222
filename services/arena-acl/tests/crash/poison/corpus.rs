//! Bodies that no program should have to meet, each with what docs/spec/arena-acl.md says becomes of it.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::{
    records::{Input, envelope, participant, row},
    third::{COURSES, GROUP},
};

/// What becomes of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Skipped and counted; nothing is stored (2.8 row 1).
    Skipped,
    /// Kept unchanged, with this reason code (2.8).
    Quarantined(&'static str),
    /// Its row is in this status, and nothing is published.
    Row(&'static str),
    /// Its row is HANDLED, and where a text is given the participant is published with it as order text.
    Handled(Option<String>),
}

/// One body.
pub(crate) struct Body {
    pub(crate) name: String,
    pub(crate) input: Input,
    pub(crate) payload: Option<Bytes>,
    pub(crate) expected: Expected,
    /// The participant that it is about, where it says so.
    pub(crate) id: i64,
    /// Its position as stored.
    pub(crate) position: String,
}

/// The largest record that is decoded, in bytes, inclusive (architecture 8.13).
const MIB: usize = 1 << 20;
const FIRST_ID: i64 = 60_000;
const FIRST_POSITION: i64 = 100_000;

/// Strings that mean something to SQL, JSON, URLs, headers, shells and terminals.
const INJECTIONS: [&str; 12] = [
    "'; DROP TABLE arena_data; --",
    "\" OR \"1\"=\"1",
    "$1::text || $2",
    "\\\"},{\"op_type\":\"D",
    "{\"$ne\":null}",
    "../../../etc/passwd",
    "?personId=1&personId=2#fragment",
    "%00%2e%2e%2f",
    "a\r\nX-Injected: yes",
    "${jndi:ldap://127.0.0.1/x}",
    "`id`;$(id)",
    "\u{202e}\u{1b}[2J\u{feff}",
];

const DATES: [&str; 2] = ["DATO_FRA", "DATO_TIL"];
const TIMES: [&str; 3] = ["DATO_STATUSENDRING", "REG_DATO", "MOD_DATO"];
const NUMBERS: [&str; 5] =
    ["TILTAKDELTAKER_ID", "PERSON_ID", "TILTAKGJENNOMFORING_ID", "PROSENT_DELTID", "ANTALL_DAGER_PR_UKE"];
const TEXTS: [&str; 5] =
    ["DELTAKERSTATUSKODE", "DELTAKERTYPEKODE", "AARSAKVERDIKODE_STATUS", "BEGRUNNELSE_BESTILLING", "EKSTERN_ID"];

/// Where the order text of a body is put in as it is.
const HERE: &str = "<here>";

#[derive(Default)]
struct Corpus(Vec<Body>);

/// The corpus.
pub(crate) fn bodies() -> Vec<Body> {
    let mut corpus = Corpus::default();
    corpus.no_records();
    corpus.broken();
    corpus.envelopes();
    corpus.data_sections();
    corpus.columns();
    corpus.texts();
    corpus.sizes();
    corpus.injections();
    corpus.other_tables();
    corpus.0
}

use Expected::{Handled, Quarantined, Row, Skipped};

const MALFORMED: Expected = Quarantined("MALFORMED_JSON");
const NO_ENVELOPE: Expected = Quarantined("ENVELOPE_INVALID");
const BAD_ROW: Expected = Quarantined("BAD_ROW");
const INVALID: Expected = Row("INVALID");
const RETRY: Expected = Row("RETRY");
const HANDLED: Expected = Handled(None);

fn text(text: &str) -> Expected {
    Handled(Some(text.to_owned()))
}

impl Corpus {
    /// The id and the position of the next body.
    fn next(&self) -> (i64, u64) {
        let number = i64::try_from(self.0.len()).unwrap();
        (FIRST_ID + number, u64::try_from(FIRST_POSITION + number).unwrap())
    }

    fn raw(&mut self, name: impl Into<String>, payload: Option<Bytes>, expected: Expected) {
        let (id, position) = self.next();
        let position = format!("{position:020}");
        self.0.push(Body { name: name.into(), input: Input::Participants, payload, expected, id, position });
    }

    fn bytes(&mut self, name: impl Into<String>, payload: impl Into<Vec<u8>>, expected: Expected) {
        self.raw(name, Some(payload.into().into()), expected);
    }

    /// A good record, and as its text.
    fn good(&self) -> Value {
        let (id, position) = self.next();
        participant("I", position, row(id, GROUP, HERE))
    }

    fn good_text(&self) -> String {
        self.good().to_string()
    }

    fn with_member(&mut self, member: &str, value: Value, expected: Expected) {
        let mut record = self.good();
        let name = format!("{member} is {value}");
        record[member] = value;
        self.bytes(name, record.to_string(), expected);
    }

    fn with_column(&mut self, column: &str, value: Value, expected: Expected) {
        let mut record = self.good();
        let name = format!("{column} is {value:.60}");
        record["after"][column] = value;
        self.bytes(name, record.to_string(), expected);
    }

    /// With these bytes between the quotes of the order text.
    fn with_text(&mut self, name: &str, bytes: &[u8], expected: Expected) {
        let (before, after) = {
            let good = self.good_text();
            let (before, after) = good.split_once(HERE).unwrap();
            (before.to_owned(), after.to_owned())
        };
        let payload = [before.as_bytes(), bytes, after.as_bytes()].concat();
        self.bytes(format!("order text: {name}"), payload, expected);
    }

    fn no_records(&mut self) {
        self.raw("tombstone", None, Skipped);
        self.bytes("empty", "", MALFORMED);
        self.bytes("blanks", " \t\r\n", MALFORMED);
        for json in ["null", "true", "0", "-1.5e3", "\"text\"", "[]", "[{}]", "{}", "{\"a\":{}}"] {
            self.bytes(json, json, NO_ENVELOPE);
        }
        self.bytes("nothing but NUL", vec![0; 100], MALFORMED);
        self.bytes("binary", (0..=255).collect::<Vec<u8>>(), MALFORMED);
        self.bytes("a magic byte and a schema id", b"\x00\x00\x00\x00\x07\x02H\x06abc".to_vec(), MALFORMED);
    }

    fn broken(&mut self) {
        let places: Vec<usize> =
            self.good_text().match_indices(['{', '}', '"', ':', ',']).map(|(place, _)| place).collect();
        for (number, place) in places.iter().enumerate().skip(1) {
            // after every opening brace, and every third of the others
            let good = self.good_text();
            if good.as_bytes()[*place] == b'{' || number % 3 == 0 {
                self.bytes(format!("truncated at {place}"), &good.as_bytes()[..*place], MALFORMED);
            }
        }
        for (name, end) in
            [("inside a number", "\"PERSON_ID\":5"), ("inside a literal", ":nul"), ("inside a name", "TILTAKDEL")]
        {
            let good = self.good_text();
            let place = good.find(end).unwrap() + end.len();
            self.bytes(format!("truncated {name}"), &good[..place], MALFORMED);
        }
        let garbage: [(&str, &[u8]); 7] = [
            ("x", b"x"),
            ("}", b"}"),
            ("null", b"null"),
            ("form feed", b"\x0c"),
            ("bad UTF-8", b"\xff"),
            ("comma", b","),
            ("[]", b"[]"),
        ];
        for (name, garbage) in garbage {
            let payload = [self.good_text().as_bytes(), garbage].concat();
            self.bytes(format!("then {name}"), payload, MALFORMED);
        }
        let twice = self.good_text().repeat(2);
        self.bytes("twice in one record", twice, MALFORMED);
        let lines = format!("{}\n{}", self.good_text(), self.good_text());
        self.bytes("two lines", lines, MALFORMED);
        for (name, end) in [("blanks", " \t\r\n"), ("NUL", "\0\0")] {
            let payload = format!("{}{end}", self.good_text());
            self.bytes(format!("then {name}"), payload, text(HERE));
        }
        let marked = format!("\u{feff}{}", self.good_text());
        self.bytes("byte order mark", marked, MALFORMED);
        let wide: Vec<u8> = self.good_text().encode_utf16().flat_map(u16::to_le_bytes).collect();
        self.bytes("UTF-16 of ASCII: NUL bytes are removed", wide, text(HERE));
        let wide: Vec<u8> = format!("\u{feff}{}", self.good_text()).encode_utf16().flat_map(u16::to_be_bytes).collect();
        self.bytes("UTF-16 with its mark", wide, MALFORMED);
        for wrong in [
            "01",
            "+1",
            "0x1F",
            ".5",
            "5.",
            "1e",
            "NaN",
            "Infinity",
            "'one'",
            "undefined",
            "/**/1",
            "1,",
            "\"\\x\"",
            "\"\\u12\"",
            "\"a\nb\"",
            "\"\t\"",
        ] {
            let payload = self.good_text().replacen("\"REG_USER\":\"SYSTEM\"", &format!("\"REG_USER\":{wrong}"), 1);
            self.bytes(format!("in an unused column: {wrong:?}"), payload, MALFORMED);
        }
    }

    fn envelopes(&mut self) {
        for member in ["table", "op_type", "op_ts", "pos"] {
            for value in [Value::Null, json!({}), json!([]), json!(["I"])] {
                self.with_member(member, value, NO_ENVELOPE);
            }
            let mut record = self.good();
            record.as_object_mut().unwrap().remove(member);
            self.bytes(format!("without {member}"), record.to_string(), NO_ENVELOPE);
            let mut record = self.good().to_string();
            record = record.replacen(&format!("\"{member}\""), &format!("\"{}\"", member.to_uppercase()), 1);
            self.bytes(format!("{member} in capitals"), record, NO_ENVELOPE);
        }
        for value in [
            json!(1),
            json!(true),
            json!(""),
            json!("SIAMO.PERSON"),
            json!("siamo.tiltakdeltaker"),
            json!(INJECTIONS[0]),
        ] {
            self.with_member("table", value, Quarantined("UNKNOWN_TABLE"));
        }
        for value in [json!(1), json!(""), json!("i"), json!("X"), json!("INSERT"), json!(" I"), json!(INJECTIONS[1])] {
            self.with_member("op_type", value, Quarantined("UNKNOWN_OPERATION"));
        }
        for value in [
            json!(20_250_310),
            json!(""),
            json!("2025-03-10 11:59:58"),
            json!("2025-03-10T11:59:58.000000"),
            json!("2025-02-30 11:59:58.000000"),
            json!("2025-03-10 24:00:00.000000"),
            json!("2025-03-10 11:59:58.00000"),
            json!("2025-03-10 11:59:58.0000000"),
            json!(" 2025-03-10 11:59:58.000000"),
            json!("10.03.2025 11:59:58.000000"),
            json!(INJECTIONS[0]),
        ] {
            self.with_member("op_ts", value, Quarantined("BAD_TIMESTAMP"));
        }
        for value in [
            json!(""),
            json!(" 1"),
            json!("-1"),
            json!("+1"),
            json!("1.5"),
            json!("1e3"),
            json!("000000000000000000001"),
            json!("١٢٣"),
            json!(-1),
            json!(1.5),
            json!(true),
            json!(INJECTIONS[0]),
        ] {
            self.with_member("pos", value, NO_ENVELOPE);
        }
        for (pos, stored) in
            [(json!("99999999999999999999"), "99999999999999999999"), (json!(4_711), "4711"), (json!("0"), "0")]
        {
            self.with_member("pos", pos, text(HERE));
            self.0.last_mut().unwrap().position = stored.to_owned();
        }
        for (name, before, expected) in
            [("first", "\"table\":\"SIAMO.PERSON\",", text(HERE)), ("null first", "\"pos\":null,", text(HERE))]
        {
            let payload = self.good_text().replacen('{', &format!("{{{before}"), 1);
            self.bytes(format!("a member twice, the wrong one {name}"), payload, expected);
        }
        let payload = self.good_text();
        let payload = format!("{},\"table\":\"SIAMO.PERSON\"}}", payload.strip_suffix('}').unwrap());
        self.bytes("a member twice, the wrong one last", payload, Quarantined("UNKNOWN_TABLE"));
        let payload = self.good_text().replacen("\"table\"", "\"ta\\u0062le\"", 1);
        self.bytes("an escaped name of a member", payload, text(HERE));
        let payload = self.good_text().replacen("\"table\"", "\"ta\\u0000ble\"", 1);
        self.bytes("a name of a member with U+0000", payload, text(HERE));
    }

    fn data_sections(&mut self) {
        self.with_member("after", Value::Null, Quarantined("MISSING_DATA"));
        let mut record = self.good();
        record.as_object_mut().unwrap().remove("after");
        self.bytes("without after", record.to_string(), Quarantined("MISSING_DATA"));
        self.with_member("op_type", json!("D"), Quarantined("MISSING_DATA")); // before is null
        for value in [json!([]), json!("text"), json!(5), json!(true), json!([{ "TILTAKDELTAKER_ID": 1 }])] {
            self.with_member("after", value, BAD_ROW);
        }
        self.with_member("after", json!({}), RETRY); // id 0 of course 0, which is not there
        for value in
            [json!([]), json!("text"), json!(5), json!({ "TILTAKDELTAKER_ID": {} }), json!({ "A": INJECTIONS[0] })]
        {
            self.with_member("before", value, text(HERE)); // the other image never fails a record
        }
    }

    fn columns(&mut self) {
        for column in NUMBERS.into_iter().chain(TEXTS).chain(DATES).chain(TIMES) {
            for value in [json!({}), json!([]), json!([1])] {
                self.with_column(column, value, BAD_ROW);
            }
        }
        let wide = "9".repeat(400);
        for column in NUMBERS {
            for value in ["\"one\"", "true", "1e400", "\"NaN\"", "\"0x10\"", "\"1 2\"", &wide] {
                let payload =
                    self.good_text().replacen(&format!("\"{column}\":"), &format!("\"{column}\":{value},\"_\":"), 1);
                self.bytes(format!("{column} is {value:.40}"), payload, BAD_ROW);
            }
        }
        for column in ["TILTAKDELTAKER_ID", "PERSON_ID", "TILTAKGJENNOMFORING_ID"] {
            for value in ["9223372036854775808", "-9223372036854775809", "1e19", "\"9223372036854775808\""] {
                let payload =
                    self.good_text().replacen(&format!("\"{column}\":"), &format!("\"{column}\":{value},\"_\":"), 1);
                self.bytes(format!("{column} is {value}"), payload, BAD_ROW);
            }
        }
        self.with_column("TILTAKDELTAKER_ID", json!(null), INVALID);
        self.with_column("TILTAKDELTAKER_ID", json!(" "), INVALID);
        self.with_column("TILTAKDELTAKER_ID", json!(0.9), INVALID);
        for id in [i64::MAX, i64::MIN] {
            self.with_column("TILTAKDELTAKER_ID", json!(id), text(HERE));
            self.0.last_mut().unwrap().id = id;
        }
        self.with_column("PERSON_ID", json!(null), INVALID);
        self.with_column("PERSON_ID", json!(i64::MAX), text(HERE));
        self.with_column("TILTAKGJENNOMFORING_ID", json!(null), RETRY);
        self.with_column("TILTAKGJENNOMFORING_ID", json!(i64::MIN), RETRY);
        self.with_column("PROSENT_DELTID", json!(1e-50), text(HERE));
        self.with_column("ANTALL_DAGER_PR_UKE", json!("  2.5  "), text(HERE));
        for column in DATES.into_iter().chain(TIMES) {
            for value in [
                "",
                "2025-03-10",
                "2025-03-10T00:00:00",
                "2025-02-30 00:00:00",
                "2025-03-10 24:00:00",
                " 2025-03-10 00:00:00",
                "2025-03-10 00:00:00.0",
                "0",
            ] {
                self.with_column(column, json!(value), INVALID);
            }
        }
        for column in ["DELTAKERSTATUSKODE", "REG_DATO", "MOD_DATO"] {
            self.with_column(column, Value::Null, INVALID);
        }
        for (column, value) in [
            ("DELTAKERSTATUSKODE", json!("NYKODE")),
            ("DELTAKERSTATUSKODE", json!("gjenn")),
            ("DELTAKERSTATUSKODE", json!("")),
            ("AARSAKVERDIKODE_STATUS", json!("NYKODE")),
            ("EKSTERN_ID", json!("not-a-uuid")),
            ("EKSTERN_ID", json!(5)),
        ] {
            self.with_column(column, value, RETRY); // class other: new software may know it
        }
        self.with_column("EKSTERN_ID", json!(""), text(HERE));
        self.with_column("DELTAKERTYPEKODE", json!("EKSTERN"), Row("EXTERNAL_SOURCE"));
        for value in ["1e999999", "-1e-999999", "1e99999999999999999999", &"7".repeat(200_000)] {
            let payload =
                self.good_text().replacen("\"REG_USER\":", &format!("\"AKTIVITET_ID\":{value},\"REG_USER\":"), 1);
            self.bytes(format!("an unused column is {value:.40}"), payload, text(HERE));
        }
        let payload = self.good_text().replacen(
            "\"BEGRUNNELSE_BESTILLING\":",
            "\"BEGRUNNELSE_BESTILLING\":{},\"BEGRUNNELSE_BESTILLING\":",
            1,
        );
        self.bytes("a column twice, the wrong one first", payload, text(HERE));
    }

    fn texts(&mut self) {
        let cases: [(&str, &[u8], &str); 19] = [
            ("invalid byte", b"a\xffb", "a\u{fffd}b"),
            ("truncated sequence", b"a\xe2\x82", "a\u{fffd}"),
            ("overlong NUL", b"a\xc0\x80b", "a\u{fffd}\u{fffd}b"),
            ("encoded surrogate", b"a\xed\xa0\x80b", "a\u{fffd}\u{fffd}\u{fffd}b"),
            ("beyond Unicode", b"a\xf4\x90\x80\x80b", "a\u{fffd}\u{fffd}\u{fffd}\u{fffd}b"),
            ("Latin-1", b"\xf8l", "\u{fffd}l"),
            ("literal NUL", b"a\0b", "ab"),
            ("escaped NUL", b"a\\u0000b", "ab"),
            ("nothing but NUL", b"\\u0000\\u0000", ""),
            ("NUL inside an escape", b"a\\u00\x0041b", "aAb"),
            ("an escaped backslash before u0000", b"C:\\\\u0000", "C:\\u0000"),
            ("NUL after an escaped backslash", b"C:\\\\\\u0000x", "C:\\x"),
            ("lone high surrogate", b"a\\ud800b", "a\u{fffd}b"),
            ("lone low surrogate", b"a\\udc00b", "a\u{fffd}b"),
            ("two high surrogates", b"\\ud800\\ud800", "\u{fffd}\u{fffd}"),
            ("surrogates the wrong way round", b"\\udc00\\ud800", "\u{fffd}\u{fffd}"),
            ("high surrogate before another escape", b"\\ud800\\n", "\u{fffd}\n"),
            ("a pair", b"\\ud83d\\ude00", "\u{1f600}"),
            ("every escape", b"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00f8\\uFFFF", "\"\\/\u{8}\u{c}\n\r\t\u{f8}\u{ffff}"),
        ];
        for (name, bytes, published) in cases {
            self.with_text(name, bytes, text(published));
        }
        let payload = self.good_text().replacen("\"PERSON_ID\":", "\"PERSON_ID\":\"5\\u00000\",\"_\":", 1);
        self.bytes("U+0000 inside a number", payload, text(HERE));
        let payload = self.good_text().replacen("\"after\":{", "\"after\":{\"A\\u0000\\ud800\":\"\\u0000\",", 1);
        self.bytes("U+0000 and a lone surrogate in a column's name", payload, text(HERE));
    }

    fn sizes(&mut self) {
        for (size, expected) in [
            (MIB - 1, text(HERE)),
            (MIB, text(HERE)),
            (MIB + 1, Quarantined("too_large")),
            (MIB + 500_000, Quarantined("too_large")),
        ] {
            let good = self.good_text();
            let padding = " ".repeat(size - good.len());
            self.bytes(format!("{size} bytes"), good + &padding, expected);
        }
        let long = "å".repeat(450_000);
        self.with_text("900,000 bytes", long.as_bytes(), text(&long));
        for (depth, expected) in [(100, text(HERE)), (126, MALFORMED), (200, MALFORMED), (100_000, MALFORMED)] {
            // two braces are around it
            for (open, close, name) in [("[", "]", "arrays"), ("{\"a\":", "}", "objects")] {
                let deep = format!("{}1{}", open.repeat(depth), close.repeat(depth));
                let payload =
                    self.good_text().replacen("\"REG_USER\":", &format!("\"AKTIVITET_ID\":{deep},\"REG_USER\":"), 1);
                self.bytes(format!("{depth} {name} in each other"), payload, expected.clone());
            }
        }
        self.bytes("100,000 brackets", "[".repeat(100_000), MALFORMED);
        let members: String = (0..40_000).map(|number| format!("\"C{number}\":{number},")).collect();
        let payload = self.good_text().replacen("\"after\":{", &format!("\"after\":{{{members}"), 1);
        self.bytes("40,000 columns", payload, text(HERE));
        let members = "\"pos\":\"1\",".repeat(50_000);
        let payload = self.good_text().replacen('{', &format!("{{{members}"), 1);
        self.bytes("a member 50,000 times", payload, text(HERE));
    }

    fn injections(&mut self) {
        for injection in INJECTIONS {
            let value = || json!(injection);
            for column in NUMBERS {
                self.with_column(column, value(), BAD_ROW);
            }
            for column in DATES.into_iter().chain(TIMES) {
                self.with_column(column, value(), INVALID);
            }
            for column in ["DELTAKERSTATUSKODE", "AARSAKVERDIKODE_STATUS", "EKSTERN_ID"] {
                self.with_column(column, value(), RETRY);
            }
            self.with_column("BEGRUNNELSE_BESTILLING", value(), text(injection));
            self.with_column("DELTAKERTYPEKODE", value(), text(HERE));
            self.with_column(injection, value(), text(HERE)); // as the name of a column
        }
    }

    fn other_tables(&mut self) {
        for (number, injection) in INJECTIONS.into_iter().enumerate() {
            for column in ["LOKALTNAVN", "TILTAKSTATUSKODE"] {
                let (_, position) = self.next();
                let mut value = crate::records::course(&COURSES[0], position);
                value["after"]["TILTAKGJENNOMFORING_ID"] = json!(400_000 + number);
                value["after"][column] = json!(injection);
                self.bytes(format!("{column} of a course is {injection:?}"), value.to_string(), HANDLED);
            }
        }
        let history = |operation: &str, id: i64, position: u64, changed: Value| {
            let mut row = row(id, GROUP, HERE);
            row["HIST_TILTAKDELTAKER_ID"] = json!(id);
            row["DATO_STATUSENDRING"] = changed;
            row["DELTAKERSTATUSKODE"] = json!("FULLF");
            envelope("SIAMO.HIST_TILTAKDELTAKER", operation, position, Value::Null, row)
        };
        let (id, position) = self.next();
        self.bytes("a history row that is no insert", history("U", id, position, json!({})).to_string(), BAD_ROW);
        let (id, position) = self.next();
        self.bytes(
            "a history row that is no insert",
            history("U", id, position, json!("x")).to_string(),
            Row("IGNORED"),
        );
        let (id, position) = self.next();
        self.bytes("a history row without a time", history("I", id, position, Value::Null).to_string(), INVALID);
        for body in &mut self.0 {
            if body.name.starts_with("a history row") {
                body.input = Input::History;
            }
        }
    }
}
