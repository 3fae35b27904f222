//! `relast`: the participants of one single-place measure once more (docs/spec/arena-acl.md 6.9).

use clap::Args;
use domain::arena_acl::codes::Measure;
use serde_json::json;

use crate::{inbox::StoreError, operations::Operations, terminal};

/// Which measure.
#[derive(Debug, Args)]
pub struct Relast {
    /// ENKELAMO, ENKFAGYRKE or HOYEREUTD: of the others Arena is no longer the owner
    #[arg(long, value_parser = single_place)]
    tiltakskode: Measure,
}

fn single_place(code: &str) -> Result<Measure, &'static str> {
    let measure = Measure::named(code).filter(|measure| measure.is_single_place());
    measure.ok_or("only ENKELAMO, ENKFAGYRKE and HOYEREUTD can be loaded again")
}

pub(crate) async fn run(store: &impl Operations, Relast { tiltakskode }: Relast) -> Result<(), StoreError> {
    terminal::print_json(&json!({ "requeued": store.relast(tiltakskode).await? }));
    Ok(())
}
