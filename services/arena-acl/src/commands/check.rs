//! `check`: whether the settings are right and everything that the service needs is there.

use std::{
    fmt::Write as _,
    future::Future,
    io::{self, IsTerminal as _},
    time::Duration,
};

use chassis::{
    exit::{Done, causes},
    http::{CallError, Problem, tokens::TokenError},
};
use clap::Args;
use futures::future;
use kafka::probe::{ProbeError, Seen};
use serde::Serialize;
use tokio::time::timeout;

use crate::{auth::FetchError, inbox::StoreError, postgres::Examined, terminal};

/// How long one dependency may take to answer.
pub(crate) const LIMIT: Duration = Duration::from_secs(5);
/// How long all may take; they are asked at once.
const WHOLE: Duration = Duration::from_secs(45);

/// How it is looked.
#[derive(Debug, Args)]
pub struct Check {
    /// Only the settings
    #[arg(long)]
    pub offline: bool,
    /// As JSON lines, for programs; also where the output is no terminal
    #[arg(long)]
    json: bool,
}

/// What the dependencies say, each as an answer that is under way.
pub(crate) struct Dependencies<D, K, T, N, A> {
    pub(crate) database: D,
    pub(crate) kafka: K,
    /// Each scope, by the neighbour that it is for.
    pub(crate) tokens: T,
    pub(crate) neighbours: N,
    pub(crate) identity: A,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Line {
    /// What it is.
    what: String,
    /// Whether it will do.
    ok: bool,
    /// What was found, and what to do about it.
    says: String,
}

impl Line {
    fn of(what: impl Into<String>, result: Result<String, String>) -> Self {
        let ok = result.is_ok();
        Self { what: what.into(), ok, says: result.unwrap_or_else(|problem| problem) }
    }
}

/// Prints a line for the settings, which were read before, and unless `offline` one for each dependency.
///
/// # Errors
/// [`NotAll`] when one of them will not do.
pub(crate) async fn run<D, K, T, N, A>(asked: &Check, dependencies: Dependencies<D, K, T, N, A>) -> Result<Done, NotAll>
where
    D: Future<Output = Result<Examined, StoreError>>,
    K: Future<Output = Seen>,
    T: Future<Output = Vec<(&'static str, Result<(), TokenError>)>>,
    N: Future<Output = Vec<(&'static str, Result<(), CallError>)>>,
    A: Future<Output = Result<(), FetchError>>,
{
    let mut lines = vec![Line::of("settings", Ok("complete and readable".to_owned()))];
    if !asked.offline {
        let Dependencies { database, kafka, tokens, neighbours, identity } = dependencies;
        let (database, kafka, tokens, neighbours, identity) = future::join5(
            timeout(WHOLE, database),
            timeout(WHOLE, kafka),
            timeout(WHOLE, tokens),
            timeout(WHOLE, neighbours),
            timeout(WHOLE, identity),
        )
        .await;
        lines.extend(database.map_or_else(|_| late("database"), |answer| about_database(&answer)));
        lines.extend(kafka.map_or_else(|_| late("kafka"), |seen| about_kafka(&seen)));
        lines.extend(tokens.map_or_else(|_| late("tokens"), |tokens| tokens.iter().map(about_token).collect()));
        lines.extend(neighbours.map_or_else(|_| late("neighbours"), |all| all.iter().map(about_neighbour).collect()));
        lines.extend(identity.map_or_else(|_| late("identity provider"), |answer| vec![about_identity(&answer)]));
    }
    if asked.json || !io::stdout().is_terminal() {
        lines.iter().for_each(terminal::print_json);
    } else {
        terminal::print(&table(&lines));
    }
    match lines.iter().filter(|line| !line.ok).count() {
        0 => Ok(Done::All),
        wrong => Err(NotAll(wrong)),
    }
}

/// Not everything will do.
#[derive(Debug, thiserror::Error)]
#[error("{0} of the things above will not do")]
pub(crate) struct NotAll(usize);

fn late(what: &str) -> Vec<Line> {
    vec![Line::of(what, Err("did not answer in time".to_owned()))]
}

fn about_database(answer: &Result<Examined, StoreError>) -> Vec<Line> {
    let examined = match answer {
        Ok(examined) => examined,
        Err(error) => {
            let problem = format!("{error}: is DB_JDBC_URL right, and does the server run and let this user in?");
            return vec![Line::of("database", Err(problem))];
        }
    };
    let Examined { server, least_server, applied, pending, foreign, broken, may_create, refused } = examined;
    let version = if server >= least_server {
        Ok(format!("PostgreSQL {server}"))
    } else {
        Err(format!("PostgreSQL {server}, and {least_server} is the least that is needed"))
    };
    let list = |versions: &[i64]| versions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let schema = if !foreign.is_empty() {
        Err(format!("has migrations that this program does not know ({}): run a newer one", list(foreign)))
    } else if !broken.is_empty() {
        Err(format!("migration {} broke off: the log of that start says why", list(broken)))
    } else if pending.is_empty() {
        Ok(format!("all {applied} migrations are applied"))
    } else if *may_create {
        Ok(format!("migrations {} are pending: `serve` or `migrate` applies them", list(pending)))
    } else {
        Err(format!("migrations {} are pending, and this user may not create tables", list(pending)))
    };
    let grants = if refused.is_empty() {
        Ok("may read and write".to_owned())
    } else {
        Err(format!("may not read and write {}: grant SELECT, INSERT, UPDATE and DELETE", refused.join(", ")))
    };
    vec![Line::of("database", version), Line::of("database schema", schema), Line::of("database grants", grants)]
}

fn about_kafka(seen: &Seen) -> Vec<Line> {
    let brokers = match &seen.brokers {
        Ok(1) => Ok("1 broker".to_owned()),
        Ok(brokers) => Ok(format!("{brokers} brokers")),
        Err(error) => Err(format!("{error}: are KAFKA_BROKERS and the certificates right, and do the brokers run?")),
    };
    let mut lines = vec![Line::of("kafka", brokers)];
    if seen.brokers.is_err() {
        return lines; // nobody was asked the rest
    }
    lines.extend(seen.topics.iter().map(|(topic, partitions)| {
        let found = match partitions {
            Ok(1) => Ok("1 partition".to_owned()),
            Ok(partitions) => Ok(format!("{partitions} partitions")),
            Err(ProbeError::NoTopic) => {
                Err("does not exist: is its name right, and may this client see it?".to_owned())
            }
            Err(ProbeError::NotAllowed) => Err("may not be read: give this client access to it".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        Line::of(format!("topic {topic}"), found)
    }));
    let group = match &seen.group {
        Ok(()) => Ok("its offsets may be read".to_owned()),
        Err(ProbeError::NotAllowed) => Err("may not be used: give this client access to it".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    lines.push(Line::of(format!("group {}", crate::kafka::GROUP), group));
    lines
}

fn about_token((neighbour, token): &(&'static str, Result<(), TokenError>)) -> Line {
    let given = match token {
        Ok(()) => Ok("given".to_owned()),
        Err(error) => {
            let todo =
                "are AZURE_OPENID_CONFIG_TOKEN_ENDPOINT, AZURE_APP_CLIENT_ID, AZURE_APP_JWK and its scope right?";
            Err(format!("{}: {todo}", causes(error)))
        }
    };
    Line::of(format!("token for {neighbour}"), given)
}

fn about_neighbour((neighbour, answer): &(&'static str, Result<(), CallError>)) -> Line {
    let answers = match answer {
        Ok(()) => Ok("answers".to_owned()),
        Err(error) => {
            let todo = match error.problem {
                Problem::Status(401 | 403) => {
                    "it does not let this client in: is its scope right, and does it expect us?"
                }
                Problem::Status(_) => "it is there and not well",
                Problem::Token(_) => "see its token",
                _ => "is its URL right, and may this process reach it?",
            };
            Err(format!("{}: {todo}", causes(error)))
        }
    };
    Line::of(*neighbour, answers)
}

fn about_identity(answer: &Result<(), FetchError>) -> Line {
    let found = match answer {
        Ok(()) => Ok("its discovery document and keys can be read".to_owned()),
        Err(error) => Err(format!("{}: is AZURE_APP_WELL_KNOWN_URL right?", causes(error))),
    };
    Line::of("identity provider", found)
}

fn table(lines: &[Line]) -> String {
    let width = lines.iter().map(|line| line.what.chars().count()).max().unwrap_or_default();
    lines.iter().fold(String::new(), |mut text, Line { what, ok, says }| {
        let ok = if *ok { "ok   " } else { "WRONG" };
        // writing to a text cannot fail
        writeln!(text, "{ok}  {what:<width$}  {says}").unwrap_or_default();
        text
    })
}

#[cfg(test)]
mod tests;
