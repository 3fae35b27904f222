//! Third parties that know everybody in the load: one set of answers, over HTTP for the service and as a transport for the model.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use chassis::http::transport::{Scripted, answer};
use http::StatusCode;
use serde_json::{Value, json};
use testkit::stub::{Answer, Issuer, Stub};
use uuid::Uuid;

const CLIENT: &str = "arena-acl-crash";

/// A course, and what mulighetsrommet-api calls its measure.
pub(crate) struct Course {
    pub(crate) id: i64,
    /// Arena's code.
    pub(crate) measure: &'static str,
    kind: Option<&'static str>,
    /// Whether its row has all that a valid course must have.
    pub(crate) complete: bool,
}

/// Its participants go to the group topic.
pub(crate) const GROUP: i64 = 3001;
/// Its participants go to the topic of single places.
pub(crate) const SINGLE_PLACE: i64 = 3002;
/// Participants wait until its row is complete.
pub(crate) const INCOMPLETE: i64 = 3003;
/// Its participants are not wanted.
pub(crate) const UNSUPPORTED: i64 = 3004;
/// Known to third parties, and not produced with the others.
pub(crate) const LATE: i64 = 3005;

pub(crate) const COURSES: [Course; 5] = [
    Course { id: GROUP, measure: "INDOPPFAG", kind: Some("OPPFOLGING"), complete: true },
    Course {
        id: SINGLE_PLACE,
        measure: "ENKELAMO",
        kind: Some("ENKELTPLASS_ARBEIDSMARKEDSOPPLAERING"),
        complete: true,
    },
    Course { id: INCOMPLETE, measure: "INDOPPFAG", kind: Some("OPPFOLGING"), complete: false },
    Course { id: UNSUPPORTED, measure: "MENTOR", kind: None, complete: true },
    Course { id: LATE, measure: "INDOPPFAG", kind: Some("OPPFOLGING"), complete: true },
];

fn uuid(course: i64) -> Uuid {
    Uuid::from_u128(0xa100_0000_0000_4000_8000_0000_0000_0000 | u128::from(course.unsigned_abs()))
}

/// What amt-tiltak says of the person with this national id.
pub(crate) type Participations = Arc<dyn Fn(&str) -> Value + Send + Sync>;

pub(crate) fn national_id(person: i64) -> String {
    format!("9{person:010}")
}

const REGISTER: &str = "/api/ords/fnr";
const DOWNSTREAM: &str = "/api/external/deltakelser";

fn by_id(course: &Course) -> String {
    format!("/api/v1/tiltaksgjennomforinger/id/{}", course.id)
}

fn details(course: &Course) -> String {
    format!("/api/v2/tiltaksgjennomforinger/{}", uuid(course.id))
}

fn course_answer(path: &str) -> Option<Value> {
    COURSES.iter().find_map(|course| {
        let id = uuid(course.id);
        if path == by_id(course) {
            return Some(json!({ "id": id }));
        }
        (path == details(course)).then(|| {
            json!({
                "id": id, "tiltakskode": course.kind, "arrangor": { "organisasjonsnummer": "999000111" },
                "oppstart": "LOPENDE",
            })
        })
    })
}

fn person_answer(query: &str) -> Value {
    let person = query.split_once("personId=").unwrap().1;
    json!({ "fnr": national_id(person.parse().unwrap()) })
}

/// The same answers without a network. amt-tiltak knows nobody.
pub(crate) fn transport() -> Scripted {
    Scripted::answering(|request| {
        let uri = request.uri();
        let body = match uri.path() {
            REGISTER => Some(person_answer(uri.query().unwrap())),
            DOWNSTREAM => Some(json!([])),
            path => course_answer(path),
        };
        Ok(body.map_or_else(
            || answer(StatusCode::NOT_FOUND, ""),
            |body| answer(StatusCode::OK, Bytes::from(body.to_string())),
        ))
    })
}

/// The answers over HTTP, and who gives tokens.
pub(crate) struct Third {
    stub: Stub,
    issuer: Issuer,
    participations: Arc<Mutex<Participations>>,
}

impl Third {
    pub(crate) fn start() -> Self {
        let stub = Stub::start().unwrap();
        stub.on("GET", REGISTER).answers_with(|request| {
            let person = &request.query.iter().find(|(name, _)| name == "personId").unwrap().1;
            Answer { status: 200, body: Some(person_answer(&format!("personId={person}"))) }
        });
        for path in COURSES.iter().flat_map(|course| [by_id(course), details(course)]) {
            stub.on("GET", &path).answers(200, course_answer(&path).unwrap());
        }
        let nobody: Participations = Arc::new(|_| json!([]));
        let participations = Arc::new(Mutex::new(nobody));
        let known = participations.clone();
        stub.on("POST", DOWNSTREAM).answers_with(move |request| {
            let known = known.lock().unwrap().clone();
            Answer { status: 200, body: Some(known(request.json()["personIdent"].as_str().unwrap())) }
        });
        Self { stub, issuer: Issuer::start(CLIENT).unwrap(), participations }
    }

    /// From now on amt-tiltak answers like this.
    pub(crate) fn downstream(&self, participations: impl Fn(&str) -> Value + Send + Sync + 'static) {
        *self.participations.lock().unwrap() = Arc::new(participations);
    }

    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AMT_ARENA_ORDS_PROXY_URL", self.stub.url().to_owned()),
            ("AMT_ARENA_ORDS_PROXY_SCOPE", "api://amt-arena-ords-proxy/.default".to_owned()),
            ("MULIGHETSROMMET_API_URL", self.stub.url().to_owned()),
            ("MULIGHETSROMMET_API_SCOPE", "api://mulighetsrommet-api/.default".to_owned()),
            ("AMTTILTAK_URL", self.stub.url().to_owned()),
            ("AMTTILTAK_SCOPE", "api://amt-tiltak/.default".to_owned()),
            ("AZURE_APP_CLIENT_ID", CLIENT.to_owned()),
            ("AZURE_APP_JWK", self.issuer.client_jwk()),
            ("AZURE_OPENID_CONFIG_TOKEN_ENDPOINT", self.issuer.token_endpoint()),
            ("AZURE_APP_WELL_KNOWN_URL", self.issuer.well_known_url()),
        ]
    }
}
