use std::sync::{Arc, Mutex};

use chrono::DateTime;
use serde_json::json;

use super::*;

/// Writes down what is asked of it. `store` outlives a restart, `memory` does not.
struct Diary {
    store: Arc<Mutex<Vec<String>>>,
    memory: u32,
}

impl Diary {
    fn note(&self, line: impl Into<String>) {
        self.store.lock().unwrap().push(line.into());
    }
}

impl World for Diary {
    async fn given(case: &Case, _mode: Mode, _clock: Clock) -> Result<Self, BadCase> {
        let diary = Self { store: Arc::default(), memory: 0 };
        diary.note(format!("given {}", case.name));
        Ok(diary)
    }

    async fn step(&mut self, step: &Value) -> Result<Value, BadCase> {
        let name = step.as_str().ok_or_else(|| BadCase::new(format!("unknown step {step}")))?;
        self.memory += 1;
        self.note(format!("{name} with {}", self.memory));
        Ok(json!(name))
    }

    async fn redeliver(&mut self) -> Result<(), BadCase> {
        self.note("again");
        Ok(())
    }

    async fn restart(self) -> Result<Self, BadCase> {
        self.note("restart");
        Ok(Self { store: self.store, memory: 0 })
    }

    async fn observe(&mut self) -> Result<Value, BadCase> {
        Ok(json!(*self.store.lock().unwrap()))
    }
}

async fn played(steps: &[Value], stress: Stress) -> Result<Played, BadCase> {
    let case = Case { file: "x.json".into(), name: "x".to_owned(), kind: "steps".to_owned(), body: Value::Null };
    play::<Diary>(&case, steps, Mode::Memory, stress, Clock::starting_at(DateTime::UNIX_EPOCH)).await
}

#[tokio::test]
async fn steps_are_played_in_order_and_their_answers_kept() {
    let played = played(&[json!("a"), json!("b")], Stress::default()).await.unwrap();
    assert_eq!(played.end, json!(["given x", "a with 1", "b with 2"]));
    assert_eq!(played.answers, [json!("a"), json!("b")]);
}

#[tokio::test]
async fn twice_delivers_after_each_step() {
    let played = played(&[json!("a"), json!("b")], Stress { twice: true, restart: false }).await.unwrap();
    assert_eq!(played.end, json!(["given x", "a with 1", "again", "b with 2", "again"]));
}

#[tokio::test]
async fn a_restart_comes_between_steps_only_and_loses_memory() {
    let played = played(&[json!("a"), json!("b")], Stress { twice: true, restart: true }).await.unwrap();
    assert_eq!(played.end, json!(["given x", "a with 1", "again", "restart", "b with 1", "again"]));
}

#[tokio::test]
async fn a_step_that_is_not_known_is_named_by_its_place() {
    let error = played(&[json!("a"), json!(7)], Stress::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "when[1]: unknown step 7");
}
