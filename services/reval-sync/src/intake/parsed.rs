//! What a message asks for.

use bytes::Bytes;
use domain::reval_sync::run::Stage;

use crate::{
    deliveries::Queue,
    live::Item,
    merge::Order,
    wire::{self, Change, Entry, Kind, Operation, Unreadable},
};

/// One thing that a message asks for.
#[derive(Debug)]
pub(super) enum Task {
    /// A change of documents.
    Change(Item),
    /// The end of a stage.
    Marker(Stage),
    /// The export of all doctors.
    Export,
    /// Nothing, for this reason.
    Ignored(&'static str),
}

/// A message that was read.
#[derive(Debug)]
pub(super) struct Parsed {
    /// What it asks for, in order.
    pub(super) tasks: Vec<Task>,
    /// Items that can never take effect, as they take the ordinary path again, and why.
    pub(super) refused: Vec<(Bytes, Unreadable)>,
}

impl Parsed {
    /// Reads a message of a queue.
    ///
    /// # Errors
    /// The message as a whole can never take effect.
    pub(super) fn read(queue: Queue, body: &Bytes) -> Result<Self, Unreadable> {
        let one = |task| Ok(Self { tasks: vec![task], refused: Vec::new() });
        let item =
            |kind, body: &Bytes, change, order| Item { entry: Entry { kind, body: body.clone() }, change, order };
        match queue {
            Queue::TcsData => {
                let (trainee, is_end) = wire::trainee(body)?;
                let change = trainee.map(|trainee| {
                    Task::Change(item(Kind::Data(Stage::Tcs), body, Change::Extract(Box::new(trainee)), None))
                });
                let marker = is_end.then_some(Task::Marker(Stage::Tcs));
                Ok(Self { tasks: change.into_iter().chain(marker).collect(), refused: Vec::new() })
            }
            Queue::GmcData => Self::batch(Stage::Gmc, body),
            Queue::ConnectionLogData => Self::batch(Stage::ConnectionLogs, body),
            Queue::HiddenDiscrepancyData => Self::batch(Stage::HiddenDiscrepancies, body),
            Queue::TcsUpdated => {
                let change = Change::Update(Box::new(wire::update(body)?));
                one(Task::Change(item(Kind::Update, body, change, None)))
            }
            Queue::GmcStart => match wire::signal(body) {
                Some(signal) if signal == "gmcSyncStart" => one(Task::Export),
                _ => one(Task::Ignored("other_signal")),
            },
            Queue::Changes(collection) => {
                let event = wire::event(collection, body)?;
                let order = Order::of(collection, &event);
                match event.operation {
                    Operation::Change(change) => one(Task::Change(item(Kind::Event(collection), body, change, order))),
                    Operation::Ignored(reason) => one(Task::Ignored(reason)),
                }
            }
        }
    }

    fn batch(stage: Stage, body: &Bytes) -> Result<Self, Unreadable> {
        let wire::Batch { items, is_end } = wire::batch(stage, body)?;
        let mut parsed = Self { tasks: Vec::new(), refused: Vec::new() };
        for item in items {
            match &item.change {
                Ok(change) => {
                    let entry = Entry { kind: Kind::Data(stage), body: item.body.clone() };
                    parsed.tasks.push(Task::Change(Item { entry, change: change.clone(), order: None }));
                }
                Err(unreadable) => parsed.refused.push((item.alone(), unreadable.clone())),
            }
        }
        if is_end {
            parsed.tasks.push(Task::Marker(stage));
        }
        Ok(parsed)
    }
}
