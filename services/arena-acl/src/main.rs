//! The service `arena-acl`: Arena's change records over Kafka, through Postgres, to clean participant messages.

use std::process::ExitCode;

use arena_acl::{app, cli::Cli};
use chassis::exit::{self, Done};
use clap::Parser as _;

#[tokio::main]
async fn main() -> ExitCode {
    exit::report(run().await)
}

async fn run() -> Result<Done, exit::Error> {
    Box::pin(app::run(Cli::try_parse()?.command)).await
}
