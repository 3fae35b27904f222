//! The steps of a scenario (docs/spec/arena-acl/README.md 2.3).

use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use http::Method;
use serde_json::Value;
use testkit::vectors::{BadCase, object, text};

/// The input topics by their logical names.
pub(crate) const INPUTS: [&str; 3] = ["gjennomforing", "deltaker", "histdeltaker"];

/// One step.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Produce a record.
    Record(Record),
    /// Run the retry job so many times, on pages of this size.
    Retry { times: u64, batch_size: Option<u64> },
    /// Change what third parties answer; placeholders are still in it.
    SetHttp(Value),
    /// Move the clock by this ISO 8601 duration.
    AdvanceClock(String),
    /// Call the service.
    Http(Call),
    /// A job or command that the service does not have yet.
    NotBuilt(&'static str),
}

/// A record.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// Logical.
    pub(crate) topic: String,
    pub(crate) key: Option<Bytes>,
    /// `None` for a tombstone.
    pub(crate) payload: Option<Bytes>,
}

/// A request to the service.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// With its query.
    pub(crate) path: String,
    pub(crate) body: Option<Value>,
    /// Whether a valid bearer token goes with it.
    pub(crate) token: bool,
    /// The address that the service sees; live, anything but loopback stands for an address of this machine.
    pub(crate) remote: IpAddr,
}

impl Call {
    /// A request from loopback without token or body.
    pub(crate) fn local(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), body: None, token: false, remote: Ipv4Addr::LOCALHOST.into() }
    }
}

impl Step {
    /// The step `value` at `path`.
    pub(crate) fn read(path: &str, value: &Value) -> Result<Self, BadCase> {
        if value.get("run").is_some() {
            return job(path, value);
        }
        let step = object(path, value, &[], &["record", "set_http", "advance_clock", "http"])?;
        let mut members = step.iter();
        let (Some((kind, inner)), None) = (members.next(), members.next()) else {
            return Err(BadCase::new(format!("{path} is not one step")));
        };
        let path = format!("{path}.{kind}");
        match kind.as_str() {
            "record" => record(&path, inner).map(Self::Record),
            "set_http" => {
                object(&path, inner, &[], &["ords_fnr", "mr_id", "mr_v2", "amt_tiltak"])?;
                Ok(Self::SetHttp(inner.clone()))
            }
            "advance_clock" => Ok(Self::AdvanceClock(text(&path, inner)?.to_owned())),
            _ => call(&path, inner).map(Self::Http),
        }
    }
}

fn job(path: &str, step: &Value) -> Result<Step, BadCase> {
    let name = text(&format!("{path}.run"), &step["run"])?;
    let (required, optional, not_built): (&[&str], &[&str], _) = match name {
        "retry_job" => (&["run"], &["times", "batch_size"], None),
        "failed_job" => (&["run"], &["times"], Some("job failed_job")),
        "delete_ignored_job" => (&["run"], &[], Some("job delete_ignored_job")),
        "requeue_latest" => (&["run"], &["table", "by"], Some("command requeue_latest")),
        "check_latest" => (&["run"], &["table", "fix"], Some("command check_latest")),
        "relast" => (&["run", "tiltakskode"], &[], Some("command relast")),
        "backfill" => (&["run", "value"], &[], Some("import backfill")),
        _ => return Err(BadCase::new(format!("{path}.run {name:?} is not known"))),
    };
    let members = object(path, step, required, optional)?;
    if let Some(what) = not_built {
        return Ok(Step::NotBuilt(what));
    }
    let count = |name: &str| match members.get(name) {
        None => Ok(None),
        Some(value) => match value.as_u64().filter(|count| *count > 0) {
            Some(count) => Ok(Some(count)),
            None => Err(BadCase::new(format!("{path}.{name} is not a count"))),
        },
    };
    Ok(Step::Retry { times: count("times")?.unwrap_or(1), batch_size: count("batch_size")? })
}

fn record(path: &str, value: &Value) -> Result<Record, BadCase> {
    let members = object(path, value, &["topic", "key"], &["value", "raw", "tombstone"])?;
    let topic = text(&format!("{path}.topic"), &value["topic"])?;
    if !INPUTS.contains(&topic) {
        return Err(BadCase::new(format!("{path}.topic {topic:?} is not an input topic")));
    }
    let key = match &value["key"] {
        Value::Null => None,
        key => Some(Bytes::from(text(&format!("{path}.key"), key)?.to_owned())),
    };
    let payload = match (members.get("value"), members.get("raw"), members.get("tombstone")) {
        (Some(value), None, None) => Some(Bytes::from(value.to_string())),
        (None, Some(raw), None) => Some(Bytes::from(text(&format!("{path}.raw"), raw)?.to_owned())),
        (None, None, Some(Value::Bool(true))) => None,
        _ => return Err(BadCase::new(format!("{path} has not one of value, raw and tombstone"))),
    };
    Ok(Record { topic: topic.to_owned(), key, payload })
}

fn call(path: &str, value: &Value) -> Result<Call, BadCase> {
    let members = object(path, value, &["method", "path"], &["body", "token", "remote"])?;
    let bad = |what: &str| BadCase::new(format!("{path}.{what}"));
    let method = text(&format!("{path}.method"), &value["method"])?;
    let target = text(&format!("{path}.path"), &value["path"])?.to_owned();
    let remote = match members.get("remote") {
        None => Ipv4Addr::LOCALHOST.into(),
        Some(remote) => {
            let remote = text(&format!("{path}.remote"), remote)?;
            remote.parse().map_err(|error| BadCase::because(path, &error))?
        }
    };
    let token = match members.get("token") {
        None => target.starts_with("/api/"),
        Some(Value::Bool(false)) => false,
        Some(_) => return Err(bad("token is not false")),
    };
    let method = Method::from_bytes(method.as_bytes()).map_err(|error| BadCase::because(path, &error))?;
    Ok(Call { method, path: target, body: members.get("body").cloned(), token, remote })
}
