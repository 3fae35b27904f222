//! The requests.

use std::time::Duration;

use ::http::{HeaderMap, Method, StatusCode};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    Http,
    answers::{self, Acknowledged, Count, Found, Got, Health, Listed, Refreshed, Root, Started, Told},
    bulk,
    problem::{self, About},
    query::{alias_action, query},
};
use crate::engine::{
    AliasAction, Document, Engine, Error, Index, Operation, Outcome, Page, Query, Reindex, Task, TaskState,
};

/// How long the engine may wait before it answers, below what a transport waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

impl Engine for Http {
    async fn version(&self) -> Result<String, Error> {
        let root: Root = self.fetch(About::Structure(""), &[], &[]).await?;
        Ok(root.name())
    }

    async fn create(&self, name: &str, body: &Value) -> Result<(), Error> {
        let about = About::Structure(name);
        self.call::<Acknowledged>(about, Method::PUT, &[name], &[], body).await?.whole()
    }

    async fn delete(&self, name: &str) -> Result<(), Error> {
        let answer = self.send(Method::DELETE, &[name], &[], HeaderMap::new(), Bytes::new()).await?;
        match About::Structure(name).read::<Acknowledged>(&answer) {
            Err(Error::NoIndex(_)) => Ok(()),
            acknowledged => acknowledged?.whole(),
        }
    }

    async fn indices(&self, pattern: &str) -> Result<Vec<Index>, Error> {
        match self.listed(pattern).await {
            Err(Error::NoIndex(_)) => Ok(Vec::new()),
            listed => listed.map(answers::indices),
        }
    }

    async fn aliases(&self, actions: &[AliasAction]) -> Result<(), Error> {
        let body = json!({"actions": actions.iter().map(alias_action).collect::<Vec<_>>()});
        let about = About::Structure("an index of the call");
        match self.call::<Acknowledged>(about, Method::POST, &["_aliases"], &[], &body).await {
            // the engine says so only where nothing else was to be done
            Err(Error::Refused { status: 404, .. })
                if actions.iter().all(|action| matches!(action, AliasAction::Remove { .. })) =>
            {
                Ok(())
            }
            acknowledged => acknowledged?.whole(),
        }
    }

    async fn set(&self, name: &str, settings: &Value) -> Result<(), Error> {
        let about = About::Structure(name);
        self.call::<Acknowledged>(about, Method::PUT, &[name, "_settings"], &[], settings).await?.whole()
    }

    async fn clone_index(&self, from: &str, to: &str) -> Result<(), Error> {
        // the copy would take the block along
        let body = json!({"settings": {"index.blocks.write": null}});
        let about = About::Structure(to);
        self.call::<Acknowledged>(about, Method::POST, &[from, "_clone", to], &[], &body).await?.whole()
    }

    async fn healthy(&self, name: &str, limit: Duration) -> Result<bool, Error> {
        let until = Instant::now() + limit;
        loop {
            let wait = until.saturating_duration_since(Instant::now()).min(PATIENCE);
            let timeout = format!("{}ms", wait.as_millis());
            let query = [("wait_for_status", "yellow"), ("timeout", timeout.as_str())];
            let path = ["_cluster", "health", name];
            let answer = self.send(Method::GET, &path, &query, HeaderMap::new(), Bytes::new()).await?;
            // 408 is the answer to waiting in vain
            let health: Health = match answer.status() {
                StatusCode::REQUEST_TIMEOUT => problem::read(&answer)?,
                _ => About::Structure(name).read(&answer)?,
            };
            if !health.timed_out {
                return Ok(true);
            }
            if Instant::now() >= until {
                return Ok(false);
            }
        }
    }

    async fn refresh(&self, name: &str) -> Result<(), Error> {
        let answer = self.send(Method::POST, &[name, "_refresh"], &[], HeaderMap::new(), Bytes::new()).await?;
        About::Documents(name).read::<Refreshed>(&answer)?.whole()
    }

