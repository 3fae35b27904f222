//! Entries of the logs: one byte that tells what follows, then the bytes as they came.

use bytes::Bytes;
use domain::reval_sync::run::Stage;

use super::{Change, Event, Operation, Unreadable, change, event, stored};
use crate::sources::Collection;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Data of a stage: a trainee of the extract, or an item of an export.
    Data(Stage),
    /// The end marker of a stage; nothing follows.
    Marker(Stage),
    /// A trainee update.
    Update,
    /// A change event.
    Event(Collection),
}

const KINDS: [(u8, Kind); 13] = [
    (b't', Kind::Data(Stage::Tcs)),
    (b'g', Kind::Data(Stage::Gmc)),
    (b'c', Kind::Data(Stage::ConnectionLogs)),
    (b'h', Kind::Data(Stage::HiddenDiscrepancies)),
    (b'1', Kind::Marker(Stage::Tcs)),
    (b'2', Kind::Marker(Stage::Gmc)),
    (b'3', Kind::Marker(Stage::ConnectionLogs)),
    (b'4', Kind::Marker(Stage::HiddenDiscrepancies)),
    (b'u', Kind::Update),
    (b'D', Kind::Event(Collection::Doctors)),
    (b'R', Kind::Event(Collection::Recommendations)),
    (b'C', Kind::Event(Collection::ConnectionLogs)),
    (b'H', Kind::Event(Collection::HiddenDiscrepancies)),
];

/// One entry of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// The message or the item, unchanged.
    pub body: Bytes,
}

impl Entry {
    /// As it stands in a log.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        let tag = KINDS.into_iter().find(|(_, kind)| *kind == self.kind).map_or(b'?', |(tag, _)| tag);
        [&[tag], self.body.as_ref()].concat().into()
    }

    /// The entry that stands in a log; `None` for what this version does not know.
    #[must_use]
    pub fn read(bytes: &Bytes) -> Option<Self> {
        let tag = bytes.first()?;
        let (_, kind) = KINDS.into_iter().find(|(known, _)| known == tag)?;
        Some(Self { kind, body: bytes.slice(1..) })
    }

    /// What it does to documents, with the event that it is, if it is one; nothing for a marker.
    ///
    /// # Errors
    /// It cannot be read, though it could when it was written.
    pub fn change(&self) -> Result<Option<(Change, Option<Event>)>, Unreadable> {
        Ok(match self.kind {
            Kind::Marker(_) => None,
            Kind::Data(Stage::Tcs) => {
                change::trainee(&self.body)?.0.map(|trainee| (Change::Extract(Box::new(trainee)), None))
            }
            Kind::Data(stage) => Some((stored::item(stage, &self.body)?, None)),
            Kind::Update => Some((Change::Update(Box::new(change::update(&self.body)?)), None)),
            Kind::Event(collection) => {
                let event = event::read(collection, &self.body)?;
                match event.operation.clone() {
                    Operation::Change(change) => Some((change, Some(event))),
                    Operation::Ignored(_) => None,
                }
            }
        })
    }
}
