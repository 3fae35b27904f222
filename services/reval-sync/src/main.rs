//! The service `reval-sync`: trainees, doctors and what changes about them, as one index that is always true.

use std::process::ExitCode;

use chassis::exit::{self, Done};
use clap::Parser as _;
use reval_sync::{app, cli::Cli};

#[tokio::main]
async fn main() -> ExitCode {
    exit::report(run().await)
}

async fn run() -> Result<Done, exit::Error> {
    Box::pin(app::run(Cli::try_parse()?.command)).await
}
