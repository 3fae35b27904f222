//! The steps of a scenario (docs/spec/arena-acl/README.md 2.3).

use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use http::Method;
use serde_json::Value;
use testkit::vectors::{BadCase, object, text};
use url::form_urlencoded;

/// The input topics by their logical names.
pub(crate) const INPUTS: [&str; 3] = ["gjennomforing", "deltaker", "histdeltaker"];

/// One step.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Produce a record.
    Record(Record),
    /// Run a job or a command so many times.
    Run { call: Call, times: u64, shows: Shows },
    /// Change what third parties answer; placeholders are still in it.
    SetHttp(Value),
    /// Move the clock by this ISO 8601 duration.
    AdvanceClock(String),
    /// Call the service.
    Http(Call),
}

/// What of the answer of a job or a command the case sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shows {
    Nothing,
    Body,
    /// Only that the import cannot go on.
    Blocked,
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

/// A job or a command: a route of the service, and what of its answer the case sees.
fn job(path: &str, step: &Value) -> Result<Step, BadCase> {
    let name = text(&format!("{path}.run"), &step["run"])?;
    let (required, optional, route): (&[&str], &[&str], &str) = match name {
        "retry_job" => (&["run"], &["times", "batch_size"], "/internal/api/jobs/retry"),
        "failed_job" => (&["run"], &["times"], "/internal/api/jobs/failed"),
        "delete_ignored_job" => (&["run"], &[], "/internal/api/jobs/purge"),
        "requeue_latest" => (&["run"], &["table", "by"], "/internal/api/requeue-latest"),
        "check_latest" => (&["run"], &["table", "fix"], "/internal/api/check-latest"),
        "relast" => (&["run", "tiltakskode"], &[], "/internal/api/relast-deltakere/"),
        "backfill" => (&["run", "value"], &[], "/internal/test/backfill"),
        _ => return Err(BadCase::new(format!("{path}.run {name:?} is not known"))),
    };
    let members = object(path, step, required, optional)?;
    let count = |name: &str| match members.get(name) {
        None => Ok(None),
        Some(value) => match value.as_u64().filter(|count| *count > 0) {
            Some(count) => Ok(Some(count)),
            None => Err(BadCase::new(format!("{path}.{name} is not a count"))),
        },
    };
    let mut route = match members.get("tiltakskode") {
        Some(code) => format!("{route}{}", text(&format!("{path}.tiltakskode"), code)?),
        None => route.to_owned(),
    };
    let mut query = form_urlencoded::Serializer::new(String::new());
    if let Some(rows) = count("batch_size")? {
        query.append_pair("batch_size", &rows.to_string());
    }
    for name in ["table", "by"] {
        if let Some(value) = members.get(name) {
            query.append_pair(name, text(&format!("{path}.{name}"), value)?);
        }
    }
    if let Some(fix) = members.get("fix") {
        let fix = fix.as_bool().ok_or_else(|| BadCase::new(format!("{path}.fix is not true or false")))?;
        query.append_pair("fix", &fix.to_string());
    }
    let query = query.finish();
    if !query.is_empty() {
        route = format!("{route}?{query}");
    }
    let call = Call { body: members.get("value").cloned(), ..Call::local(Method::POST, route) };
    let shows = match name {
        "retry_job" | "failed_job" => Shows::Nothing,
        "backfill" => Shows::Blocked,
        _ => Shows::Body,
    };
    Ok(Step::Run { call, times: count("times")?.unwrap_or(1), shows })
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
