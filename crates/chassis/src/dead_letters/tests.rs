use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, to_bytes},
};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use clap::{FromArgMatches as _, Subcommand as _};
use http::Request;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{
    commands::{CommandError, DeadLetterCommand, Form, Since, run},
    *,
};
use crate::{admin, exit::Done};

/// Letters in memory: `q2` fails whenever it is redriven.
#[derive(Clone)]
struct Shelf(Arc<Mutex<BTreeMap<LetterId, OpenLetter>>>);

fn id(text: &str) -> LetterId {
    text.parse().unwrap()
}

fn noon() -> DateTime<Utc> {
    "2025-03-10T12:00:00Z".parse().unwrap()
}

impl Shelf {
    fn new() -> Self {
        let letter = |text: &str, reason: &str, replay_count| {
            let letter = OpenLetter {
                id: id(text),
                source: "deltaker".to_owned(),
                position: Some("3/41".to_owned()),
                about: text.starts_with('r').then(|| "70001".to_owned()),
                reason: reason.to_owned(),
                class: "permanent".to_owned(),
                attempts: 1,
                first_at: None,
                last_at: Some(noon()),
                replay_count,
                detail: "not JSON at line 1,\ncolumn 2".to_owned(),
                contents: Some(Contents {
                    key: None,
                    headers: vec![("h".to_owned(), Bytes::from_static(b"\xff"))],
                    payload: Some(Bytes::from_static(b"{")),
                }),
            };
            (letter.id, letter)
        };
        let letters = [
            letter("q1", "MALFORMED_JSON", 0),
            letter("q2", "BAD_ROW", 4),
            letter("q3", "MALFORMED_JSON", 5),
            letter("r4711", "FAILED", 0),
        ];
        Self(Arc::new(Mutex::new(letters.into())))
    }

    fn open(&self) -> Vec<String> {
        self.0.lock().unwrap().keys().map(ToString::to_string).collect()
    }
}

impl OpenLetters for Shelf {
    async fn page(
        &self,
        filter: &Filter,
        after: Option<LetterId>,
        limit: u32,
        show: Show,
    ) -> Result<Vec<OpenLetter>, LettersError> {
        let letters = self.0.lock().unwrap();
        let wanted = letters.values().filter(|letter| {
            Some(letter.id) > after
                && (filter.ids.is_empty() || filter.ids.contains(&letter.id))
                && filter.reason.as_ref().is_none_or(|reason| *reason == letter.reason)
                && filter.since.is_none_or(|since| letter.last_at.unwrap() >= since)
        });
        let found = wanted.take(limit.try_into().unwrap()).cloned();
        Ok(found
            .map(|letter| OpenLetter { contents: letter.contents.filter(|_| show == Show::Contents), ..letter })
            .collect())
    }

    async fn redrive(&self, ids: &[LetterId]) -> Result<Vec<(LetterId, Redriven)>, LettersError> {
        let mut letters = self.0.lock().unwrap();
        let mut ended = Vec::new();
        for one in ids {
            if *one == id("q2") {
                letters.get_mut(one).unwrap().replay_count += 1;
                ended.push((*one, Redriven::FailedAgain("BAD_ROW".to_owned())));
            } else {
                letters.remove(one);
                ended.push((*one, if one.kind == 'q' { Redriven::Settled("applied") } else { Redriven::Queued }));
            }
        }
        Ok(ended)
    }

    async fn give_up(&self, ids: &[LetterId], _note: &Note) -> Result<Vec<LetterId>, LettersError> {
        let mut letters = self.0.lock().unwrap();
        Ok(ids.iter().copied().filter(|id| letters.remove(id).is_some()).collect())
    }
}

async fn try_command(shelf: &Shelf, form: Form, arguments: &[&str]) -> Result<(Done, String), CommandError> {
    let command = DeadLetterCommand::augment_subcommands(clap::Command::new("dead-letters"));
    let matches = command.try_get_matches_from(std::iter::once(&"dead-letters").chain(arguments)).unwrap();
    let command = DeadLetterCommand::from_arg_matches(&matches).unwrap();
    let mut out = Vec::new();
    let done = run(shelf, command, noon(), form, &mut out).await?;
    Ok((done, String::from_utf8(out).unwrap()))
}

async fn command(shelf: &Shelf, arguments: &[&str]) -> (Done, String) {
    try_command(shelf, Form::Lines, arguments).await.unwrap()
}

