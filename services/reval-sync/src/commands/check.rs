//! `check`: whether the settings are right and everything that the service needs is there. It takes part in nothing.

use std::{future::Future, time::Duration};

use chassis::exit::{Done, causes};
use clap::Args;
use search::engine::Engine;
use tokio::time::timeout;

use crate::{
    deliveries::Deliveries,
    index::{self, Held, Layout},
    run_store::Control,
    sources::{Collection, Sources},
    terminal,
};

/// How long one question may take.
const LIMIT: Duration = Duration::from_secs(10);

/// How it is looked.
#[derive(Debug, Args)]
pub struct Check {
    /// Only the settings
    #[arg(long)]
    pub offline: bool,
}

/// Something will not do.
#[derive(Debug, thiserror::Error)]
#[error("{0} of the things that the service needs will not do")]
pub struct NotAll(usize);

/// Prints a line for each thing that the service needs.
///
/// # Errors
/// [`NotAll`] when one of them will not do.
pub(crate) async fn run(
    engine: &impl Engine,
    queues: &impl Deliveries,
    store: &impl Control,
    sources: &impl Sources,
    layout: Layout,
) -> Result<Done, NotAll> {
    let mut wrong = 0;
    let mut say = |what: &str, result: Result<String, String>| {
        wrong += usize::from(result.is_err());
        let (mark, says) = match &result {
            Ok(says) => ("ok  ", says),
            Err(says) => ("FAIL", says),
        };
        terminal::print(&format!("{mark}  {what}: {says}"));
    };
    say("settings", Ok("complete and readable".to_owned()));
    say("search engine", asked(engine.version()).await);
    match timeout(LIMIT, index::holders(engine, layout)).await {
        Ok(Ok(holders)) => {
            for (name, held) in holders {
                say(&format!("name {name}"), Ok(about(name, &held)));
            }
        }
        Ok(Err(error)) => say("names", Err(causes(&error))),
        Err(_elapsed) => say("names", Err("no answer in time".to_owned())),
    }
    say("run store", asked(async { store.read().await.map(|_| "can be read".to_owned()) }).await);
    for collection in Collection::ALL {
        let counted = async { sources.count(collection).await.map(|count| format!("about {count} documents")) };
        say(&format!("collection {}", collection.name()), asked(counted).await);
    }
    for queue in queues.queues() {
        let counted = async {
            let depth = queues.depth(queue).await?;
            let also =
                if depth.strangers > 0 { format!(", {} other consumers", depth.strangers) } else { String::new() };
            Ok::<_, crate::deliveries::QueueError>(format!("{} messages wait{also}", depth.ready))
        };
        say(&format!("queue {}", queue.name()), asked(counted).await);
    }
    if wrong == 0 { Ok(Done::All) } else { Err(NotAll(wrong)) }
}

async fn asked<E: std::error::Error>(question: impl Future<Output = Result<String, E>>) -> Result<String, String> {
    match timeout(LIMIT, question).await {
        Ok(answer) => answer.map_err(|error| causes(&error)),
        Err(_elapsed) => Err("no answer in time".to_owned()),
    }
}

/// Who holds a name, and what becomes of it (14.3 no. 11).
fn about(name: &str, held: &Held) -> String {
    match held {
        Held::Free => "free".to_owned(),
        Held::Alias(indices) => format!("alias of {}", indices.join(", ")),
        Held::Empty => "an empty index; it will be replaced".to_owned(),
        Held::Index(documents) => format!("an index with {documents} documents; it will be kept as {name}_legacy_…"),
    }
}
