//! What a query finds, and in which order.

use search::engine::{Engine, Query};
use serde_json::{Value, json};

use crate::world::{filled, ids, term};

fn terms(field: &str, values: &[&str]) -> Query {
    Query::Terms(field.to_owned(), values.iter().map(|&value| value.into()).collect())
}

fn below(field: &str, value: impl Into<Value>) -> Query {
    Query::Below(field.to_owned(), value.into())
}

pub(crate) async fn exact_values_are_found(engine: impl Engine) {
    let name = filled(
        &engine,
        &[
            json!({"tcsPersonId": 7, "existsInGmc": true, "admin": "Some One"}),
            json!({"tcsPersonId": 8, "existsInGmc": false, "admin": "some one"}),
            json!({"tcsPersonId": null}),
        ],
    )
    .await;
    assert_eq!(ids(&engine, &name, &term("tcsPersonId", 7)).await, ["1"]);
    assert_eq!(ids(&engine, &name, &term("existsInGmc", true)).await, ["1"]);
    assert_eq!(ids(&engine, &name, &term("admin.keyword", "some one")).await, ["2"]);
    assert_eq!(ids(&engine, &name, &terms("admin.keyword", &["Some One", "some one", "x"])).await, ["1", "2"]);
    assert_eq!(ids(&engine, &name, &terms("admin.keyword", &[])).await, [""; 0]);
    let persons = Query::Terms("tcsPersonId".to_owned(), vec![8.into(), 9.into()]);
    assert_eq!(ids(&engine, &name, &persons).await, ["2"]);
}

pub(crate) async fn words_are_found_in_any_case(engine: impl Engine) {
    let kinds = ["VISITOR", "Visitor", "Military visitor", "Substantive", "Visitors"];
    let name = filled(&engine, &kinds.map(|kind| json!({"membershipType": kind}))).await;
    let visitor = Query::Match("membershipType".to_owned(), "visitor".to_owned());
    assert_eq!(ids(&engine, &name, &visitor).await, ["1", "2", "3"]);
}

pub(crate) async fn a_term_on_text_is_a_word_of_it(engine: impl Engine) {
    let numbers = ["7012345", "70123456", "AB12345", "ab12345", "7012345 ab12345"];
    let name = filled(&engine, &numbers.map(|number| json!({"gmcReferenceNumber": number}))).await;
    let wanted = terms("gmcReferenceNumber", &["7012345", "ab12345"]);
    assert_eq!(ids(&engine, &name, &wanted).await, ["1", "3", "4", "5"]);
    assert_eq!(ids(&engine, &name, &term("gmcReferenceNumber", "AB12345")).await, [""; 0], "a term is not analysed");
}

pub(crate) async fn presence_and_absence_are_found(engine: impl Engine) {
    let name = filled(&engine, &[json!({"designatedBody": "1-A"}), json!({"designatedBody": null}), json!({})]).await;
    assert_eq!(ids(&engine, &name, &Query::Exists("designatedBody".to_owned())).await, ["1"]);
    assert_eq!(ids(&engine, &name, &Query::Missing("designatedBody".to_owned())).await, ["2", "3"]);
}

pub(crate) async fn dates_and_numbers_below_a_limit_are_found(engine: impl Engine) {
    let name = filled(
        &engine,
        &[
            json!({"submissionDate": "2026-01-31", "tcsPersonId": 9}),
            json!({"submissionDate": "2026-02-01", "tcsPersonId": 10}),
            json!({}),
        ],
    )
    .await;
    assert_eq!(ids(&engine, &name, &below("submissionDate", "2026-02-01")).await, ["1"]);
    assert_eq!(ids(&engine, &name, &below("tcsPersonId", 10)).await, ["1"]);
}

pub(crate) async fn two_fields_that_differ_are_found(engine: impl Engine) {
    let bodies = [
        (None, None),
        (Some("1-A"), None),
        (Some("1-A"), Some("1-A")),
        (Some("1-A"), Some("1-B")),
        (None, Some("1-A")),
    ];
    let documents = bodies.map(|(one, other)| json!({"designatedBody": one, "tcsDesignatedBody": other}));
    let name = filled(&engine, &documents).await;
    let differ = Query::Differ("designatedBody.keyword".to_owned(), "tcsDesignatedBody.keyword".to_owned());
    assert_eq!(ids(&engine, &name, &differ).await, ["2", "4", "5"]);
}

