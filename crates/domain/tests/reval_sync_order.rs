//! Trainees of the extract and doctors give the same documents in every order, also repeated (docs/spec/reval-sync.md section 13, no. 4).
#![cfg(test)]

use std::collections::HashMap;

use domain::reval_sync::{
    Document, Gmc, Slots, Text, Tis, doctor,
    trainee::{self, Trainee},
};
use proptest::{
    prelude::{Just, Strategy},
    prop_assert_eq, proptest,
    sample::subsequence,
};

#[derive(Debug, Clone)]
enum Message {
    Trainee(Trainee),
    Doctor(doctor::Summary),
}

impl Message {
    fn apply(&self, slots: &mut Slots) {
        match self {
            Self::Trainee(trainee) => trainee::extract(slots, trainee),
            Self::Doctor(summary) => doctor::apply(slots, summary, doctor::Outcome::Told),
        }
        .unwrap_or_else(|refused| panic!("{refused:?}"));
    }
}

/// Number 0 and 1 are no numbers.
fn number(n: u8) -> Option<Text> {
    match n {
        0 => None,
        1 => Some("UNKNOWN".into()),
        n => Some(format!("70000{n:02}").into()),
    }
}

/// One message per person and per number, so none contradicts another: persons share numbers, and some have none.
fn messages() -> impl Strategy<Value = Vec<Message>> {
    let trainees = proptest::collection::vec(0_u8..6, 1..8).prop_map(|numbers| {
        let trainee = |(person, n): (usize, u8)| {
            let person = i64::try_from(person).unwrap_or_default();
            let tis = Tis { person: Some(person), programme: Some(format!("p{person}").into()), ..Tis::default() };
            Message::Trainee(Trainee {
                number: number(n),
                last_name: Some(format!("t{n}").into()),
                tis,
                ..Trainee::default()
            })
        };
        numbers.into_iter().enumerate().map(trainee).collect::<Vec<_>>()
    });
    let doctors = subsequence((2_u8..8).collect::<Vec<_>>(), 0..6).prop_map(|numbers| {
        let doctor = |n| {
            let gmc = Gmc { body: Some(format!("b{n}").into()), exists: Some(n % 2 == 0), ..Gmc::default() };
            Message::Doctor(doctor::Summary {
                number: number(n),
                last_name: Some(format!("g{n}").into()),
                gmc,
                ..doctor::Summary::default()
            })
        };
        numbers.into_iter().map(doctor).collect::<Vec<_>>()
    });
    (trainees, doctors).prop_map(|(trainees, doctors)| trainees.into_iter().chain(doctors).collect())
}

/// The documents as a multiset; ids follow from them.
fn after(messages: &[Message]) -> HashMap<String, usize> {
    let mut slots = Slots::default();
    messages.iter().for_each(|message| message.apply(&mut slots));
    let mut documents = HashMap::new();
    for document in slots.iter() {
        let document = Document { id: None, ..document.clone() };
        *documents.entry(format!("{document:?}")).or_default() += 1;
    }
    documents
}

proptest! {
    #[test]
    fn the_order_does_not_matter(
        (messages, shuffled) in messages().prop_flat_map(|messages| {
            let twice: Vec<Message> = messages.iter().chain(&messages).cloned().collect();
            (Just(messages), Just(twice).prop_shuffle())
        }),
    ) {
        prop_assert_eq!(after(&messages), after(&shuffled));
    }
}
