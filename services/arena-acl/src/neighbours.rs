//! Third parties that know what Arena does not say: who a person is, and which course a number means
//! (docs/spec/arena-acl.md section 8).
//!
//! A call is made once; the retry job is the repetition. An answer is remembered briefly, a failure and a 404 never.

mod recent;
mod wire;

#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use chassis::{
    exit::causes,
    http::{CallError, Client, Problem, transport::Limits},
};
use domain::arena_acl::{Answers, CourseDetails, CourseId, NationalId, Participation, PersonId, Question, Unanswered};
use futures::{StreamExt as _, future, stream};
use http::{HeaderMap, HeaderValue};
use serde::de::{DeserializeOwned, IgnoredAny};
use tokio::sync::Semaphore;
use uuid::Uuid;

use self::recent::Recent;
use crate::settings;

/// How long a call to a third party may take (section 8), and how much it may answer.
pub const LIMITS: Limits = Limits {
    connect: Duration::from_secs(5),
    read: Duration::from_secs(5),
    // Connecting, writing and reading, each with its own limit in the specification.
    total: Duration::from_secs(15),
    answer_bytes: 1 << 20,
};

const CONSUMER: HeaderValue = HeaderValue::from_static("amt-arena-acl");

/// The third parties. Clones share connections, limits and what was answered lately.
#[derive(Clone)]
pub struct Neighbours {
    persons: Client,
    courses: Client,
    downstream: Client,
    /// How many calls may be under way at once.
    calls: Arc<Semaphore>,
    at_once: usize,
    national_ids: Recent<PersonId, NationalId>,
    course_uuids: Recent<CourseId, Uuid>,
    details: Recent<Uuid, CourseDetails>,
}

impl Neighbours {
    /// `persons` is amt-arena-ords-proxy, `courses` mulighetsrommet-api, `downstream` amt-tiltak, all with their tokens.
    pub fn new(persons: Client, courses: Client, downstream: Client, settings: &settings::Calls) -> Self {
        Self {
            persons,
            courses,
            downstream,
            calls: Arc::new(Semaphore::new(settings.at_once.get())),
            at_once: settings.at_once.get(),
            national_ids: Recent::new(settings.person_cache),
            course_uuids: Recent::new(settings.course_cache),
            details: Recent::new(settings.course_cache),
        }
    }

    /// Asks all of `questions` concurrently and puts what came back into `answers`. Only reads: twice is the same as once.
    pub async fn answer(&self, questions: BTreeSet<Question>, answers: &mut Answers) {
        let (mut persons, mut courses, mut details, mut known) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for question in questions {
            match question {
                Question::NationalId(person) => persons.push(async move { (person, self.national_id(person).await) }),
                Question::CourseUuid(course) => courses.push(async move { (course, self.course_uuid(course).await) }),
                Question::CourseDetails(course) => {
                    details.push(async move { (course, self.course_details(course).await) })
                }
                Question::Participations(person, participant, misregistered) => {
                    // the rules ask for it after the national id, so that one is there
                    if let Some(Ok(Some(id))) = answers.national_ids.get(&person).cloned() {
                        let asked = (person, participant, misregistered);
                        known.push(async move { (asked, self.participations(&id).await) });
                    }
                }
                Question::Lock(_) => {}
            }
        }
        let (persons, courses, details, known) = future::join4(
            self.few_at_once(persons),
            self.few_at_once(courses),
            self.few_at_once(details),
            self.few_at_once(known),
        )
        .await;
        answers.participations.extend(known);
        answers.national_ids.extend(persons);
        answers.course_uuids.extend(courses);
        answers.details.extend(details);
    }

    /// A call that waits for its turn takes kilobytes: no more are begun than may be under way.
    async fn few_at_once<T>(&self, calls: Vec<impl Future<Output = T>>) -> Vec<T> {
        stream::iter(calls).buffer_unordered(self.at_once).collect().await
    }

    /// Puts what is remembered of `question` into `answers`; `false` when nothing is. Asks nobody.
    #[must_use]
    pub fn recall(&self, question: Question, answers: &mut Answers) -> bool {
        match question {
            Question::NationalId(person) => {
                let known = self.national_ids.known(&person);
                known.map(|id| answers.national_ids.insert(person, Ok(Some(id)))).is_some()
            }
            Question::CourseUuid(course) => {
                let known = self.course_uuids.known(&course);
                known.map(|uuid| answers.course_uuids.insert(course, Ok(Some(uuid)))).is_some()
            }
            Question::CourseDetails(course) => {
                let known = self.details.known(&course);
                known.map(|details| answers.details.insert(course, Ok(details))).is_some()
            }
            Question::Participations(..) | Question::Lock(_) => false,
        }
    }

