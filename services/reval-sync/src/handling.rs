//! How the service does its work; what the settings say of it, in the types of the service.

use std::time::Duration;

use chrono_tz::Tz;
use domain::reval_sync::run::{Plan, Source, Stage};

use crate::index::{Bulk, Layout, Shape};

/// What an instance does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    /// It runs.
    pub orchestrator: bool,
    /// It takes stage data.
    pub indexer: bool,
    /// It takes change events and trainee updates.
    pub cdc: bool,
    /// It exports doctors when told to.
    pub exporter: bool,
}

/// Exchange and routing keys of what is sent (2.2).
#[derive(Debug, Clone)]
pub struct Routes {
    /// The exchange of everything.
    pub exchange: String,
    /// `syncStart`
    pub tcs_start: String,
    /// `gmcSyncStart`
    pub gmc_start: String,
    /// `connectionLogSyncStart`
    pub connection_logs_start: String,
    /// `hiddenDiscrepancySyncStart`
    pub hidden_discrepancies_start: String,
    /// Batches of the exporter role.
    pub gmc_data: String,
    /// Connection logs.
    pub connection_log_data: String,
    /// Hidden discrepancies.
    pub hidden_discrepancy_data: String,
    /// Person ids for a targeted resync.
    pub trainee_update: String,
}

impl Routes {
    /// Key and text of the signal that begins a stage.
    #[must_use]
    pub fn signal(&self, stage: Stage) -> (&str, &'static str) {
        match stage {
            Stage::Tcs => (&self.tcs_start, "syncStart"),
            Stage::Gmc => (&self.gmc_start, "gmcSyncStart"),
            Stage::ConnectionLogs => (&self.connection_logs_start, "connectionLogSyncStart"),
            Stage::HiddenDiscrepancies => (&self.hidden_discrepancies_start, "hiddenDiscrepancySyncStart"),
        }
    }
}

impl Default for Routes {
    fn default() -> Self {
        Self {
            exchange: "reval.exchange".to_owned(),
            tcs_start: "reval.connection.syncstart".to_owned(),
            gmc_start: "reval.recommendation.syncstart".to_owned(),
            connection_logs_start: "reval.routingkey.connectionlog.essyncstart".to_owned(),
            hidden_discrepancies_start: "reval.routingkey.hiddendiscrepancy.essyncstart".to_owned(),
            gmc_data: "reval.routingkey.revalidationsummary.essync".to_owned(),
            connection_log_data: "reval.routingkey.connectionlog.essyncdata".to_owned(),
            hidden_discrepancy_data: "reval.routingkey.hiddendiscrepancy.essyncdata".to_owned(),
            trainee_update: "reval.trainee.update".to_owned(),
        }
    }
}

/// How the service does its work.
#[derive(Debug, Clone)]
pub struct Handling {
    /// What this instance does.
    pub roles: Roles,
    /// Sources of the stages after the trainees.
    pub sources: [Source; 3],
    /// Whether derived indices are kept.
    pub layout: Layout,
    /// How long a queue is silent before it is quiet.
    pub quiet_period: Duration,
    /// The longest time without progress.
    pub idle_limit: Duration,
    /// The least share of the live count.
    pub min_ratio: f64,
    /// The live count from which on the share counts.
    pub min_baseline: u64,
    /// Bounds of bulk writing.
    pub bulk: Bulk,
    /// What new indices are made with.
    pub shape: Shape,
    /// Whether an index that failed verification is kept until the next run.
    pub keep_failed: bool,
    /// For how long a run can be rolled back, and its journal is kept.
    pub rollback_retention: Duration,
    /// Where "today" is.
    pub zone: Tz,
    /// Doctors in one message of the exporter role.
    pub export_batch: usize,
    /// Deliveries that are taken together.
    pub take: usize,
    /// Where messages go.
    pub routes: Routes,
}

impl Handling {
    /// How a run is carried out that is requested now.
    #[must_use]
    pub fn plan(&self, force: bool) -> Plan {
        Plan {
            sources: self.sources,
            derived: self.layout == Layout::Physical,
            force,
            min_ratio: self.min_ratio,
            min_baseline: self.min_baseline,
            idle_limit: self.idle_limit,
        }
    }
}

impl Default for Handling {
    fn default() -> Self {
        Self {
            roles: Roles { orchestrator: true, indexer: true, cdc: true, exporter: false },
            sources: [Source::Store; 3],
            layout: Layout::Aliases,
            quiet_period: Duration::from_secs(2),
            idle_limit: Duration::from_secs(900),
            min_ratio: 0.9,
            min_baseline: 100,
            bulk: Bulk { max_actions: 2000, max_bytes: 8 << 20, concurrency: 4 },
            shape: Shape { shards: 1, replicas: 1, refresh_interval: "1s".to_owned() },
            keep_failed: false,
            rollback_retention: Duration::from_secs(24 * 3600),
            zone: Tz::UTC,
            export_batch: 9000,
            take: 1000,
            routes: Routes::default(),
        }
    }
}
