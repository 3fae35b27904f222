//! The commands of the binary. Settings are not among them: they come from the environment.

use clap::{Parser, Subcommand};

use crate::commands::job::Job;

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
    /// Print every setting as a table
    Settings,
}