    /// The national id of `person`; `None` when the register does not know the person (8.1).
    ///
    /// # Errors
    /// [`Unanswered`]: any other answer, or none.
    pub async fn national_id(&self, person: PersonId) -> Result<Option<NationalId>, Unanswered> {
        let ask = async {
            let person = person.to_string();
            let path = ["api", "ords", "fnr"];
            let answer = self.ask::<wire::Fnr>(&self.persons, &path, &[("personId", &person)]).await;
            Ok(known(answer)?.map(wire::Fnr::into_domain))
        };
        self.national_ids.get(person, ask).await
    }

    /// The UUID of `course`; `None` when the register does not know the course yet (8.2).
    ///
    /// # Errors
    /// [`Unanswered`]: any other answer, or none.
    pub async fn course_uuid(&self, course: CourseId) -> Result<Option<Uuid>, Unanswered> {
        let ask = async {
            let path = ["api", "v1", "tiltaksgjennomforinger", "id", &course.to_string()];
            let answer = self.ask::<wire::CourseRef>(&self.courses, &path, &[]).await;
            Ok(known(answer)?.map(|course| course.id))
        };
        self.course_uuids.get(course, ask).await
    }

    /// The details of `course` (8.2).
    ///
    /// # Errors
    /// [`Unanswered`]: any answer other than 2xx with all that must be in it, also 404, or none; a kind of measure or of
    /// start that Arena does not have (5.3).
    pub async fn course_details(&self, course: Uuid) -> Result<CourseDetails, Unanswered> {
        let ask = async {
            let path = ["api", "v2", "tiltaksgjennomforinger", &course.to_string()];
            let answer = self.ask::<wire::Course>(&self.courses, &path, &[]).await;
            answer.map_err(|error| unanswered(&error))?.into_domain().map(Some)
        };
        let details = self.details.get(course, ask).await?;
        details.ok_or_else(|| Unanswered { note: "no course details".to_owned() })
    }

    /// The participations that downstream knows of a person (8.3). Never remembered: it is asked because they change.
    ///
    /// # Errors
    /// [`Unanswered`]: any answer other than 2xx, also 404, or none; a status that is not known.
    pub async fn participations(&self, national_id: &NationalId) -> Result<Vec<Participation>, Unanswered> {
        let _permit = self.calls.acquire().await;
        let body = wire::ParticipationsOf { person_ident: national_id.expose() };
        let path = ["api", "external", "deltakelser"];
        let answer = self.downstream.post_json::<_, Vec<wire::Known>>(&path, &body, &headers()).await;
        answer.map_err(|error| unanswered(&error))?.into_iter().map(wire::Known::into_domain).collect()
    }

    /// Asks each third party something harmless, concurrently, and gives its name and what came of it; a 404 is an answer.
    pub async fn reachable(&self) -> Vec<(&'static str, Result<(), CallError>)> {
        let (headers, nobody) = (headers(), [("personId", "0")]);
        let (persons, courses, downstream) = future::join3(
            self.persons.get_json::<IgnoredAny>(&["api", "ords", "fnr"], &nobody, &headers),
            self.courses.get_json::<IgnoredAny>(&["api", "v1", "tiltaksgjennomforinger", "id", "0"], &[], &headers),
            // answers to POST only, and says so to whoever may ask
            self.downstream.get_json::<IgnoredAny>(&["api", "external", "deltakelser"], &[], &headers),
        )
        .await;
        [("amt-arena-ords-proxy", persons), ("mulighetsrommet-api", courses), ("amt-tiltak", downstream)]
            .map(|(name, answer)| (name, answered(answer)))
            .into()
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        neighbour: &Client,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<T, CallError> {
        // Never closed, so there is always a permit in the end.
        let _permit = self.calls.acquire().await;
        neighbour.get_json(path, query, &headers()).await
    }
}

/// Whoever answers, and lets us in, is there; what it says of a question without sense does not matter.
fn answered(answer: Result<IgnoredAny, CallError>) -> Result<(), CallError> {
    match answer {
        Err(error) if matches!(error.problem, Problem::Unreadable { .. } | Problem::TooLarge(_)) => Ok(()),
        Err(error) if error.status().is_some_and(|status| status < 500 && !matches!(status, 401 | 403)) => Ok(()),
        answer => answer.map(drop),
    }
}

fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("nav-consumer-id", CONSUMER);
    if let Ok(call) = HeaderValue::try_from(Uuid::new_v4().to_string()) {
        headers.insert("nav-call-id", call);
    }
    headers
}

/// 404 is an answer: unknown there.
fn known<T>(answer: Result<T, CallError>) -> Result<Option<T>, Unanswered> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.status() == Some(404) => Ok(None),
        Err(error) => Err(unanswered(&error)),
    }
}

/// With its causes, none of which quotes what was asked or answered.
fn unanswered(error: &CallError) -> Unanswered {
    Unanswered { note: causes(error) }
}