    async fn count(&self, name: &str, wanted: &Query) -> Result<u64, Error> {
        let body = json!({"query": query(wanted)});
        self.call::<Count>(About::Documents(name), Method::POST, &[name, "_count"], &[], &body).await?.whole()
    }

    async fn get(&self, name: &str, ids: &[String]) -> Result<Vec<Option<Document>>, Error> {
        if ids.is_empty() {
            return Ok(Vec::new()); // the engine refuses an empty list
        }
        let body = json!({"ids": ids});
        let got: Got = self.call(About::Documents(name), Method::POST, &[name, "_mget"], &[], &body).await?;
        got.documents(name)
    }

    async fn search(
        &self,
        name: &str,
        wanted: &Query,
        sort: &str,
        size: usize,
        after: Option<&[Value]>,
    ) -> Result<Page, Error> {
        // the second key parts documents that are equal in the first, or have nothing there
        let mut body = json!({
            "query": query(wanted),
            "size": size,
            "sort": [{sort: {"order": "asc", "missing": "_last"}}, {"_seq_no": {"order": "asc"}}],
            "seq_no_primary_term": true,
            "track_total_hits": false,
        });
        if let (Some(after), Some(body)) = (after, body.as_object_mut()) {
            body.insert("search_after".to_owned(), after.into());
        }
        // without it the hits of the shards that answered would pass for all
        let whole = [("allow_partial_search_results", "false")];
        let found: Found = self.call(About::Documents(name), Method::POST, &[name, "_search"], &whole, &body).await?;
        Ok(found.page(size))
    }

    async fn bulk(&self, index: &str, operations: &[Operation]) -> Result<Vec<Outcome>, Error> {
        self.own_name(index).await?;
        if operations.is_empty() {
            return Ok(Vec::new()); // the engine refuses an empty body
        }
        let query = [("filter_path", bulk::FIELDS)];
        let answer = self.lines(&[index, "_bulk"], &query, bulk::lines(operations).into()).await?;
        bulk::outcomes(index, operations, About::Documents(index).read(&answer)?)
    }

    async fn reindex(&self, reindex: &Reindex) -> Result<Task, Error> {
        // the task would tell of a missing source later, and make a missing destination
        self.listed(&reindex.source).await?;
        self.own_name(&reindex.destination).await?;
        let mut body = json!({
            "source": {"index": reindex.source, "query": query(&reindex.query), "_source": reindex.fields},
            "dest": {"index": reindex.destination},
        });
        if let (false, Some(body)) = (reindex.constants.is_empty(), body.as_object_mut()) {
            let constants: crate::engine::Source = reindex.constants.iter().cloned().collect();
            let source = "ctx._source.putAll(params.constants)";
            let script = json!({"lang": "painless", "source": source, "params": {"constants": constants}});
            body.insert("script".to_owned(), script);
        }
        let query = [("slices", "auto"), ("wait_for_completion", "false"), ("refresh", "false")];
        let about = About::Documents(&reindex.source);
        let started: Started = self.call(about, Method::POST, &["_reindex"], &query, &body).await?;
        Ok(Task(started.task))
    }

    async fn task(&self, task: &Task) -> Result<TaskState, Error> {
        match self.fetch::<Told>(About::Documents(&task.0), &["_tasks", &task.0], &[]).await {
            Ok(told) => Ok(told.state()),
            // a node that ended took its tasks along
            Err(Error::Refused { status: 404, reason }) => Ok(TaskState::Failed(reason)),
            Err(error) => Err(error),
        }
    }
}

impl Http {
    async fn listed(&self, pattern: &str) -> Result<Listed, Error> {
        self.fetch(About::Structure(pattern), &[pattern, "_alias"], &[]).await
    }

    /// The engine makes an index that somebody writes to, without a mapping of ours; and a name may have become an alias.
    async fn own_name(&self, index: &str) -> Result<(), Error> {
        if self.listed(index).await?.contains_key(index) { Ok(()) } else { Err(Error::NoIndex(index.to_owned())) }
    }
}
