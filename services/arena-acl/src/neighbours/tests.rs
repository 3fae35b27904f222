//! The third parties over a scripted transport.

use std::{
    num::NonZeroUsize,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use chassis::http::transport::{Request, Response, Scripted, Transport, TransportError, answer};
use domain::arena_acl::codes::Measure;
use futures::future::{BoxFuture, FutureExt};
use http::{Method, StatusCode};

use super::*;

const COURSE: Uuid = Uuid::from_u128(0xb100_0001_0000_4000_8000_0000_0000_0001);
const DETAILS: &str = r#"{"id": "b1000001-0000-4000-8000-000000000001", "tiltakskode": "JOBBKLUBB",
    "arrangor": {"organisasjonsnummer": "123456789", "navn": "x"}, "oppstart": "FELLES", "status": {"a": 1}}"#;

/// Counts the calls and how many are under way at once; each takes a moment.
struct Counted {
    script: Scripted,
    calls: AtomicUsize,
    under_way: AtomicUsize,
    most: AtomicUsize,
}

impl Transport for Counted {
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Response, TransportError>> {
        async move {
            self.calls.fetch_add(1, Ordering::SeqCst);
            let under_way = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(under_way, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(5)).await;
            self.under_way.fetch_sub(1, Ordering::SeqCst);
            self.script.send(request).await
        }
        .boxed()
    }
}

struct World {
    script: Scripted,
    counted: Arc<Counted>,
    neighbours: Neighbours,
}

impl World {
    fn new(lifetime: Duration) -> Self {
        Self::with(Scripted::new(), lifetime)
    }

    fn with(script: Scripted, lifetime: Duration) -> Self {
        let counted = Arc::new(Counted {
            script: script.clone(),
            calls: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        });
        let calls =
            settings::Calls { person_cache: lifetime, course_cache: lifetime, at_once: NonZeroUsize::new(3).unwrap() };
        let client =
            |url: &str| Client::new(url.parse().unwrap(), Arc::<Counted>::clone(&counted) as Arc<dyn Transport>);
        let neighbours = Neighbours::new(
            client("http://persons.test/base"),
            client("http://courses.test"),
            client("http://downstream.test"),
            &calls,
        );
        Self { script, counted, neighbours }
    }

    fn person(&self, status: StatusCode, body: &'static str) -> &Self {
        self.script.set(Method::GET, "/base/api/ords/fnr?personId=5001", status, body);
        self
    }

    fn course(&self, status: StatusCode, body: &'static str) -> &Self {
        self.script.set(Method::GET, "/api/v1/tiltaksgjennomforinger/id/3001", status, body);
        self
    }

    fn details(&self, status: StatusCode, body: impl Into<bytes::Bytes>) -> &Self {
        self.script.set(Method::GET, format!("/api/v2/tiltaksgjennomforinger/{COURSE}"), status, body);
        self
    }

    async fn national_id(&self) -> Result<Option<NationalId>, Unanswered> {
        self.neighbours.national_id(PersonId(5001)).await
    }

    async fn course_details(&self) -> Result<CourseDetails, Unanswered> {
        self.neighbours.course_details(COURSE).await
    }

    fn calls(&self) -> usize {
        self.counted.calls.load(Ordering::SeqCst)
    }
}

fn note(result: Result<impl Sized, Unanswered>) -> String {
    result.err().unwrap().note
}

