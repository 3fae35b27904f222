//! The routes of operators, reached through a shell or a port-forward (docs/spec/arena-acl.md 7.2). Who may use them is decided before.

use std::{num::NonZeroU32, sync::Arc};

use axum::{
    Json,
    extract::{
        Path, Query, State,
        rejection::{JsonRejection, PathRejection, QueryRejection},
    },
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chassis::trace;
use domain::arena_acl::{Table, codes::Measure, long_uuid};
use serde::Deserialize;
use serde_json::json;
use tracing::{error, info, warn};

use super::{Api, Background, Refusal};
use crate::{
    OSLO,
    inbox::{Inbox, NewMessage, Outbox},
    jobs::{JobError, Rerun},
    operations::{Mend, Newest, Operations},
};

type Answer = Result<Response, Refusal>;

fn readable<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Refusal> {
    query.map(|Query(asked)| asked).map_err(|_quotes| Refusal(StatusCode::BAD_REQUEST, "a parameter cannot be read"))
}

#[derive(Deserialize)]
pub(super) struct RunJob {
    batch_size: Option<NonZeroU32>,
}

pub(super) async fn run_job<I: Inbox + Operations>(
    State(api): State<Arc<Api<I>>>,
    job: Result<Path<String>, PathRejection>,
    asked: Result<Query<RunJob>, QueryRejection>,
) -> Answer {
    let job = job.map_or_else(|_unreadable| String::new(), |Path(job)| job);
    let asked = readable(asked)?;
    info!(job, "a job was started over HTTP");
    let rows = |default| asked.batch_size.unwrap_or(default);
    let ended = match job.as_str() {
        "retry" => api.jobs.run(Rerun::Retry, rows(api.handling.retry_rows)).await.map(Json).map(Json::into_response),
        "failed" => {
            api.jobs.run(Rerun::Failed, rows(api.handling.failed_rows)).await.map(Json).map(Json::into_response)
        }
        "purge" => api.jobs.purge().await.map(|deleted| Json(json!({ "deleted": deleted })).into_response()),
        _ => return Err(Refusal(StatusCode::NOT_FOUND, "no such job: retry, failed, purge")),
    };
    ended.map_err(|error| match error {
        JobError::Running => Refusal(StatusCode::CONFLICT, "the job is running"),
        JobError::Stopped => Refusal(StatusCode::SERVICE_UNAVAILABLE, "the service is stopping; what was done stays"),
        JobError::Store(error) => error.into(),
    })
}

#[derive(Deserialize)]
pub(super) struct OfTable {
    table: Option<String>,
    by: Option<String>,
    fix: Option<bool>,
}

impl OfTable {
    fn table(&self) -> Result<Table, Refusal> {
        let table = self.table.as_deref().map_or(Some(Table::Participants), Table::named);
        table.ok_or(Refusal(StatusCode::BAD_REQUEST, "table is none of Arena's three"))
    }
}

pub(super) async fn requeue_latest<I: Operations>(
    State(api): State<Arc<Api<I>>>,
    asked: Result<Query<OfTable>, QueryRejection>,
) -> Answer {
    let asked = readable(asked)?;
    let newest = match asked.by.as_deref() {
        None | Some("position") => Newest::ByPosition,
        Some("id") => Newest::ById,
        Some(_) => return Err(Refusal(StatusCode::BAD_REQUEST, "by is position or id")),
    };
    let requeued = api.inbox.requeue_latest(asked.table()?, newest).await?;
    info!(requeued, "{requeued} newest changes are to be handled again");
    Ok(Json(json!({ "requeued": requeued })).into_response())
}

pub(super) async fn check_latest<I: Operations>(
    State(api): State<Arc<Api<I>>>,
    asked: Result<Query<OfTable>, QueryRejection>,
) -> Answer {
    let asked = readable(asked)?;
    let mismatches = api.inbox.check_latest(asked.table()?, Mend::No).await?;
    Ok(Json(json!({ "mismatches": mismatches })).into_response())
}

pub(super) async fn mend_latest<I: Operations>(State(api): State<Arc<Api<I>>>, Query(asked): Query<OfTable>) -> Answer {
    let mend = if asked.fix == Some(true) { Mend::Yes } else { Mend::No };
    let mismatches = api.inbox.check_latest(asked.table()?, mend).await?;
    Ok(Json(json!({ "mismatches": mismatches })).into_response())
}

pub(super) async fn relast<I: Operations + 'static>(
    State(api): State<Arc<Api<I>>>,
    Path(code): Path<String>,
) -> Answer {
    // only these are safe: of the others Arena is no longer the owner (6.9)
    let measure = Measure::named(&code).filter(|measure| measure.is_single_place());
    let measure = measure
        .ok_or(Refusal(StatusCode::BAD_REQUEST, "only ENKELAMO, ENKFAGYRKE and HOYEREUTD can be loaded again"))?;
    let background = api.background;
    let work = async move {
        let requeued = api.inbox.relast(measure).await;
        match &requeued {
            Ok(requeued) => info!(requeued, measure = measure.code(), "{requeued} changes are to be handled again"),
            Err(error) => error!(%error, measure = measure.code(), "loading a measure again failed"),
        }
        requeued
    };
    match background {
        Background::No => Ok(Json(json!({ "requeued": work.await? })).into_response()),
        Background::Yes => {
            #[expect(clippy::disallowed_methods, reason = "one statement, which a stop rolls back; its end is logged")]
            drop(tokio::spawn(work));
            Ok(StatusCode::OK.into_response())
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Tombstones {
    deltakere: Vec<String>,
}

/// Through the outbox, so that one publisher keeps the order of each key.
pub(super) async fn tombstone<I: Outbox>(
    State(api): State<Arc<Api<I>>>,
    body: Result<Json<Tombstones>, JsonRejection>,
) -> Answer {
    let Ok(Json(Tombstones { deltakere })) = body else {
        return Err(Refusal(StatusCode::BAD_REQUEST, "the body is not {\"deltakere\": [\"<uuid>\", …]}"));
    };
    let ids = deltakere.iter().map(|id| long_uuid(id)).collect::<Option<Vec<_>>>();
    let ids = ids.ok_or(Refusal(StatusCode::BAD_REQUEST, "an id is not a UUID"))?;
    // the consumer of that topic refuses tombstones and stops on them (2.10)
    warn!(tombstones = ids.len(), "tombstones were asked for, on which today's consumer stops");
    let messages: Vec<NewMessage> = ids
        .into_iter()
        .map(|id| NewMessage {
            topic: api.single_place_topic.clone(),
            key: id.to_string(),
            payload: None,
            transaction_id: None,
            trace: trace::current(),
        })
        .collect();
    api.inbox.enqueue(&messages, api.clock.local(OSLO)).await?;
    Ok(StatusCode::OK.into_response())
}
