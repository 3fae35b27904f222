//! `check-latest`: objects whose change that was handled last is not their newest (docs/spec/arena-acl.md 6.8).

use clap::Args;
use domain::arena_acl::Table;
use serde_json::json;

use super::read_table;
use crate::{
    inbox::StoreError,
    operations::{Mend, Operations},
    terminal,
};

/// What is checked.
#[derive(Debug, Args)]
pub struct CheckLatest {
    /// Arena's table
    #[arg(long, value_parser = read_table, default_value = Table::Participants.name())]
    table: Table,
    /// Send the newest change of each object found to RETRY
    #[arg(long)]
    fix: bool,
}

pub(crate) async fn run(store: &impl Operations, CheckLatest { table, fix }: CheckLatest) -> Result<(), StoreError> {
    let mend = if fix { Mend::Yes } else { Mend::No };
    terminal::print_json(&json!({ "mismatches": store.check_latest(table, mend).await? }));
    Ok(())
}