#[tokio::test(start_paused = true)]
async fn a_person_has_a_national_id_is_unknown_or_is_not_answered() {
    let world = World::new(Duration::ZERO);
    world.person(StatusCode::OK, r#"{"fnr": "01020312345", "more": []}"#);
    assert_eq!(world.national_id().await.unwrap().unwrap().expose(), "01020312345");
    world.person(StatusCode::CREATED, r#"{"fnr": 11020312345}"#);
    assert_eq!(world.national_id().await.unwrap().unwrap().expose(), "11020312345", "a number is its text");
    world.person(StatusCode::NOT_FOUND, "");
    assert_eq!(world.national_id().await, Ok(None));
    world.person(StatusCode::BAD_GATEWAY, "");
    assert_eq!(note(world.national_id().await), "call to persons.test failed: answered 502");
    world.person(StatusCode::OK, r#"{"fnr": null}"#);
    assert!(note(world.national_id().await).starts_with("call to persons.test failed: answer cannot be read"));
}

#[tokio::test(start_paused = true)]
async fn a_course_has_a_uuid_is_unknown_or_is_not_answered() {
    let world = World::new(Duration::ZERO);
    let ask = async || world.neighbours.course_uuid(CourseId(3001)).await;
    world.course(StatusCode::OK, r#"{"id": "b1000001-0000-4000-8000-000000000001"}"#);
    assert_eq!(ask().await, Ok(Some(COURSE)));
    world.course(StatusCode::NOT_FOUND, "");
    assert_eq!(ask().await, Ok(None));
    world.course(StatusCode::OK, r#"{"id": "12345"}"#);
    assert!(!note(ask().await).contains("12345"));
    world.course(StatusCode::INTERNAL_SERVER_ERROR, "");
    assert_eq!(note(ask().await), "call to courses.test failed: answered 500");
}

#[tokio::test(start_paused = true)]
async fn details_of_a_course_need_all_four_members_and_known_codes() {
    let world = World::new(Duration::ZERO);
    world.details(StatusCode::OK, DETAILS);
    let expected = CourseDetails { id: COURSE, measure: Measure::Jobbk, common_start: true };
    assert_eq!(world.course_details().await, Ok(expected));
    world.details(StatusCode::OK, DETAILS.replace("FELLES", "LOPENDE"));
    assert!(!world.course_details().await.unwrap().common_start);
    world.details(StatusCode::NOT_FOUND, "");
    assert_eq!(
        note(world.course_details().await),
        "call to courses.test failed: answered 404",
        "404 is no answer here"
    );
    for (member, broken) in [
        ("\"id\"", "\"x\""),
        ("\"tiltakskode\"", "\"x\""),
        ("\"arrangor\"", "\"x\""),
        ("\"organisasjonsnummer\"", "\"x\""),
        ("\"oppstart\"", "\"x\""),
        ("JOBBKLUBB", "TILPASSET_JOBBSTOTTE"),
        ("FELLES", "felles"),
        ("\"123456789\"", "null"),
    ] {
        world.details(StatusCode::OK, DETAILS.replace(member, broken));
        assert!(world.course_details().await.is_err(), "{member} became {broken}");
    }
}

#[tokio::test(start_paused = true)]
async fn known_answers_are_remembered_and_others_never() {
    let world = World::new(Duration::from_secs(60));
    world.person(StatusCode::INTERNAL_SERVER_ERROR, "");
    world.national_id().await.unwrap_err();
    world.person(StatusCode::NOT_FOUND, "");
    assert_eq!(world.national_id().await, Ok(None));
    world.person(StatusCode::OK, r#"{"fnr": "1"}"#);
    world.national_id().await.unwrap();
    assert_eq!(world.calls(), 3);
    world.person(StatusCode::OK, r#"{"fnr": "2"}"#);
    assert_eq!(world.national_id().await.unwrap().unwrap().expose(), "1");
    assert_eq!(world.neighbours.clone().national_id(PersonId(5001)).await.unwrap().unwrap().expose(), "1");
    assert_eq!(world.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn with_a_lifetime_of_zero_each_question_is_asked() {
    let world = World::new(Duration::ZERO);
    for fnr in [r#"{"fnr": "1"}"#, r#"{"fnr": "2"}"#] {
        world.person(StatusCode::OK, fnr);
        let id = world.national_id().await.unwrap().unwrap();
        assert!(fnr.contains(id.expose()));
    }
    assert_eq!(world.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_same_question_at_the_same_time_is_one_call() {
    let world = World::new(Duration::from_secs(60));
    world.details(StatusCode::OK, DETAILS);
    let all = future::join_all((0..20).map(|_| world.course_details())).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(world.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_questions_is_answered_at_once_within_the_limit_of_calls() {
    let world = World::new(Duration::ZERO);
    world.person(StatusCode::OK, r#"{"fnr": "1"}"#).details(StatusCode::OK, DETAILS);
    let persons = (4_996..=5_001).map(|person| Question::NationalId(PersonId(person)));
    let courses = [Question::CourseUuid(CourseId(3001)), Question::CourseDetails(COURSE)];
    let mut answers = Answers::default();
    world.neighbours.answer(persons.chain(courses).collect(), &mut answers).await;
    assert_eq!((answers.national_ids.len(), answers.course_uuids.len(), answers.details.len()), (6, 1, 1));
    assert_eq!(answers.national_ids[&PersonId(5001)].as_ref().unwrap().as_ref().unwrap().expose(), "1");
    assert!(answers.national_ids[&PersonId(5000)].is_err(), "one that is not answered costs itself only");
    assert!(answers.details[&COURSE].is_ok());
    assert_eq!(world.counted.most.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn each_call_says_who_calls_and_has_an_id_of_its_own() {
    let ids = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&ids);
    let script = Scripted::answering(move |request| {
        assert_eq!(request.headers()["nav-consumer-id"], "amt-arena-acl");
        let id = request.headers()["nav-call-id"].to_str().unwrap().to_owned();
        seen.lock().unwrap().push(id.parse::<Uuid>().unwrap());
        Ok(answer(StatusCode::OK, r#"{"fnr": "1"}"#))
    });
    let world = World::with(script, Duration::ZERO);
    world.national_id().await.unwrap();
    world.national_id().await.unwrap();
    let ids = ids.lock().unwrap();
    assert_ne!(ids[0], ids[1]);
}
