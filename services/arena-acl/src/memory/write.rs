//! What a decided batch writes: all of it, or nothing.

use std::collections::HashMap;

use chrono::NaiveDateTime;
use domain::{
    arena_acl::{
        CourseId, CourseWrite, DeltakerWrite, Effect, HistMapping, IfTaken, IngestStatus, LastKnown, Mapping, Mark,
        ParticipantId, RowWrite, Table,
    },
    delivery::Class,
};
use uuid::Uuid;

use super::{ArenaData, Deltaker, Gjennomforing, HistIdTranslation, IdTranslation, Outgoing, State, wake};
use crate::inbox::{Item, NewMessage, OutboxMessage, StoreError, Write};

/// Writes the effects of `decided`, one after the other.
pub(super) fn all(state: &mut State, decided: &[(&Item, &Write)], now: NaiveDateTime) -> Result<Added, StoreError> {
    // what can be refused is looked at first, so that a refusal leaves nothing
    refuse_taken_ids(state, decided.iter().filter_map(|(_, write)| write.effect.mapping))?;
    refuse_taken_hist_ids(state, decided.iter().filter_map(|(_, write)| write.effect.hist_mapping.as_ref()))?;
    let mut added = Added::default();
    for (item, write) in decided {
        effect(state, item, &write.effect, now);
        if let Some(message) = &write.message {
            let cause = write.effect.row.as_ref().and_then(|_| find(state, item)).map(|row| row.id);
            add(state, message, cause, now, &mut added);
        }
    }
    Ok(added)
}

/// What was added to the outbox, as [`crate::fresh`] wants it.
#[derive(Default)]
pub(super) struct Added {
    pub(super) fresh: Vec<OutboxMessage>,
    pub(super) left: Vec<String>,
}

/// Adds a message behind all others.
pub(super) fn add(state: &mut State, message: &NewMessage, cause: Option<i64>, now: NaiveDateTime, added: &mut Added) {
    let waits = |older: &Outgoing| older.published_at.is_none() && older.message_key == message.key;
    let is_fresh = !state.outbox.iter().any(waits);
    let highest = state.outbox.iter().map(|message| message.id).max().unwrap_or(0);
    state.last_outbox_id = state.last_outbox_id.max(highest) + 1;
    if is_fresh {
        let NewMessage { topic, key, payload, trace, .. } = message.clone();
        added.fresh.push(OutboxMessage { id: state.last_outbox_id, topic, key, payload, trace, added_at: now });
    } else {
        added.left.push(message.key.clone());
    }
    state.outbox.push(Outgoing {
        id: state.last_outbox_id,
        topic: message.topic.clone(),
        message_key: message.key.clone(),
        payload: message.payload.clone(),
        transaction_id: message.transaction_id,
        arena_data_id: cause,
        created_at: now,
        published_at: None,
        trace: message.trace,
    });
}

fn effect(state: &mut State, item: &Item, effect: &Effect, now: NaiveDateTime) {
    if let Some(course) = &effect.course {
        upsert_course(state, course);
    }
    if let Some((course, uuid)) = effect.course_uuid {
        name_course(state, course, uuid);
    }
    if let Some(course) = effect.release {
        wake::release(state, course, now);
    }
    if let Some(row) = &effect.row {
        upsert_change(state, item, row, now);
    }
    if let Some(mapping) = effect.mapping {
        insert_id(state, mapping);
    }
    if let Some(mapping) = &effect.hist_mapping {
        insert_hist_id(state, mapping);
    }
    match &effect.deltaker {
        Some(DeltakerWrite::Keep(row)) => keep_participant(state, row),
        Some(DeltakerWrite::Misregistered(id)) => {
            for row in state.deltaker.iter_mut().filter(|row| is_participant(row, id.0)) {
                "FEILREGISTRERT".clone_into(&mut row.status);
            }
        }
        None => {}
    }
    if let Some(participant) = effect.wake {
        wake::wake(state, participant, now);
    }
}

fn refuse_taken_ids(state: &State, mappings: impl Iterator<Item = Mapping>) -> Result<(), StoreError> {
    let mut taken: HashMap<Uuid, Option<ParticipantId>> =
        state.id_translation.iter().map(|row| (row.amt_id, None)).collect();
    for mapping in mappings.filter(|mapping| !has_id(state, mapping)) {
        let own = Some(mapping.participant);
        if taken.insert(mapping.amt_id, own).is_some_and(|owner| owner != own) {
            return Err(StoreError {
                what: "writing participant ids: constraint arena_data_id_translation_pkey".to_owned(),
                class: Class::Permanent("refused_by_store"),
                outage: false,
            });
        }
    }
    Ok(())
}

fn has_id(state: &State, mapping: &Mapping) -> bool {
    let participant = mapping.participant.to_string();
    state
        .id_translation
        .iter()
        .any(|row| row.arena_table_name == Table::Participants.name() && row.arena_id == participant)
}

fn insert_id(state: &mut State, mapping: Mapping) {
    if !has_id(state, &mapping) {
        state.id_translation.push(IdTranslation {
            amt_id: mapping.amt_id,
            arena_table_name: Table::Participants.name().to_owned(),
            arena_id: mapping.participant.to_string(),
        });
    }
}