#[tokio::test]
async fn a_list_is_a_table_for_people() {
    let (done, table) = try_command(&Shelf::new(), Form::Table, &["list", "--limit", "3"]).await.unwrap();
    assert_eq!(done, Done::All);
    insta::assert_snapshot!(table, @r"
    ID  SOURCE    POSITION  ABOUT  REASON          CLASS      ATTEMPTS  REPLAYS  LAST AT               DETAIL
    q1  deltaker  3/41      -      MALFORMED_JSON  permanent  1         0        2025-03-10T12:00:00Z  not JSON at line 1, column 2
    q2  deltaker  3/41      -      BAD_ROW         permanent  1         4        2025-03-10T12:00:00Z  not JSON at line 1, column 2
    q3  deltaker  3/41      -      MALFORMED_JSON  permanent  1         5        2025-03-10T12:00:00Z  not JSON at line 1, column 2
    There are more: --after q3
    ");
}

#[tokio::test]
async fn a_list_is_lines_for_programs_and_has_no_bytes() {
    let arguments = ["list", "--json", "--reason", "FAILED"];
    let (_, lines) = try_command(&Shelf::new(), Form::Table, &arguments).await.unwrap();
    insta::assert_snapshot!(lines, @r#"{"about":"70001","attempts":1,"class":"permanent","detail":"not JSON at line 1,\ncolumn 2","first_at":null,"id":"r4711","last_at":"2025-03-10T12:00:00Z","position":"3/41","reason":"FAILED","replay_count":0,"source":"deltaker"}"#);
}

#[tokio::test]
async fn bytes_are_shown_only_when_asked_for() {
    let shelf = Shelf::new();
    assert!(!command(&shelf, &["show", "q1"]).await.1.contains("payload"));
    let (_, shown) = command(&shelf, &["show", "q1", "--payload"]).await;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["payload"], "ew==");
    assert_eq!(shown["headers"], json!([["h", "/w=="]]));
    assert_eq!(command(&shelf, &["show", "q9"]).await.0, Done::InPart);
}

#[tokio::test]
async fn an_export_has_everything_and_never_overwrites_a_file() {
    let shelf = Shelf::new();
    let (done, lines) = command(&shelf, &["export"]).await;
    let ids: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].clone()).collect();
    assert_eq!((done, ids), (Done::All, vec![json!("q1"), json!("q2"), json!("q3"), json!("r4711")]));
    assert!(lines.lines().all(|line| line.contains(r#""payload":"ew==""#)));
    let refused = try_command(&shelf, Form::Lines, &["export", "--output", "/dev/null"]).await;
    assert!(matches!(refused, Err(CommandError::Output(_))));
}

#[tokio::test]
async fn a_redrive_tells_how_each_ended_and_spares_what_was_redriven_five_times() {
    let shelf = Shelf::new();
    let (done, lines) = command(&shelf, &["redrive", "--all"]).await;
    assert_eq!(done, Done::InPart);
    insta::assert_snapshot!(lines, @r#"
    {"detail":"applied","id":"q1","result":"settled"}
    {"detail":"BAD_ROW","id":"q2","result":"failed_again"}
    {"detail":"redriven 5 times already; look into it, or insist","id":"q3","result":"refused"}
    {"detail":null,"id":"r4711","result":"queued"}
    {"done":2,"dry_run":false,"not_done":2}
    "#);
    assert_eq!(shelf.open(), ["q2", "q3"]);
    assert_eq!(command(&shelf, &["redrive", "q3", "--force"]).await.0, Done::All);
    assert_eq!(shelf.open(), ["q2"]);
}

#[tokio::test]
async fn a_rehearsal_does_nothing() {
    let shelf = Shelf::new();
    let (_, lines) = command(&shelf, &["redrive", "--since", "1h", "--dry-run"]).await;
    assert!(lines.contains(r#"{"detail":null,"id":"q1","result":"would_be_redriven"}"#), "{lines}");
    let (done, _) = command(&shelf, &["drop", "--all", "--by", "ola", "--why", "test", "--dry-run"]).await;
    assert_eq!(done, Done::All);
    assert_eq!(shelf.open(), ["q1", "q2", "q3", "r4711"]);
}

#[tokio::test]
async fn a_drop_takes_what_was_chosen_and_reports_what_was_not_there() {
    let shelf = Shelf::new();
    let (done, lines) = command(&shelf, &["drop", "q1", "q9", "--by", "ola", "--why", "a test record"]).await;
    assert_eq!(done, Done::InPart);
    assert!(
        lines.contains(r#""id":"q9","result":"not_open""#)
            && lines.contains(r#"{"done":1,"dry_run":false,"not_done":1}"#)
    );
    assert_eq!(shelf.open(), ["q2", "q3", "r4711"]);
}

#[tokio::test]
async fn nothing_is_worked_on_unless_it_is_said_which() {
    let refused = try_command(&Shelf::new(), Form::Lines, &["redrive"]).await;
    assert!(matches!(refused, Err(CommandError::NoneChosen)));
}

#[test]
fn since_is_a_time_or_a_span_back() {
    let at = |text: &str| text.parse::<Since>().map(|since| since.at(noon()));
    assert_eq!(at("2025-03-10T13:00:00+01:00"), Ok(noon()));
    assert_eq!(at("90m"), Ok(noon() - TimeDelta::minutes(90)));
    assert_eq!(at("7d"), Ok(noon() - TimeDelta::days(7)));
    for text in ["", "d", "7", "-1h", "1w", "7å", "yesterday"] {
        assert!(at(text).is_err(), "{text}");
    }
}

async fn ask(router: &Router, method: &str, path: &str, token: &str, body: &str) -> (u16, Value) {
    let request = Request::builder().method(method).uri(path).header("authorization", token);
    let request = request.header("content-type", "application/json").body(Body::from(body.to_owned())).unwrap();
    let answer = router.clone().oneshot(request).await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_slice(&to_bytes(answer.into_body(), usize::MAX).await.unwrap()).unwrap())
}

#[tokio::test]
async fn the_routes_do_the_same_for_whoever_has_the_token() {
    let shelf = Shelf::new();
    let router = admin::guarded(Some("canary".into()), routes::routes(Arc::new(shelf.clone()))).into_router();
    let call = async |method, path, body| ask(&router, method, path, "Bearer canary", body).await;

    let (status, list) = call("GET", "/admin/dead-letters?reason=MALFORMED_JSON&limit=1", "").await;
    assert_eq!((status, &list["after"], &list["dead_letters"][0]["id"]), (200, &json!("q1"), &json!("q1")));
    assert_eq!(call("GET", "/admin/dead-letters/r4711", "").await.1["about"], "70001");
    assert_eq!(call("GET", "/admin/dead-letters/q1?payload=true", "").await.1["payload"], "ew==");
    assert_eq!(call("GET", "/admin/dead-letters/q9", "").await.0, 404);
    assert_eq!(call("GET", "/admin/dead-letters/17", "").await.0, 400);
    assert_eq!(call("POST", "/admin/dead-letters/q1/redrive", "").await.1["result"], "settled");
    let (status, refused) = call("POST", "/admin/dead-letters/q3/redrive", "").await;
    assert_eq!(
        (status, &refused["detail"]),
        (409, &json!("refused: redriven 5 times already; look into it, or insist"))
    );
    assert_eq!(call("POST", "/admin/dead-letters/q3/redrive?force=true", "").await.0, 200);
    assert_eq!(call("POST", "/admin/dead-letters/r4711/drop", "{}").await.0, 400);
    assert_eq!(call("POST", "/admin/dead-letters/r4711/drop", r#"{"by":"ola","why":"test"}"#).await.0, 200);
    assert_eq!(shelf.open(), ["q2"]);
}

#[tokio::test]
async fn without_the_token_nobody_gets_in() {
    let shelf = Shelf::new();
    let with = |token: Option<&str>| {
        admin::guarded(token.map(Into::into), routes::routes(Arc::new(shelf.clone()))).into_router()
    };
    for token in ["", "canary", "Bearer ", "Bearer canar", "Bearer canary2", "bearer canary", "Basic canary"] {
        let (status, problem) = ask(&with(Some("canary")), "POST", "/admin/dead-letters/q1/redrive", token, "").await;
        assert_eq!((status, &problem["status"]), (401, &json!(401)), "{token}");
    }
    assert_eq!(ask(&with(None), "GET", "/admin/dead-letters", "Bearer canary", "").await.0, 403);
    assert_eq!(shelf.open().len(), 4);
}

#[test]
fn a_dead_letter_keeps_the_message_as_it_was() {
    let message = Message {
        source: "topic".into(),
        partition: 3,
        offset: 41,
        timestamp: None,
        key: Some(Bytes::from_static(b"\xff")),
        payload: Some(Bytes::from_static(b"{\"a\":\0")),
        headers: vec![("traceparent".to_owned(), Bytes::from_static(b"00-"))],
        attempt: 2,
    };
    let now = DateTime::UNIX_EPOCH;
    let letter =
        DeadLetter::new(&message, "MALFORMED_JSON", Class::Permanent("MALFORMED_JSON"), "line 1".to_owned(), now);
    assert_eq!((&letter.key, &letter.payload, &letter.headers), (&message.key, &message.payload, &message.headers));
    assert_eq!((letter.position.to_string().as_str(), letter.attempts, letter.replay_count), ("3/41", 2, 0));
}
