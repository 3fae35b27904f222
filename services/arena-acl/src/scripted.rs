//! Third parties as a script: the form in which vectors and the sample feed write down their answers
//! (docs/spec/arena-acl/README.md 2.2).

use std::collections::BTreeMap;

use chassis::http::transport::Scripted;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;

/// Answers by lookup key, per call.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stubs {
    /// National ids by Arena person id.
    pub ords_fnr: BTreeMap<String, Stub>,
    /// Course UUIDs by Arena course id.
    pub mr_id: BTreeMap<String, Stub>,
    /// Course details by UUID.
    pub mr_v2: BTreeMap<String, Stub>,
    /// A person's participations by national id.
    pub amt_tiltak: BTreeMap<String, Stub>,
}

/// One answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stub {
    /// The HTTP status.
    pub status: u16,
    /// The JSON body; absent is empty.
    pub body: Option<Value>,
}

impl Stubs {
    /// Every answer to a GET: path and query as they are sent, status, body.
    pub fn gets(&self) -> impl Iterator<Item = (String, u16, String)> + '_ {
        let fnr = self.ords_fnr.iter().map(|(key, stub)| (format!("/api/ords/fnr?personId={key}"), stub));
        let id = self.mr_id.iter().map(|(key, stub)| (format!("/api/v1/tiltaksgjennomforinger/id/{key}"), stub));
        let v2 = self.mr_v2.iter().map(|(key, stub)| (format!("/api/v2/tiltaksgjennomforinger/{key}"), stub));
        fnr.chain(id)
            .chain(v2)
            .map(|(target, stub)| (target, stub.status, stub.body.as_ref().map(Value::to_string).unwrap_or_default()))
    }

    /// Adds the answers to a transport; a later one for the same call wins.
    pub fn script(&self, transport: &Scripted) {
        for (target, status, body) in self.gets() {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            transport.set(Method::GET, target, status, body);
        }
    }
}