/// A history id that another UUID has is refused, as the unique index of the database does it.
fn refuse_taken_hist_ids<'m>(state: &State, mappings: impl Iterator<Item = &'m HistMapping>) -> Result<(), StoreError> {
    let mut taken: HashMap<String, Uuid> =
        state.hist_id_translation.iter().map(|row| (row.arena_hist_id.clone(), row.amt_id)).collect();
    let mappings: Vec<&HistMapping> = mappings.collect();
    let mut owners: HashMap<Uuid, String> =
        state.hist_id_translation.iter().map(|row| (row.amt_id, row.arena_hist_id.clone())).collect();
    for mapping in &mappings {
        let owner = owners.entry(mapping.amt_id).or_insert_with(|| mapping.history.to_string());
        if mapping.if_taken == IfTaken::Refused && *owner != mapping.history.to_string() {
            return Err(StoreError::taken());
        }
    }
    for mapping in
        mappings.iter().filter(|mapping| !state.hist_id_translation.iter().any(|row| row.amt_id == mapping.amt_id))
    {
        if taken.insert(mapping.history.to_string(), mapping.amt_id).is_some_and(|owner| owner != mapping.amt_id) {
            return Err(StoreError {
                what: "writing history ids: constraint arena_data_hist_id_translation_arena_hist_id_idx".to_owned(),
                class: Class::Permanent("refused_by_store"),
                outage: false,
            });
        }
    }
    Ok(())
}

fn insert_hist_id(state: &mut State, mapping: &HistMapping) {
    if !state.hist_id_translation.iter().any(|row| row.amt_id == mapping.amt_id) {
        state.hist_id_translation.push(HistIdTranslation {
            amt_id: mapping.amt_id,
            arena_hist_id: mapping.history.to_string(),
            arena_id: mapping.participant.clone(),
        });
    }
}

fn upsert_course(state: &mut State, course: &CourseWrite) {
    let arena_id = course.id.to_string();
    let (tiltak_kode, is_valid) = (course.measure.clone(), course.valid);
    match state.gjennomforing.iter_mut().find(|row| row.arena_id == arena_id) {
        Some(row) => (row.tiltak_kode, row.is_valid) = (tiltak_kode, is_valid),
        None => state.gjennomforing.push(Gjennomforing { arena_id, tiltak_kode, is_valid, id: None }),
    }
}

fn name_course(state: &mut State, course: CourseId, uuid: Uuid) {
    let arena_id = course.to_string();
    if let Some(row) = state.gjennomforing.iter_mut().find(|row| row.arena_id == arena_id) {
        row.id = Some(uuid);
    }
}

fn upsert_change(state: &mut State, item: &Item, write: &RowWrite, now: NaiveDateTime) {
    let (attempted, wanted) = (write.mark == Mark::Attempted, write.status != IngestStatus::Ignored);
    let ingested = write.mark == Mark::Ingested;
    if let Some(row) = find(state, item) {
        if row.ingest_status == IngestStatus::Ignored {
            (row.before, row.after) = (item.before.clone(), item.after.clone());
        }
        row.ingest_status = write.status;
        row.note.clone_from(&write.note);
        row.retry_at = write.retry_at;
        if attempted {
            row.ingest_attempts += 1;
            row.last_attempted = Some(now);
        }
        if ingested {
            row.ingested_timestamp = Some(now);
        }
        if !wanted {
            (row.before, row.after) = (None, None);
        }
        return;
    }
    let id = state.arena_data.iter().map(|row| row.id).max().unwrap_or(0) + 1;
    state.arena_data.push(ArenaData {
        id,
        arena_table_name: item.change.table,
        arena_id: item.change.arena_id.to_string(),
        operation_type: item.change.operation,
        operation_pos: item.change.position.clone(),
        operation_timestamp: item.change.timestamp,
        ingest_status: write.status,
        ingested_timestamp: ingested.then_some(now),
        ingest_attempts: u32::from(attempted),
        last_attempted: attempted.then_some(now),
        before: item.before.clone().filter(|_| wanted),
        after: item.after.clone().filter(|_| wanted),
        note: write.note.clone(),
        retry_at: write.retry_at,
        replay_count: 0,
        dropped_at: None,
    });
}

/// The row of a change, by its unique key (3.1).
fn find<'s>(state: &'s mut State, item: &Item) -> Option<&'s mut ArenaData> {
    let change = &item.change;
    state.arena_data.iter_mut().find(|row| {
        row.arena_table_name == change.table
            && row.operation_type == change.operation
            && row.operation_pos.as_str() == change.position.as_str()
    })
}

fn keep_participant(state: &mut State, known: &LastKnown) {
    let new = Deltaker {
        arena_id: known.id.0,
        person_id: known.person.0,
        gjennomforing_id: known.course.0,
        dato_fra: known.start,
        dato_til: known.end,
        reg_dato: known.registered,
        mod_dato: known.modified,
        status: known.status.clone(),
        dato_statusendring: known.status_changed,
        ekstern_id: known.external_id,
        arena_source_table: Table::Participants.name().to_owned(),
    };
    match state.deltaker.iter_mut().find(|row| is_participant(row, known.id.0)) {
        Some(row) => *row = new,
        None => state.deltaker.push(new),
    }
}

fn is_participant(row: &Deltaker, arena_id: i64) -> bool {
    row.arena_id == arena_id && row.arena_source_table == Table::Participants.name()
}
