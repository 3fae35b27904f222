//! Playing steps, whatever stands behind the service.

use arena_acl::scripted::Stubs;
use chassis::clock::Clock;
use http::Method;
use serde::Deserialize as _;
use serde_json::{Map, Value, json};
use testkit::vectors::{BadCase, Bindings, Case, Mode, World};

use crate::{
    observed::{End, observed},
    steps::{Call, Record, Shows, Step},
};

/// The service with what stands behind it: memory or real servers.
pub(crate) trait Stage: Sized + Send {
    /// A stage in the state of `tables`, its service started at the time of `clock`, which stands still.
    fn new(tables: &Map<String, Value>, clock: Clock) -> impl Future<Output = Result<Self, BadCase>> + Send;

    /// Adds what third parties answer; of two answers to one call the newer counts.
    fn script(&mut self, stubs: &Stubs) -> Result<(), BadCase>;

    /// Produces a record and says where it stands, once its topic's reader has it behind it.
    fn produce(&mut self, record: Record) -> impl Future<Output = Result<Place, BadCase>> + Send;

    /// Has the service read the record at `place` again.
    fn redeliver(&mut self, place: &Place) -> impl Future<Output = Result<(), BadCase>> + Send;

    /// Calls the service; `authorization` is the value of that header.
    fn call(
        &mut self,
        call: &Call,
        authorization: Option<String>,
    ) -> impl Future<Output = Result<Answer, BadCase>> + Send;

    /// Returns when nothing is under way.
    fn idle(&mut self) -> impl Future<Output = Result<(), BadCase>> + Send;

    /// The service ended and started again.
    fn restart(&mut self) -> impl Future<Output = Result<(), BadCase>> + Send;

    /// What stores and topics hold now.
    fn look(&mut self) -> impl Future<Output = Result<End, BadCase>> + Send;

    /// Says that nothing follows.
    fn over(&mut self) {}
}

/// Where a record stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its full name.
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

/// What the service answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// A case that is being played.
pub(crate) struct Scene<S> {
    stage: S,
    bindings: Bindings,
    /// What the last step delivered.
    delivered: Option<Place>,
}

impl<S: Stage> World for Scene<S> {
    async fn given(case: &Case, _mode: Mode, clock: Clock) -> Result<Self, BadCase> {
        let given = &case.body["given"];
        let none = Map::new();
        let mut stage = S::new(given["tables"].as_object().unwrap_or(&none), clock).await?;
        if let Some(stubs) = given.get("http") {
            stage.script(&read_stubs(stubs)?)?;
        }
        stage.idle().await?;
        Ok(Self { stage, bindings: Bindings::default(), delivered: None })
    }

    async fn step(&mut self, step: &Value) -> Result<Value, BadCase> {
        self.delivered = None;
        let answer = match Step::read("the step", step)? {
            Step::Record(record) => {
                self.delivered = Some(self.stage.produce(record).await?);
                Value::Null
            }
            Step::Run { call, times, shows } => {
                let mut body = Value::Null;
                for _ in 0..times {
                    body = self.run(&call).await?;
                    self.stage.idle().await?;
                }
                match shows {
                    Shows::Nothing => Value::Null,
                    Shows::Body => body,
                    Shows::Blocked if body == json!({ "result": "blocked" }) => json!({ "backfill": "blocked" }),
                    Shows::Blocked => Value::Null,
                }
            }
            Step::SetHttp(stubs) => {
                self.bind(&stubs).await?;
                let stubs = self.bindings.fill(&stubs).map_err(|error| BadCase::because("set_http", &error))?;
                self.stage.script(&read_stubs(&stubs)?)?;
                Value::Null
            }
            Step::AdvanceClock(by) => {
                let call = Call { body: Some(json!({ "advance": by })), ..Call::local(Method::POST, CLOCK) };
                expect_ok(&call, self.stage.call(&call, None).await?)?;
                Value::Null
            }
            Step::Http(call) => {
                let authorization = call.token.then(crate::identity::authorization).transpose()?;
                shown(self.stage.call(&call, authorization).await?)
            }
        };
        self.stage.idle().await?;
        Ok(answer)
    }

    async fn redeliver(&mut self) -> Result<(), BadCase> {
        if let Some(place) = self.delivered.take() {
            self.stage.redeliver(&place).await?;
            self.stage.idle().await?;
        }
        Ok(())
    }

    async fn restart(mut self) -> Result<Self, BadCase> {
        self.stage.restart().await?;
        self.stage.idle().await?;
        Ok(self)
    }

    async fn observe(&mut self) -> Result<Value, BadCase> {
        let end = self.stage.look().await?;
        self.stage.over();
        Ok(observed(&end))
    }

    fn bindings(&self) -> Bindings {
        self.bindings.clone()
    }
}

/// Sets the clock, in test mode.
pub(crate) const CLOCK: &str = "/internal/test/clock";

impl<S: Stage> Scene<S> {
    async fn run(&mut self, call: &Call) -> Result<Value, BadCase> {
        let answer = self.stage.call(call, None).await?;
        let body = serde_json::from_slice(&answer.body).unwrap_or_default();
        expect_ok(call, answer)?;
        Ok(body)
    }

    /// Binds the placeholders of `value` that nothing has bound yet to what the tables of translations say.
    async fn bind(&mut self, value: &Value) -> Result<(), BadCase> {
        let missing = self.bindings.missing(value);
        if missing.is_empty() {
            return Ok(());
        }
        let end = observed(&self.stage.look().await?);
        for name in missing {
            let (table, column, id) = match name.split_once(':') {
                Some(("amt", id)) => ("id_translation", "arena_id", id),
                Some(("amt-hist", id)) => ("hist_id_translation", "arena_hist_id", id),
                _ => return Err(BadCase::new(format!("the placeholder {name:?} is not known"))),
            };
            let mut rows = end[table].as_array().into_iter().flatten();
            let amt_id = rows.find(|row| row[column] == id).and_then(|row| row["amt_id"].as_str());
            let amt_id = amt_id.ok_or_else(|| BadCase::new(format!("{table} has no id for {name:?}")))?;
            self.bindings.bind(&name, amt_id).map_err(|error| BadCase::because(&name, &error))?;
        }
        Ok(())
    }
}

fn read_stubs(value: &Value) -> Result<Stubs, BadCase> {
    Stubs::deserialize(value).map_err(|error| BadCase::because("stubs", &error))
}

/// An answer that only the runner asked for.
pub(crate) fn expect_ok(call: &Call, answer: Answer) -> Result<(), BadCase> {
    if answer.status == 200 {
        return Ok(());
    }
    Err(BadCase::new(format!("{} {} was answered {}", call.method, call.path, answer.status)))
}

fn shown(answer: Answer) -> Value {
    let Answer { status, body } = answer;
    if body.is_empty() {
        return json!({ "status": status });
    }
    let body = serde_json::from_slice(&body).unwrap_or_else(|_| json!(String::from_utf8_lossy(&body)));
    json!({ "status": status, "body": body })
}
