//! Plays the steps of a case in a world, with or without stress.

use std::future::Future;

use chassis::clock::Clock;
use serde_json::Value;

use super::{BadCase, Bindings, Case, Mode, Stress};

/// The service and what stands around it, for the kinds of cases that play steps.
pub trait World: Sized + Send {
    /// A world in the state that `case` begins with, its service started at the time of `clock`.
    ///
    /// # Errors
    /// The case names what is not known, or the world cannot be built.
    fn given(case: &Case, mode: Mode, clock: Clock) -> impl Future<Output = Result<Self, BadCase>> + Send;

    /// Does `step` and returns when the world is idle again, with what the step answered (`null`: nothing).
    ///
    /// # Errors
    /// An unknown step or member, or a world that does not become idle.
    fn step(&mut self, step: &Value) -> impl Future<Output = Result<Value, BadCase>> + Send;

    /// What the last step delivered, once more; nothing for other steps. Returns when the world is idle again.
    ///
    /// # Errors
    /// The world does not become idle.
    fn redeliver(&mut self) -> impl Future<Output = Result<(), BadCase>> + Send;

    /// The service ended and started again: memory is lost, stores stay.
    ///
    /// # Errors
    /// It does not start.
    fn restart(self) -> impl Future<Output = Result<Self, BadCase>> + Send;

    /// The end state in the shape of the expectation.
    ///
    /// # Errors
    /// A store cannot be read.
    fn observe(&mut self) -> impl Future<Output = Result<Value, BadCase>> + Send;

    /// The placeholders that steps needed and the world bound.
    fn bindings(&self) -> Bindings {
        Bindings::default()
    }
}

/// What a case came to.
#[derive(Debug, Clone)]
pub struct Played {
    /// What each step answered, in order; `null` where it answered nothing.
    pub answers: Vec<Value>,
    /// The end state.
    pub end: Value,
    /// The placeholders that steps needed.
    pub bindings: Bindings,
}

/// Plays `steps` in a fresh world, one strictly after the other.
///
/// # Errors
/// Those of the world; a step's is preceded by its number, from 0, as in `when[2]`.
pub async fn play<W: World>(
    case: &Case,
    steps: &[Value],
    mode: Mode,
    stress: Stress,
    clock: Clock,
) -> Result<Played, BadCase> {
    let mut world = W::given(case, mode, clock).await?;
    let mut answers = Vec::with_capacity(steps.len());
    for (at, step) in steps.iter().enumerate() {
        let place = |what: &str, error: BadCase| BadCase::new(format!("when[{at}]{what}: {error}"));
        if stress.restart && at > 0 {
            world = world.restart().await.map_err(|error| place(", restart before it", error))?;
        }
        answers.push(world.step(step).await.map_err(|error| place("", error))?);
        if stress.twice {
            world.redeliver().await.map_err(|error| place(", delivered again", error))?;
        }
    }
    let end = world.observe().await?;
    Ok(Played { answers, end, bindings: world.bindings() })
}

#[cfg(test)]
mod tests;
