//! The poison corpus (docs/reliability.md section 5): each body ends as the specification says, and its neighbours in the partition
//! never notice.

mod corpus;

use std::collections::BTreeMap;

use arena_acl::memory::State;
use domain::delivery::Message;
use serde_json::Value;
use testkit::ledger::Ledger;

use self::corpus::{Body, Expected};
use crate::{
    Progress,
    records::{Input, Sent, participant, row},
    stack::Stack,
    table::Row,
    third::GROUP,
    world::World,
};

const FIRST_NEIGHBOUR: i64 = 500_000;

pub(crate) async fn run(stack: &Stack, progress: &Progress) -> Row {
    let bodies = corpus::bodies();
    progress.say(&format!("{} bodies", bodies.len()));
    let mut world = World::new(stack).await;
    let replica = world.start(&[]).await;
    let first = world.produced.len();
    let mut records = Vec::new();
    for (neighbour, body) in (FIRST_NEIGHBOUR..).zip(&bodies) {
        records.push(Sent::raw(body.input, neighbour, body.payload.clone()));
        let position = u64::try_from(neighbour).unwrap();
        let value = participant("I", position, row(neighbour, GROUP, "neighbour"));
        records.push(Sent::of(Input::Participants, neighbour, &value));
    }
    world.produce(records).await;
    world.settled().await;
    replica.stop().await;
    let mut table_row = Row { records: world.produced.len(), ..Row::default() };
    let state = world.state().await;
    let mut ledger = Ledger::default();
    let published = texts(&state, &world.published().await, &mut ledger);
    for (number, body) in bodies.iter().enumerate() {
        let place = &world.produced[first + 2 * number];
        let letter = state.quarantine.iter().find(|letter| {
            (&*letter.source, letter.position.partition, letter.position.offset)
                == (place.topic.as_str(), place.partition, place.offset)
        });
        let reason = letter.map(|letter| letter.reason);
        if letter.is_some_and(|letter| letter.payload != body.payload) {
            table_row.account.differs.push(format!("{}: its bytes were changed", body.name));
        }
        if let Expected::Quarantined(expected) = &body.expected {
            ledger.sent_poison(&format!("{} {expected}", body.name));
        }
        if let Some(reason) = reason {
            ledger.dead_letter(&format!("{} {reason}", body.name));
        }
        let found = became(body, reason, &state, &published);
        if found != body.expected {
            table_row
                .account
                .differs
                .push(format!("{}: expected {:.200?}, found {found:.200?}", body.name, body.expected));
        }
        let neighbour = (FIRST_NEIGHBOUR + i64::try_from(number).unwrap()).to_string();
        ledger.sent(&neighbour, &format!("{neighbour} neighbour"));
        if let Expected::Handled(Some(text)) = &body.expected {
            ledger.sent(&body.id.to_string(), &format!("{} {text}", body.id));
        }
    }
    table_row.account.balance = ledger.balance();
    table_row.judge();
    table_row
}

/// What became of a body.
fn became(body: &Body, reason: Option<&'static str>, state: &State, published: &BTreeMap<String, String>) -> Expected {
    let row = state.arena_data.iter().find(|row| row.operation_pos.to_string() == body.position);
    match (reason, row) {
        (Some(reason), None) => Expected::Quarantined(reason),
        (None, None) => Expected::Skipped,
        (None, Some(row)) if row.ingest_status.name() == "HANDLED" => Expected::Handled(match &body.expected {
            Expected::Handled(None) => None,
            _ => published.get(&body.id.to_string()).cloned(),
        }),
        (None, Some(row)) => {
            let needs_note = ["INVALID", "RETRY"].contains(&row.ingest_status.name());
            if needs_note && row.note.is_none() {
                Expected::Row("without a note")
            } else {
                Expected::Row(row.ingest_status.name())
            }
        }
        (Some(_), Some(_)) => Expected::Row("both quarantined and stored"),
    }
}

/// The order texts of what was published, by participant.
fn texts(state: &State, published: &[Message], ledger: &mut Ledger) -> BTreeMap<String, String> {
    let names: BTreeMap<String, &String> =
        state.id_translation.iter().map(|row| (row.amt_id.to_string(), &row.arena_id)).collect();
    let mut texts = BTreeMap::new();
    for message in published {
        let key = String::from_utf8(message.key.as_deref().unwrap().to_vec()).unwrap();
        let value: Value = serde_json::from_slice(message.payload.as_deref().unwrap()).unwrap();
        let text = value["payload"]["innsokBegrunnelse"].as_str().unwrap_or_default().to_owned();
        let id = names.get(&key).map_or(key.clone(), |id| (*id).clone());
        ledger.effect(&format!("{id} {text}"));
        texts.insert(id, text);
    }
    texts
}
