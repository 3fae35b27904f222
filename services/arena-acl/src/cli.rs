//! The commands of the binary. Settings are not among them: they come from the environment.

use chassis::dead_letters::commands::DeadLetterCommand;
use clap::{Parser, Subcommand};

use crate::commands::{
    backfill::Backfill, check::Check, check_latest::CheckLatest, eval::Eval, explain::Explain, job::Job,
    relast::Relast, requeue_latest::RequeueLatest, verify::Verify,
};

/// Arena's change records over Kafka, through Postgres, to clean participant messages.
#[derive(Debug, Parser)]
#[command(name = "arena-acl", version, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the service, migrations first
    Serve {
        /// Without any server: memory in their place, and a sample feed that shows what happens
        #[arg(long)]
        standalone: bool,
    },
    /// Bring the database schema up to date
    Migrate,
    /// Run a job once
    #[command(subcommand)]
    Job(Job),
    /// Look whether the settings are right and everything that the service needs is there
    Check(Check),
    /// Tell what happened to an object, and what would happen next
    Explain(Explain),
    /// Look whether the copy is true; exit code 3 when it is not
    Verify(Verify),
    /// Look after what the service gave up: quarantined records (q…), and rows in INVALID and FAILED (r…)
    #[command(subcommand)]
    DeadLetters(DeadLetterCommand),
    /// Send the newest HANDLED change of each object to RETRY, to be published again by the next retry run
    RequeueLatest(RequeueLatest),
    /// Find the objects whose change that was handled last is not their newest
    CheckLatest(CheckLatest),
    /// Send the newest change of each participant of a single-place measure to RETRY
    Relast(Relast),
    /// Import single-place participants from the start of the participant topic; publishes nothing. A repeat goes on where it stopped
    Backfill(Backfill),
    /// Call a pure function, line by line; needs no settings and no server
    Eval(Eval),
    /// Print every setting as a table
    Settings,
}