pub(crate) async fn an_entry_of_a_nested_list_is_found(engine: impl Engine) {
    let name = filled(
        &engine,
        &[
            json!({"hiddenDiscrepancies": [{"id": "a", "reason": "r"}, {"id": "b", "reason": "s"}]}),
            json!({"hiddenDiscrepancies": [{"id": "a", "reason": "s"}]}),
            json!({"hiddenDiscrepancies": []}),
            json!({}),
        ],
    )
    .await;
    let id = |id: &str| term("hiddenDiscrepancies.id.keyword", id);
    let within = |query| Query::Nested("hiddenDiscrepancies".to_owned(), Box::new(query));
    assert_eq!(ids(&engine, &name, &within(id("a"))).await, ["1", "2"]);
    let both = Query::Every(vec![id("a"), term("hiddenDiscrepancies.reason.keyword", "s")]);
    assert_eq!(ids(&engine, &name, &within(both)).await, ["2"], "of one entry, not of two");
    assert_eq!(ids(&engine, &name, &id("a")).await, [""; 0], "only inside of the list");
}

pub(crate) async fn conditions_combine(engine: impl Engine) {
    let name = filled(
        &engine,
        &[
            json!({"membershipType": "Visitor"}),
            json!({"designatedBody": "1-A", "submissionDate": "2026-01-01"}),
            json!({"designatedBody": "1-A", "submissionDate": "2026-03-01"}),
            json!({"submissionDate": "2026-01-01"}),
        ],
    )
    .await;
    let expired = Query::Every(vec![Query::Exists("designatedBody".to_owned()), below("submissionDate", "2026-02-01")]);
    let any = Query::Any(vec![Query::Match("membershipType".to_owned(), "visitor".to_owned()), expired]);
    assert_eq!(ids(&engine, &name, &any).await, ["1", "2"]);
    assert_eq!(ids(&engine, &name, &Query::Any(vec![])).await, [""; 0]);
    assert_eq!(ids(&engine, &name, &Query::Every(vec![])).await.len(), 4);
}

pub(crate) async fn a_field_that_is_not_mapped_finds_nothing(engine: impl Engine) {
    let name = filled(&engine, &[json!({"placementGrade": "279", "syncMeta": {"runId": "r"}})]).await;
    for field in ["placementGrade", "placementGrade.keyword", "syncMeta.runId"] {
        assert_eq!(ids(&engine, &name, &Query::Exists(field.to_owned())).await, [""; 0], "{field}");
    }
}

/// The ids of all pages of two, each page as long as it may be.
async fn paged(engine: &impl Engine, name: &str, sort: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let mut after = None;
    loop {
        let page = engine.search(name, &Query::All, sort, 2, after.as_deref()).await.unwrap();
        assert!(page.documents.len() == 2 || page.after.is_none());
        ids.extend(page.documents.into_iter().map(|document| document.id));
        after = page.after;
        if after.is_none() {
            return ids;
        }
    }
}

pub(crate) async fn pages_go_through_all_hits_in_order(engine: impl Engine) {
    let numbers = ["b", "d", "a", "e", "c"];
    let documents: Vec<_> = numbers
        .iter()
        .zip([11, 2, 30, 4, 5])
        .map(|(number, person)| json!({"admin": number, "tcsPersonId": person}))
        .collect();
    let name = filled(&engine, &documents).await;
    assert_eq!(paged(&engine, &name, "admin.keyword").await, ["3", "1", "5", "2", "4"]);
    assert_eq!(paged(&engine, &name, "tcsPersonId").await, ["2", "4", "5", "1", "3"]);
}

pub(crate) async fn pages_go_through_documents_without_the_field(engine: impl Engine) {
    let admins = [None, Some("b"), None, None, Some("a"), None];
    let name = filled(&engine, &admins.map(|admin| json!({"admin": admin}))).await;
    assert_eq!(paged(&engine, &name, "admin.keyword").await, ["5", "2", "1", "3", "4", "6"]);
    assert_eq!(paged(&engine, &name, "tcsPersonId").await, ["1", "2", "3", "4", "5", "6"]);
    assert_eq!(paged(&engine, &name, "submissionDate").await, ["1", "2", "3", "4", "5", "6"]);
}
