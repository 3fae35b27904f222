//! Third parties as a script: the form in which vectors and the sample feed write down their answers
//! (docs/spec/arena-acl/README.md 2.2).

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use chassis::http::transport::{Response, Scripted, Transport, answer};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;

/// Where amt-tiltak is asked.
pub const PARTICIPATIONS: &str = "/api/external/deltakelser";

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
}

/// A transport that answers as stubs say. Clones share its script.
#[derive(Clone, Debug)]
pub struct Script {
    transport: Scripted,
    participations: Arc<RwLock<BTreeMap<String, Stub>>>,
}

impl Script {
    /// A script without answers.
    #[must_use]
    pub fn new() -> Self {
        let participations: Arc<RwLock<BTreeMap<String, Stub>>> = Arc::default();
        let known = participations.clone();
        // which person is asked about stands in the body
        let transport = Scripted::answering(move |request| {
            let asked = serde_json::from_slice::<Value>(request.body()).unwrap_or_default();
            let person = asked.get("personIdent").and_then(Value::as_str).unwrap_or_default();
            let known = known.read().unwrap_or_else(PoisonError::into_inner);
            let stub = known.get(person).filter(|_| request.uri().path() == PARTICIPATIONS);
            Ok(stub.map_or_else(|| answer(StatusCode::INTERNAL_SERVER_ERROR, ""), Stub::answer))
        });
        Self { transport, participations }
    }

    /// The transport.
    #[must_use]
    pub fn transport(&self) -> Arc<dyn Transport> {
        Arc::new(self.transport.clone())
    }

    /// From now on a GET of `target`, path and query as they are sent, is answered like this.
    pub fn set(&self, target: impl Into<String>, status: StatusCode, body: String) {
        self.transport.set(Method::GET, target, status, body);
    }

    /// Adds answers; a later one for the same call wins.
    pub fn add(&self, stubs: &Stubs) {
        for (target, status, body) in stubs.gets() {
            self.set(target, StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), body);
        }
        let mut participations = self.participations.write().unwrap_or_else(PoisonError::into_inner);
        participations.extend(stubs.amt_tiltak.iter().map(|(person, stub)| (person.clone(), stub.clone())));
    }
}

impl Default for Script {
    fn default() -> Self {
        Self::new()
    }
}

impl Stub {
    fn answer(&self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        answer(status, self.body.as_ref().map(Value::to_string).unwrap_or_default())
    }
}
