//! The same as the commands, on the admin listener. The listener asks for the token.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{
        Path, Query, State,
        rejection::{JsonRejection, QueryRejection},
    },
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use chrono::{DateTime, Utc};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use tracing::error;

use super::{
    Filter, LettersError, NoLetterId, Note, OpenLetter, OpenLetters, Show, object,
    work::{Verdict, Work, carry_out},
};
use crate::admin::problem;

/// Letters on one page that nobody asked to be larger.
const PAGE: u32 = 100;
/// The largest page.
const LARGEST_PAGE: u32 = 1000;

/// `GET /admin/dead-letters`, `GET /admin/dead-letters/{id}`, `POST /admin/dead-letters/{id}/redrive` and `…/drop`.
pub fn routes<L: OpenLetters>(letters: Arc<L>) -> Router {
    Router::new()
        .route("/admin/dead-letters", get(list::<L>))
        .route("/admin/dead-letters/{id}", get(show::<L>))
        .route("/admin/dead-letters/{id}/redrive", post(redrive::<L>))
        .route("/admin/dead-letters/{id}/drop", post(give_up::<L>))
        .with_state(letters)
}

#[derive(Deserialize)]
struct Asked {
    reason: Option<String>,
    source: Option<String>,
    since: Option<DateTime<Utc>>,
    after: Option<String>,
    limit: Option<u32>,
}

async fn list<L: OpenLetters>(
    State(letters): State<Arc<L>>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Response> {
    let Query(Asked { reason, source, since, after, limit }) = asked.map_err(|_quotes| unreadable("a parameter"))?;
    let after = after.map(|id| id.parse()).transpose().map_err(no_id)?;
    let limit = limit.unwrap_or(PAGE).clamp(1, LARGEST_PAGE);
    let filter = Filter { ids: Vec::new(), reason, source, since };
    let found = letters.page(&filter, after, limit, Show::Summary).await.map_err(away)?;
    let is_full = u32::try_from(found.len()).is_ok_and(|found| found == limit);
    let next = found.last().filter(|_| is_full).map(|last| last.id.to_string());
    let found: Vec<_> = found.iter().map(object).collect();
    Ok(Json(json!({ "dead_letters": found, "after": next })).into_response())
}

#[derive(Deserialize)]
struct Showing {
    #[serde(default)]
    payload: bool,
}

async fn show<L: OpenLetters>(
    State(letters): State<Arc<L>>,
    Path(id): Path<String>,
    asked: Result<Query<Showing>, QueryRejection>,
) -> Result<Response, Response> {
    let Query(Showing { payload }) = asked.map_err(|_quotes| unreadable("a parameter"))?;
    let show = if payload { Show::Contents } else { Show::Summary };
    Ok(Json(object(&find(&*letters, &id, show).await?)).into_response())
}

#[derive(Deserialize)]
struct Redriving {
    #[serde(default)]
    force: bool,
}

async fn redrive<L: OpenLetters>(
    State(letters): State<Arc<L>>,
    Path(id): Path<String>,
    asked: Result<Query<Redriving>, QueryRejection>,
) -> Result<Response, Response> {
    let Query(Redriving { force }) = asked.map_err(|_quotes| unreadable("a parameter"))?;
    work_on(&*letters, &id, &Work::Redrive { force }).await
}

#[derive(Deserialize)]
struct Dropping {
    by: String,
    why: String,
}

async fn give_up<L: OpenLetters>(
    State(letters): State<Arc<L>>,
    Path(id): Path<String>,
    note: Result<Json<Dropping>, JsonRejection>,
) -> Result<Response, Response> {
    let Json(Dropping { by, why }) = note.map_err(|_quotes| unreadable("the body: {\"by\": …, \"why\": …}"))?;
    work_on(&*letters, &id, &Work::Drop(Note { by, why })).await
}

/// 200 when it is done, 409 when it is not.
async fn work_on(letters: &impl OpenLetters, id: &str, work: &Work) -> Result<Response, Response> {
    let letter = find(letters, id, Show::Summary).await?;
    let verdicts = carry_out(letters, std::slice::from_ref(&letter), work).await.map_err(away)?;
    let verdict = verdicts.into_iter().next().unwrap_or_else(|| Verdict::not_open(letter.id));
    if verdict.is_done {
        return Ok(Json(verdict.object()).into_response());
    }
    Err(problem(StatusCode::CONFLICT, "the dead letter stays", Some(verdict.in_words())))
}

async fn find(letters: &impl OpenLetters, id: &str, show: Show) -> Result<OpenLetter, Response> {
    let filter = Filter { ids: vec![id.parse().map_err(no_id)?], ..Filter::default() };
    let found = letters.page(&filter, None, 1, show).await.map_err(away)?.into_iter().next();
    found.ok_or_else(|| problem(StatusCode::NOT_FOUND, "no dead letter with this id waits", None))
}

fn no_id(error: NoLetterId) -> Response {
    unreadable(&error.to_string())
}

fn unreadable(what: &str) -> Response {
    problem(StatusCode::BAD_REQUEST, "not readable", Some(what.to_owned()))
}

fn away(failure: LettersError) -> Response {
    error!(error = %failure, "a request failed at the store");
    match failure.outage {
        true => problem(StatusCode::SERVICE_UNAVAILABLE, "the store is away", None),
        false => problem(StatusCode::INTERNAL_SERVER_ERROR, "the store failed", None),
    }
}
