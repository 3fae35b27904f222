//! What is sent, and how answers are understood that a healthy engine does not give.

use std::sync::{Arc, Mutex};

use ::http::StatusCode;
use chassis::http::{
    Client,
    transport::{Request, Scripted, TransportError, answer},
};
use serde_json::{Value, json};

use super::*;
use crate::engine::{Engine, Operation, Outcome, Query, Task, TaskState, Version};

fn over(script: &Scripted) -> Http {
    Http::new(Client::new("https://search.test/below".parse().unwrap(), Arc::new(script.clone())))
}

/// An engine with one index that answers everything else like this.
fn answering(status: u16, body: &str) -> Http {
    let body = body.to_owned();
    over(&Scripted::answering(move |request| {
        Ok(match request.uri().path() {
            "/below/a/_alias" => answer(StatusCode::OK, r#"{"a":{"aliases":{}}}"#),
            _ => answer(StatusCode::from_u16(status).unwrap(), body.clone()),
        })
    }))
}

fn index(id: &str) -> Operation {
    Operation::Index { id: id.to_owned(), source: crate::engine::Source::new() }
}

#[tokio::test]
async fn a_login_goes_along_and_is_shown_to_nobody() {
    let script = Scripted::answering(|request| {
        assert_eq!(request.headers()["authorization"], "Basic dXNlcjpww6Rzcw==");
        Ok(answer(StatusCode::OK, r#"{"version":{"number":"7.10.2"}}"#))
    });
    let engine = over(&script).with_login("user", &"päss".to_owned().into());
    assert_eq!(engine.version().await.unwrap(), "elasticsearch 7.10.2");
    assert!(!format!("{engine:?}").contains("dXNl"), "{engine:?}");
}

#[tokio::test]
async fn a_bulk_is_one_line_for_each_part_and_asks_for_little() {
    let sent: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
    let seen = Arc::clone(&sent);
    let engine = over(&Scripted::answering(move |request: &Request| {
        let target = request.uri().path_and_query().unwrap().to_string();
        seen.lock().unwrap().push((target, String::from_utf8(request.body().to_vec()).unwrap()));
        let items = r#"{"items":[{"index":{"status":200}},{"delete":{"status":404}}]}"#;
        let listed = r#"{"a":{"aliases":{}}}"#;
        Ok(answer(StatusCode::OK, if request.body().is_empty() { listed } else { items }))
    }));
    let version = Version { seq_no: 3, primary_term: 2 };
    let source = json!({"name": "a\nb"}).as_object().unwrap().clone();
    let lines = [
        Operation::Replace { id: "1".to_owned(), version, source },
        Operation::Delete { id: "2".to_owned(), version: None },
    ];
    assert_eq!(engine.bulk("a", &lines).await.unwrap(), [Outcome::Done, Outcome::Done]);
    let (target, body) = sent.lock().unwrap().pop().unwrap();
    assert_eq!(target, "/below/a/_bulk?filter_path=items.*.status%2Citems.*.error.type%2Cerror.type%2Cerror.index");
    let lines: Vec<Value> = body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let expected = [
        json!({"index": {"_id": "1", "if_seq_no": 3, "if_primary_term": 2}}),
        json!({"name": "a\nb"}),
        json!({"delete": {"_id": "2"}}),
    ];
    assert_eq!(lines, expected);
    assert!(body.ends_with('\n'));
}

#[tokio::test]
async fn a_line_that_is_no_fault_of_its_document_may_be_sent_again() {
    for status in [403, 429, 500, 503] {
        let engine = answering(200, &json!({"items": [{"index": {"status": status}}]}).to_string());
        assert_eq!(engine.bulk("a", &[index("1")]).await.unwrap(), [Outcome::Later], "{status}");
    }
    let item = json!({"index": {"status": 400, "error": {"type": "document_parsing_exception"}}});
    let engine = answering(200, &json!({"items": [item]}).to_string());
    let refused = Outcome::Refused { status: 400, reason: "document_parsing_exception".to_owned() };
    assert_eq!(engine.bulk("a", &[index("1")]).await.unwrap(), [refused]);
}

#[tokio::test]
async fn an_answer_to_other_lines_is_no_answer() {
    let engine = answering(200, r#"{"items":[{"index":{"status":200}}]}"#);
    let error = engine.bulk("a", &[index("1"), index("2")]).await.unwrap_err();
    assert_eq!(error.to_string(), "the search engine cannot be reached: answered 1 of 2 lines");
}

#[tokio::test]
async fn an_overloaded_engine_is_unavailable() {
    for (status, body) in [
        (429, r#"{"error":{"type":"circuit_breaking_exception","reason":"[parent] Data too large"}}"#),
        (503, "<html>upstream</html>"),
        (500, r#"{"error":{"type":"illegal_state_exception","reason":"?"}}"#),
        (502, ""),
        (408, ""),
        (200, "<html>a login page</html>"),
    ] {
        let error = answering(status, body).count("a", &Query::All).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable(_)), "{status}: {error:?}");
    }
}

#[tokio::test]
async fn an_engine_that_is_not_reached_is_unavailable() {
    for problem in [TransportError::Timeout, TransportError::Connection("connection refused".to_owned())] {
        let engine = over(&Scripted::answering(move |_| Err(problem.clone())));
        let error = engine.refresh("a").await.unwrap_err();
        assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    }
    let engine = over(&Scripted::answering(|_| Err(TransportError::TooLarge(10))));
    let error = engine.count("a", &Query::All).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "the same request would have the same answer: {error:?}");
}

#[tokio::test]
async fn what_the_engine_says_of_documents_is_not_repeated() {
    let body = r#"{"error":{"type":"search_phase_execution_exception","reason":"failed on 7012345",
        "caused_by":{"type":"query_shard_exception","reason":"failed on 7012345"}}}"#;
    let error = answering(400, body).count("a", &Query::All).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the search engine refused with 400: search_phase_execution_exception: query_shard_exception"
    );
    let body = r#"{"error":{"type":"mapper_parsing_exception","reason":"no handler for type [txt]"}}"#;
    let error = answering(400, body).create("a", &json!({})).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the search engine refused with 400: mapper_parsing_exception: no handler for type [txt]"
    );
}

