//! An endless load: participants of every kind in each other's way, records again and in the wrong order.
//!
//! What becomes of each participant does not depend on how its records meet those of others, so a sequential run of the same
//! records is its model, whatever was killed meanwhile.

use std::collections::VecDeque;

use serde_json::{Value, json};

use crate::{
    records::{Input, Sent, course, history, participant, row},
    rng::Rng,
    third::{COURSES, GROUP, INCOMPLETE, SINGLE_PLACE, UNSUPPORTED},
};

/// Participants whose records are under way at once.
const OPEN: usize = 24;
/// Of this many records one is a copy of an earlier one.
const COPIES: u64 = 7;
/// How far back a copy reaches.
const MEMORY: usize = 150;
const FIRST_PARTICIPANT: i64 = 70_000;
/// Courses have the positions below.
const FIRST_POSITION: u64 = 1_000;

pub(crate) struct Load {
    rng: Rng,
    open: Vec<VecDeque<Sent>>,
    recent: VecDeque<Sent>,
    participant: i64,
    position: u64,
}

impl Load {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            rng: Rng::new(seed),
            open: Vec::new(),
            recent: VecDeque::new(),
            participant: FIRST_PARTICIPANT,
            position: FIRST_POSITION,
        }
    }

    /// The next records.
    pub(crate) fn take(&mut self, count: usize) -> Vec<Sent> {
        std::iter::repeat_with(|| self.next()).take(count).collect()
    }

    /// What is left of the participants that have begun.
    pub(crate) fn rest(&mut self) -> Vec<Sent> {
        std::mem::take(&mut self.open).into_iter().flatten().collect()
    }

    fn next(&mut self) -> Sent {
        if self.recent.len() > 10 && self.rng.below(COPIES) == 0 {
            let place = self.rng.place(self.recent.len());
            return self.recent[place].clone();
        }
        while self.open.len() < OPEN {
            let life = self.life();
            self.open.push(life);
        }
        let place = self.rng.place(OPEN);
        let sent = self.open[place].pop_front().unwrap();
        if self.open[place].is_empty() {
            self.open.swap_remove(place);
        }
        self.recent.push_back(sent.clone());
        if self.recent.len() > MEMORY {
            self.recent.pop_front();
        }
        sent
    }

    /// All records of a new participant, in the order of their arrival.
    fn life(&mut self) -> VecDeque<Sent> {
        let id = self.participant;
        self.participant += 1;
        match self.rng.below(20) {
            0..=5 => self.changes(id, GROUP, &["I", "U", "U", "U"], &[0, 1, 2, 3]),
            6 | 7 => self.changes(id, SINGLE_PLACE, &["I", "U", "U"], &[0, 1, 2]),
            8 | 9 => self.changes(id, GROUP, &["I", "U", "U", "U"], &[0, 2, 1, 3]),
            10 => self.changes(id, SINGLE_PLACE, &["I", "U", "U"], &[2, 1, 0]),
            11 => self.changes(id, GROUP, &["I", "U", "U", "U"], &[3, 1, 0, 2]),
            12 => self.changes(id, GROUP, &["I", "U", "D"], &[0, 1, 2]),
            13 => self.changes(id, GROUP, &["I", "D", "U", "U"], &[0, 1, 2, 3]),
            14 => self.changes(id, INCOMPLETE, &["I", "U"], &[0, 1]),
            15 => self.changes(id, UNSUPPORTED, &["I"], &[0]),
            16 => {
                let position = self.positions(1);
                let value = history(id, id, GROUP, position, &mark(position));
                [Sent::of(Input::History, id, &value)].into()
            }
            17 => {
                let position = self.positions(1);
                let place = self.rng.place(4); // the late one is not for the load
                [Sent::course(&course(&COURSES[place], position))].into()
            }
            18 => self.odd(id),
            _ => self.poison(id),
        }
    }

    /// `operations` at ascending positions, arriving in the order of `arrival`.
    fn changes(&mut self, id: i64, course: i64, operations: &[&str], arrival: &[usize]) -> VecDeque<Sent> {
        let first = self.positions(operations.len());
        let change = |place: usize| {
            let position = first + place as u64;
            let value = participant(operations[place], position, row(id, course, &mark(position)));
            Sent::of(Input::Participants, id, &value)
        };
        arrival.iter().map(|place| change(*place)).collect()
    }

    /// A participant of another system, or one that is not valid, and then one that is.
    fn odd(&mut self, id: i64) -> VecDeque<Sent> {
        let first = self.positions(3);
        let change = |place: u64, operation: &str, column: &str, value: Value| {
            let mut row = row(id, GROUP, &mark(first + place));
            row[column] = value;
            Sent::of(Input::Participants, id, &participant(operation, first + place, row))
        };
        if self.rng.below(2) == 0 {
            return [change(0, "I", "DELTAKERTYPEKODE", json!("EKSTERN"))].into();
        }
        [
            change(0, "I", "PERSON_ID", Value::Null),
            change(1, "U", "DATO_FRA", json!("in March")),
            change(2, "U", "REG_USER", json!("SYSTEM")),
        ]
        .into()
    }

    fn poison(&mut self, id: i64) -> VecDeque<Sent> {
        let position = self.positions(1);
        let whole = participant("I", position, row(id, GROUP, &mark(position)));
        let payload = match self.rng.below(4) {
            0 => None,
            1 => Some(whole.to_string()[..200].to_owned().into()),
            2 => Some(whole.to_string().replace("SIAMO.TILTAKDELTAKER", "SIAMO.PERSON").into()),
            _ => Some(whole.to_string().replace("\"op_type\":\"I\"", "\"op_type\":\"X\"").into()),
        };
        [Sent::raw(Input::Participants, id, payload)].into()
    }

    fn positions(&mut self, count: usize) -> u64 {
        let first = self.position;
        self.position += count as u64;
        first
    }
}

fn mark(position: u64) -> String {
    format!("change {position}")
}
