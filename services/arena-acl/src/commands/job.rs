//! `job`: one run of a job, now.

use std::num::NonZeroU32;

use chassis::exit::Done;
use clap::Subcommand;
use serde_json::json;

use crate::{
    jobs::{JobError, Rerun},
    service::{Service, Store},
    terminal,
};

/// A job.
#[derive(Debug, Subcommand)]
pub enum Job {
    /// Handle every row in RETRY once
    Retry {
        /// Rows on one page
        #[arg(long)]
        batch_size: Option<NonZeroU32>,
    },
    /// Handle every row in FAILED once
    Failed {
        /// Rows on one page
        #[arg(long)]
        batch_size: Option<NonZeroU32>,
    },
    /// Delete every row in IGNORED
    Purge,
}

pub(crate) async fn run<S: Store>(service: &Service<S>, job: Job) -> Result<Done, JobError> {
    let (jobs, handling) = (service.jobs(), service.handling());
    match job {
        Job::Retry { batch_size } => {
            terminal::print_json(&jobs.run(Rerun::Retry, batch_size.unwrap_or(handling.retry_rows)).await?);
        }
        Job::Failed { batch_size } => {
            terminal::print_json(&jobs.run(Rerun::Failed, batch_size.unwrap_or(handling.failed_rows)).await?);
        }
        Job::Purge => terminal::print_json(&json!({ "deleted": jobs.purge().await? })),
    }
    Ok(Done::All)
}
