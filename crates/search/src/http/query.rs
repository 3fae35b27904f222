//! Queries and alias actions, as the engine reads them.

use serde_json::{Value, json};

use crate::engine::{AliasAction, Query};

/// Compares the values of two fields; neither having any is equal. The names are parameters, never part of the script.
const DIFFER: &str = "doc[params.one] != doc[params.other]";

pub(super) fn query(query: &Query) -> Value {
    match query {
        Query::All => json!({"match_all": {}}),
        Query::Term(field, value) => json!({"term": {field: {"value": value}}}),
        Query::Terms(field, values) => json!({"terms": {field: values}}),
        Query::Match(field, text) => json!({"match": {field: {"query": text}}}),
        Query::Exists(field) => exists(field),
        Query::Missing(field) => json!({"bool": {"must_not": [exists(field)]}}),
        Query::Below(field, limit) => json!({"range": {field: {"lt": limit}}}),
        Query::Differ(one, other) => {
            let script = json!({"lang": "painless", "source": DIFFER, "params": {"one": one, "other": other}});
            json!({"script": {"script": script}})
        }
        Query::Nested(list, query) => json!({"nested": {"path": list, "query": self::query(query)}}),
        Query::Every(queries) if queries.is_empty() => json!({"match_all": {}}),
        Query::Every(queries) => json!({"bool": {"filter": all(queries)}}),
        Query::Any(queries) if queries.is_empty() => json!({"match_none": {}}),
        Query::Any(queries) => json!({"bool": {"should": all(queries), "minimum_should_match": 1}}),
    }
}

pub(super) fn alias_action(action: &AliasAction) -> Value {
    match action {
        AliasAction::Add { index, alias, filter, write } => {
            let mut add = json!({"index": index, "alias": alias, "is_write_index": write});
            if let (Some(filter), Some(add)) = (filter, add.as_object_mut()) {
                add.insert("filter".to_owned(), query(filter));
            }
            json!({"add": add})
        }
        AliasAction::Remove { index, alias } => json!({"remove": {"index": index, "alias": alias}}),
        AliasAction::RemoveIndex { index } => json!({"remove_index": {"index": index}}),
    }
}

fn all(queries: &[Query]) -> Vec<Value> {
    queries.iter().map(query).collect()
}

fn exists(field: &str) -> Value {
    json!({"exists": {"field": field}})
}
