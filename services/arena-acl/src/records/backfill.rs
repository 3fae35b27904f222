//! The import of single-place participants (4.15), a batch at a time.

use std::{
    collections::{BTreeSet, HashSet},
    sync::{Mutex, PoisonError},
};

use domain::{
    arena_acl::{Answers, Backfill, Change, Pass, Question, Table, backfill},
    delivery::{Class, Settlement},
};

use super::{Batch, Chunk, Records, chunks};
use crate::inbox::{Inbox, Item, StoreError, Write};

/// What became of a record of the import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backfilled {
    /// It is NEW.
    Stored,
    /// It is INVALID or FAILED.
    Failed,
    /// It is not of the kind that was left out, or is there already.
    Skipped,
    /// The import cannot go on before this has changed.
    Blocked(String),
}

impl<I: Inbox> Records<I> {
    /// Stores those of `items` that were left out, and says what became of each, in order. No two items are of one object.
    /// Publishes nothing. Twice is the same as once.
    ///
    /// # Errors
    /// As the store says; of what was not stored before nothing is.
    pub async fn backfill(&self, items: &[Item]) -> Result<Vec<Backfilled>, StoreError> {
        let changes: Vec<&Change> = items.iter().map(|item| &*item.change).collect();
        let held = self.inbox.read(&changes).await?;
        let batch = self.batch(items, Pass::Live);
        let mut answers = Answers::default();
        let decided = loop {
            let decided: Vec<Backfill> = changes
                .iter()
                .map(|change| match batch.moment(change) {
                    Some(moment) => backfill(change, &held, &answers, moment),
                    None => Backfill::Skip,
                })
                .collect();
            let questions: BTreeSet<Question> = decided
                .iter()
                .filter_map(|decided| match decided {
                    Backfill::Ask(question) => Some(*question),
                    Backfill::Skip | Backfill::Blocked(_) | Backfill::Store(_) => None,
                })
                .collect();
            if questions.is_empty() {
                break decided;
            }
            self.neighbours.answer(questions, &mut answers).await;
        };
        let wanted: Vec<Item> = items
            .iter()
            .zip(&decided)
            .filter(|(_, decided)| matches!(decided, Backfill::Store(_)))
            .map(|(item, _)| item.clone())
            .collect();
        let mut stored = self.store_wanted(&wanted, &answers).await?.into_iter();
        let ended = decided.into_iter().map(|decided| match decided {
            Backfill::Store(_) => stored.next().unwrap_or_else(changed),
            Backfill::Blocked(why) => Backfilled::Blocked(why),
            Backfill::Skip => Backfilled::Skipped,
            Backfill::Ask(_) => changed(), // every question was answered
        });
        Ok(ended.collect())
    }

    /// Participants alone, so the chunks are in the order of the items.
    async fn store_wanted(&self, wanted: &[Item], answers: &Answers) -> Result<Vec<Backfilled>, StoreError> {
        let mut ended = Vec::with_capacity(wanted.len());
        for Chunk { items, .. } in chunks(Table::Participants, wanted) {
            match self.store_together(&items, answers).await {
                Ok(stored) => ended.extend(stored),
                Err(error) if error.ends_all() => return Err(error),
                // a bad one costs itself only
                Err(_) => {
                    for item in &items {
                        ended.extend(match self.store_together(std::slice::from_ref(item), answers).await {
                            Err(StoreError { what, class: Class::Permanent(_), outage: false }) => {
                                vec![Backfilled::Blocked(format!("the store refused it: {what}"))]
                            }
                            stored => stored?,
                        });
                    }
                }
            }
        }
        Ok(ended)
    }

    async fn store_together(&self, items: &[Item], answers: &Answers) -> Result<Vec<Backfilled>, StoreError> {
        let batch: Batch = self.batch(items, Pass::Live);
        let overtaken: Mutex<HashSet<i64>> = Mutex::default();
        let stored = self.inbox.apply(&batch.items, batch.now, |item, held| {
            match backfill(&item.change, held, answers, batch.moment(&item.change)?) {
                Backfill::Store(effect) => Some(Write { effect: *effect, message: None }),
                Backfill::Skip => None,
                Backfill::Ask(_) | Backfill::Blocked(_) => {
                    overtaken.lock().unwrap_or_else(PoisonError::into_inner).insert(item.change.arena_id);
                    None
                }
            }
        });
        let stored = stored.await?;
        let overtaken = overtaken.into_inner().unwrap_or_else(PoisonError::into_inner);
        let ended = batch.items.iter().zip(stored).map(|(item, stored)| match stored {
            Some(Settlement::Done(_)) => Backfilled::Stored,
            Some(_) => Backfilled::Failed,
            None if overtaken.contains(&item.change.arena_id) => changed(),
            None => Backfilled::Skipped,
        });
        Ok(ended.collect())
    }
}

fn changed() -> Backfilled {
    Backfilled::Blocked("what it depends on changed meanwhile".to_owned())
}
