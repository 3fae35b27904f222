//! Stub third parties that know everybody in the feed, and the settings that lead to them.

use serde_json::json;
use testkit::stub::{Answer, Issuer, Stub};

use crate::feed::{Course, national_id};

/// Our client id, and the audience of tokens for us.
pub(crate) const CLIENT: &str = "arena-acl-live";

pub(crate) struct Neighbours {
    /// The third parties, for other answers.
    pub(crate) stub: Stub,
    /// The identity provider.
    pub(crate) issuer: Issuer,
}

impl Neighbours {
    /// They know every person, and `courses`.
    pub(crate) fn start(courses: &[Course]) -> Self {
        let stub = Stub::start().unwrap();
        stub.on("GET", "/api/ords/fnr").answers_with(|request| {
            let person = request.query.iter().find(|(name, _)| name == "personId");
            let person: i64 = person.unwrap().1.parse().unwrap();
            Answer { status: 200, body: Some(json!({ "fnr": national_id(person) })) }
        });
        // what `check` asks: nobody, and not in the way in which it is asked
        stub.on("GET", "/api/v1/tiltaksgjennomforinger/id/0").answers(404, json!({}));
        stub.on("GET", "/api/external/deltakelser").answers(405, json!({}));
        for course in courses {
            let uuid = Course::uuid(course.id);
            stub.on("GET", &format!("/api/v1/tiltaksgjennomforinger/id/{}", course.id))
                .answers(200, json!({ "id": uuid }));
            stub.on("GET", &format!("/api/v2/tiltaksgjennomforinger/{uuid}")).answers(
                200,
                json!({
                    "id": uuid, "tiltakskode": course.kind, "arrangor": { "organisasjonsnummer": "999000111" },
                    "oppstart": "LOPENDE",
                }),
            );
        }
        Self { stub, issuer: Issuer::start(CLIENT).unwrap() }
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