#[tokio::test]
async fn what_only_some_shards_did_is_not_done() {
    let some = r#"{"count":5,"_shards":{"total":2,"successful":1,"failed":1}}"#;
    assert!(matches!(answering(200, some).count("a", &Query::All).await, Err(Error::Unavailable(_))));
    assert!(matches!(answering(200, some).refresh("a").await, Err(Error::Unavailable(_))));
    let unacknowledged = answering(200, r#"{"acknowledged":false}"#);
    assert!(matches!(unacknowledged.delete("a").await, Err(Error::Unavailable(_))));
}

#[tokio::test]
async fn a_task_is_done_only_when_it_wrote_everything() {
    let state = async |told: Value| answering(200, &told.to_string()).task(&Task("n:1".to_owned())).await.unwrap();
    let running = json!({"completed": false, "task": {"status": {"total": 9, "created": 2, "updated": 1}}});
    assert_eq!(state(running).await, TaskState::Running { done: 3, total: 9 });
    let ended = |response: Value| json!({"completed": true, "task": {"status": {}}, "response": response});
    assert_eq!(state(ended(json!({"total": 3, "created": 2, "updated": 1, "failures": []}))).await, TaskState::Done(3));
    for (response, reason) in [
        (json!({"total": 3, "created": 2}), "wrote 2 of 3"),
        (json!({"total": 3, "created": 3, "canceled": "by user request"}), "cancelled"),
        (
            json!({"total": 3, "created": 2, "failures": [{"id": "7", "cause": {"type": "x_exception", "reason": "7012345"}}]}),
            "x_exception",
        ),
    ] {
        assert_eq!(state(ended(response)).await, TaskState::Failed(reason.to_owned()));
    }
    let failed =
        json!({"completed": true, "task": {"status": {}}, "error": {"type": "y_exception", "reason": "7012345"}});
    assert_eq!(state(failed).await, TaskState::Failed("y_exception".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn waiting_for_health_ends_at_its_limit() {
    let engine = answering(408, r#"{"status":"red","timed_out":true}"#);
    assert!(!engine.healthy("a", std::time::Duration::ZERO).await.unwrap());
    let engine = answering(200, r#"{"status":"green","timed_out":false}"#);
    assert!(engine.healthy("a", std::time::Duration::from_secs(60)).await.unwrap());
}

#[tokio::test]
async fn a_search_asks_for_whole_answers_and_goes_on_after_the_last_hit() {
    let script = Scripted::answering(|request| {
        assert_eq!(request.uri().query(), Some("allow_partial_search_results=false"));
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        assert_eq!(body["search_after"], json!([9_223_372_036_854_775_807_i64, 4]));
        let hit = r#"{"_id":"1","_seq_no":5,"_primary_term":1,"_source":{},"sort":[9223372036854775807,5]}"#;
        Ok(answer(StatusCode::OK, format!(r#"{{"hits":{{"hits":[{hit}]}}}}"#)))
    });
    let after = [json!(i64::MAX), json!(4)];
    let page = over(&script).search("a", &Query::All, "tcsPersonId", 1, Some(&after)).await.unwrap();
    assert_eq!(page.documents[0].version, Version { seq_no: 5, primary_term: 1 });
    assert_eq!(page.after, Some(vec![json!(i64::MAX), json!(5)]));
}
