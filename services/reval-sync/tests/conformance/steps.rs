//! The steps of a case, read strictly.

use bytes::Bytes;
use reval_sync::deliveries::Queue;
use serde_json::Value;
use testkit::vectors::{BadCase, object, text};

/// One step.
#[derive(Debug)]
pub(crate) enum Step {
    Http { method: String, path: String, body: Option<Value>, expect: Option<u64> },
    Deliver { queue: Queue, body: Bytes, redelivered: bool, expect: Option<String> },
    Settle,
    RunSync,
    Check(Value),
    Advance(u64),
    Crash(Option<String>),
    Restart,
    Fault,
    Restore,
}

impl Step {
    pub(crate) fn read(path: &str, step: &Value) -> Result<Self, BadCase> {
        let known = |required: &[&str], optional: &[&str]| {
            let required: Vec<&str> = ["do"].iter().chain(required).copied().collect();
            object(path, step, &required, optional).map(drop)
        };
        let bad = |what: &str| BadCase::new(format!("{path}: {what}"));
        let optional_text = |name: &str| step.get(name).map(|value| text(name, value).map(str::to_owned)).transpose();
        Ok(match text(path, &step["do"])? {
            "http" => {
                known(&["method", "path"], &["body", "expect"])?;
                Self::Http {
                    method: text("method", &step["method"])?.to_owned(),
                    path: text("path", &step["path"])?.to_owned(),
                    body: step.get("body").cloned(),
                    expect: step.get("expect").map(|status| status.as_u64().ok_or(bad("expect"))).transpose()?,
                }
            }
            "deliver" => {
                let given = if step.get("text").is_some() { "text" } else { "body" };
                known(&["queue", given], &["redelivered", "expect"])?;
                let body = match given {
                    "text" => text("text", &step["text"])?.to_owned(),
                    _ => step["body"].to_string(),
                };
                let name = text("queue", &step["queue"])?;
                let expect = optional_text("expect")?;
                if expect.as_ref().is_some_and(|expect| !["ack", "dead-letter", "retry"].contains(&expect.as_str())) {
                    return Err(bad("expect is not known"));
                }
                Self::Deliver {
                    queue: Queue::named(name).ok_or_else(|| bad("the queue is not known"))?,
                    body: Bytes::from(body),
                    redelivered: step["redelivered"].as_bool().unwrap_or_default(),
                    expect,
                }
            }
            "settle" => {
                known(&[], &[])?;
                Self::Settle
            }
            "run-sync" => {
                known(&[], &[])?;
                Self::RunSync
            }
            "check" => {
                known(&["indices"], &[])?;
                Self::Check(step["indices"].clone())
            }
            "clock" => {
                known(&["advanceSeconds"], &[])?;
                Self::Advance(step["advanceSeconds"].as_u64().ok_or_else(|| bad("advanceSeconds"))?)
            }
            "crash" => {
                known(&[], &["during"])?;
                Self::Crash(optional_text("during")?)
            }
            "restart" => {
                known(&[], &[])?;
                Self::Restart
            }
            "fault" => {
                known(&["target", "kind"], &[])?;
                if step["kind"] != "unavailable" {
                    return Err(bad("kind is not known"));
                }
                target(path, step)?;
                Self::Fault
            }
            "restore" => {
                known(&["target"], &[])?;
                target(path, step)?;
                Self::Restore
            }
            other => return Err(bad(&format!("{other:?} is not known"))),
        })
    }
}

fn target(path: &str, step: &Value) -> Result<(), BadCase> {
    match text("target", &step["target"])? {
        "search" => Ok(()),
        target => Err(BadCase::new(format!("{path}: target {target:?} is not known"))),
    }
}
