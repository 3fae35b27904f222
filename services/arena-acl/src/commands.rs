//! What the binary does beside `serve`: one file per command, with its arguments and what it prints. A command works on any
//! [`Store`](crate::service::Store) and prints its result, and nothing else, on standard output; `app` gives it the real one.

pub mod backfill;
pub mod check;
pub mod check_latest;
pub mod dead_letters;
pub mod eval;
pub mod explain;
pub mod job;
pub mod relast;
pub mod requeue_latest;
pub mod verify;

use domain::arena_acl::Table;

/// Arena's name of a table, from the command line.
fn read_table(name: &str) -> Result<Table, String> {
    let names = Table::ALL.map(Table::name).join(", ");
    Table::named(name).ok_or_else(|| format!("expected one of {names}"))
}
