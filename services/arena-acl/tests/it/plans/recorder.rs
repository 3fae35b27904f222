//! What the server says of each statement of the store: its plan, as it was run, with the values and the session that the service gave it.
//!
//! The statements are those of the service because the service itself runs them: `auto_explain` sends each plan as a warning, and the driver
//! hands warnings to `tracing`.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use serde::Deserialize;
use sqlx::{AssertSqlSafe, PgPool};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
    subscriber::DefaultGuard,
};

/// A statement that was run.
#[derive(Debug, Deserialize)]
pub(crate) struct Plan {
    #[serde(rename = "Query Text")]
    pub(crate) text: String,
    #[serde(rename = "Plan")]
    pub(crate) root: Node,
}

/// A node of a plan; of what was read and written it says its own part and that of the nodes below.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Node {
    #[serde(rename = "Node Type")]
    pub(crate) kind: String,
    #[serde(rename = "Relation Name")]
    pub(crate) relation: Option<String>,
    #[serde(rename = "Index Name")]
    pub(crate) index: Option<String>,
    /// What a node that writes does.
    #[serde(rename = "Operation")]
    pub(crate) operation: Option<String>,
    #[serde(rename = "Parent Relationship")]
    parent: Option<String>,
    #[serde(rename = "Actual Rows")]
    pub(crate) rows: f64,
    #[serde(rename = "Actual Loops")]
    pub(crate) loops: f64,
    #[serde(rename = "Actual Total Time")]
    pub(crate) time: f64,
    #[serde(rename = "Rows Removed by Filter", default)]
    removed: f64,
    #[serde(rename = "Rows Removed by Index Recheck", default)]
    rechecked: f64,
    #[serde(rename = "Shared Hit Blocks")]
    pub(crate) hit: u64,
    #[serde(rename = "Shared Read Blocks")]
    pub(crate) read: u64,
    #[serde(rename = "Temp Written Blocks")]
    pub(crate) temp: u64,
    #[serde(default)]
    pub(crate) plans: Vec<Node>,
}

impl Node {
    /// This node and all below it.
    pub(crate) fn all(&self) -> Vec<&Node> {
        let mut all = vec![self];
        all.extend(self.plans.iter().flat_map(Node::all));
        all
    }

    /// How many rows it gave, or wrote.
    pub(crate) fn done(&self) -> f64 {
        let input = self.plans.iter().filter(|node| node.parent.as_deref() == Some("Outer"));
        if self.operation.is_some() {
            input.map(Node::done).fold(0.0, |sum, rows| sum + rows)
        } else {
            self.rows * self.loops
        }
    }

    /// How many rows the scans of this plan looked at, those of one table left out.
    pub(crate) fn looked_at(&self, but: &str) -> f64 {
        let scans = self.all().into_iter().filter(|node| node.operation.is_none());
        let scans = scans.filter(|node| node.relation.as_deref().is_some_and(|relation| relation != but));
        scans.map(|node| (node.rows + node.removed + node.rechecked) * node.loops).fold(0.0, |sum, rows| sum + rows)
    }
}

/// Hears the plans of all sessions that begin on this thread after it, until it is dropped.
pub(crate) struct Recorder {
    heard: Arc<Mutex<Vec<Plan>>>,
    _guard: DefaultGuard,
}

impl Recorder {
    /// Has every later session of the database tell its plans.
    pub(crate) async fn on(superuser: &PgPool) -> Self {
        let name: String = sqlx::query_scalar("SELECT current_database()").fetch_one(superuser).await.unwrap();
        for (setting, value) in [
            ("session_preload_libraries", "auto_explain"),
            ("auto_explain.log_min_duration", "0"),
            ("auto_explain.log_analyze", "on"),
            ("auto_explain.log_buffers", "on"),
            ("auto_explain.log_format", "json"),
            // the sessions of the service hear nothing below a warning
            ("auto_explain.log_level", "warning"),
        ] {
            let set = AssertSqlSafe(format!("ALTER DATABASE {name} SET {setting} = '{value}'"));
            sqlx::raw_sql(set).execute(superuser).await.unwrap();
        }
        let heard = Arc::default();
        let guard = tracing::subscriber::set_default(Ear(Arc::clone(&heard)));
        Self { heard, _guard: guard }
    }

    /// What was run since the last call, in order.
    pub(crate) fn take(&self) -> Vec<Plan> {
        std::mem::take(&mut *self.heard.lock().unwrap())
    }
}

struct Ear(Arc<Mutex<Vec<Plan>>>);

impl Subscriber for Ear {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::postgres::notice"
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        let plan = text.0.split_once("plan:\n").unwrap_or_else(|| panic!("not a plan: {}", text.0)).1;
        self.0.lock().unwrap().push(serde_json::from_str(plan).unwrap());
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

struct Text(String);

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.0);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
