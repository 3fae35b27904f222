//! The commands of the binary. Settings are not among them: they come from the environment.

use chassis::dead_letters::commands::DeadLetterCommand;
use clap::{Parser, Subcommand};

use crate::commands::{check::Check, explain::Explain, sync::Sync, verify::Verify};

/// Rebuilds the index of trainee doctors beside the live one, swaps it in one step, and keeps it true.
#[derive(Debug, Parser)]
#[command(name = "reval-sync", version, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the service
    Serve {
        /// Without any server: memory in their place, and a scripted trainee service that shows what happens
        #[arg(long)]
        standalone: bool,
    },
    /// Start a run, or look after the one that is under way, at a service that runs
    #[command(subcommand)]
    Sync(Sync),
    /// Look whether the settings are right and everything that the service needs is there
    Check(Check),
    /// Tell what is known of a doctor, what came about it, and what a run would write now
    Explain(Explain),
    /// Look whether the index is what a run would write now; exit code 3 when it is not
    Verify(Verify),
    /// Look after what the service gave up: messages, and single items of them (m…)
    #[command(subcommand)]
    DeadLetters(DeadLetterCommand),
    /// Print every setting as a table
    Settings,
}
