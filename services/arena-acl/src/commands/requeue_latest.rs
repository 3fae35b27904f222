//! `requeue-latest`: the newest state of every object once more (docs/spec/arena-acl.md 6.7).

use clap::{Args, ValueEnum};
use domain::arena_acl::Table;
use serde_json::json;

use super::read_table;
use crate::{
    inbox::StoreError,
    operations::{Newest, Operations},
    terminal,
};

/// Which changes are requeued.
#[derive(Debug, Args)]
pub struct RequeueLatest {
    /// Arena's table
    #[arg(long, value_parser = read_table, default_value = Table::Participants.name())]
    table: Table,
    /// Which HANDLED change of an object is its newest: by Arena's position, or by arrival
    #[arg(long, value_enum, default_value_t = By::Position)]
    by: By,
}

/// Which HANDLED change of an object is its newest.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum By {
    /// By Arena's position
    Position,
    /// By arrival, as the old service had it
    Id,
}

pub(crate) async fn run(store: &impl Operations, RequeueLatest { table, by }: RequeueLatest) -> Result<(), StoreError> {
    let newest = match by {
        By::Position => Newest::ByPosition,
        By::Id => Newest::ById,
    };
    terminal::print_json(&json!({ "requeued": store.requeue_latest(table, newest).await? }));
    Ok(())
}
