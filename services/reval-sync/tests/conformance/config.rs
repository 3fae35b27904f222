//! `config` of a case over its defaults.

use std::time::Duration;

use reval_sync::{
    handling::{Handling, Roles},
    index::Layout,
    record::source_named,
};
use serde_json::Value;
use testkit::vectors::{BadCase, list, object, text};

/// How the service does its work in a case.
pub(crate) fn handling(config: &Value) -> Result<Handling, BadCase> {
    let mut handling = Handling::default();
    if config.is_null() {
        return Ok(handling);
    }
    let known = ["roles", "sources", "layout", "batchSize", "stageIdleTimeoutSeconds", "verify"];
    for (name, value) in object("config", config, &[], &known)? {
        let bad = || BadCase::new(format!("config.{name} is not understood"));
        match name.as_str() {
            "roles" => handling.roles = roles(list(name, value)?)?,
            "sources" => {
                let names = ["gmc", "connectionLogs", "hiddenDiscrepancies"];
                object(name, value, &[], &names)?;
                for (place, source) in names.iter().zip(&mut handling.sources) {
                    if let Some(named) = value.get(*place) {
                        *source = source_named(text(place, named)?).ok_or_else(bad)?;
                    }
                }
            }
            "layout" => {
                handling.layout = match text(name, value)? {
                    "aliases" => Layout::Aliases,
                    "physical" => Layout::Physical,
                    _ => return Err(bad()),
                };
            }
            "batchSize" => {
                handling.export_batch = usize::try_from(value.as_u64().ok_or_else(bad)?).map_err(|_| bad())?
            }
            "stageIdleTimeoutSeconds" => {
                handling.idle_limit = Duration::from_secs(value.as_u64().ok_or_else(bad)?);
            }
            _ => {
                object(name, value, &[], &["minRatio", "minBaseline"])?;
                if let Some(ratio) = value.get("minRatio") {
                    handling.min_ratio = ratio.as_f64().ok_or_else(bad)?;
                }
                if let Some(baseline) = value.get("minBaseline") {
                    handling.min_baseline = baseline.as_u64().ok_or_else(bad)?;
                }
            }
        }
    }
    Ok(handling)
}

fn roles(names: &[Value]) -> Result<Roles, BadCase> {
    let mut roles = Roles { orchestrator: false, indexer: false, cdc: false, exporter: false };
    for name in names {
        match text("roles", name)? {
            "orchestrator" => roles.orchestrator = true,
            "indexer" => roles.indexer = true,
            "cdc" => roles.cdc = true,
            "exporter" => roles.exporter = true,
            other => return Err(BadCase::new(format!("role {other:?} is not known"))),
        }
    }
    Ok(roles)
}
