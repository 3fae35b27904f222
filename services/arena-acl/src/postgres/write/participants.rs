//! Participants: their UUIDs (3.2) and last known rows (3.4).

use std::collections::BTreeMap;

use chrono::{NaiveDate, NaiveDateTime};
use domain::arena_acl::{DeltakerWrite, HistMapping, IfTaken, LastKnown, ParticipantId, Table};
use sqlx::PgConnection;
use uuid::Uuid;

use super::Batch;
use crate::{inbox::StoreError, postgres::errors::during};

impl Batch<'_> {
    /// A participant that has a UUID keeps it; a UUID that another participant has is refused.
    pub(super) async fn insert_ids(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        let mut mappings: Vec<_> = self.decided.iter().filter_map(|(_, write)| write.effect.mapping).collect();
        if mappings.is_empty() {
            return Ok(());
        }
        mappings.sort_by_key(|mapping| (mapping.participant, mapping.amt_id));
        sqlx::query(
            "INSERT INTO arena_data_id_translation (amt_id, arena_table_name, arena_id) \
             SELECT amt_id, $3, arena_id FROM unnest($1::uuid[], $2::text[]) AS new (amt_id, arena_id) \
             ON CONFLICT (arena_table_name, arena_id) DO NOTHING",
        )
        .bind(mappings.iter().map(|mapping| mapping.amt_id).collect::<Vec<Uuid>>())
        .bind(mappings.iter().map(|mapping| mapping.participant.to_string()).collect::<Vec<_>>())
        .bind(Table::Participants.name())
        .execute(connection)
        .await
        .map(drop)
        .map_err(during("writing participant ids"))
    }

    /// A UUID that has a history id keeps it, in silence or not as the mapping says; a history id that another UUID has is refused (3.3).
    pub(super) async fn insert_hist_ids(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        let mut mappings: Vec<_> =
            self.decided.iter().filter_map(|(_, write)| write.effect.hist_mapping.as_ref()).collect();
        if mappings.is_empty() {
            return Ok(());
        }
        mappings.sort_by_key(|mapping| mapping.history);
        let inserted: Vec<(Uuid, String)> = sqlx::query_as(
            "INSERT INTO arena_data_hist_id_translation (amt_id, arena_hist_id, arena_id) \
             SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[]) \
             ON CONFLICT (amt_id) DO NOTHING RETURNING amt_id, arena_hist_id",
        )
        .bind(mappings.iter().map(|mapping| mapping.amt_id).collect::<Vec<Uuid>>())
        .bind(mappings.iter().map(|mapping| mapping.history.to_string()).collect::<Vec<_>>())
        .bind(mappings.iter().map(|mapping| mapping.participant.as_deref()).collect::<Vec<_>>())
        .fetch_all(connection)
        .await
        .map_err(during("writing history ids"))?;
        let was_inserted = |mapping: &HistMapping| {
            inserted.iter().any(|(amt_id, id)| *amt_id == mapping.amt_id && *id == mapping.history.to_string())
        };
        if mappings.iter().any(|mapping| mapping.if_taken == IfTaken::Refused && !was_inserted(mapping)) {
            return Err(StoreError::taken());
        }
        Ok(())
    }

    /// Last known rows, inserted or changed in every column but id and creation time.
    pub(super) async fn keep_participants(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        let rows: BTreeMap<ParticipantId, &LastKnown> = self
            .decided
            .iter()
            .filter_map(|(_, write)| match write.effect.deltaker.as_ref()? {
                DeltakerWrite::Keep(row) => Some((row.id, row)),
                DeltakerWrite::Misregistered(_) => None,
            })
            .collect();
        if rows.is_empty() {
            return Ok(());
        }
        let rows: Vec<&LastKnown> = rows.into_values().collect();
        sqlx::query(
            "INSERT INTO deltaker AS row (id, arena_source_table, arena_id, person_id, gjennomforing_id, dato_fra, dato_til, \
                 reg_dato, mod_dato, status, dato_statusendring, ekstern_id) \
             SELECT gen_random_uuid(), $11, new.* \
             FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::date[], $5::date[], $6::timestamp[], $7::timestamp[], \
                 $8::text[], $9::timestamp[], $10::uuid[]) AS new \
             ON CONFLICT (arena_id, arena_source_table) DO UPDATE SET \
                 person_id = excluded.person_id, gjennomforing_id = excluded.gjennomforing_id, \
                 dato_fra = excluded.dato_fra, dato_til = excluded.dato_til, \
                 reg_dato = excluded.reg_dato, mod_dato = excluded.mod_dato, status = excluded.status, \
                 dato_statusendring = excluded.dato_statusendring, ekstern_id = excluded.ekstern_id, modified_at = now() \
             WHERE (row.person_id, row.gjennomforing_id, row.dato_fra, row.dato_til, row.reg_dato, row.mod_dato, row.status, \
                    row.dato_statusendring, row.ekstern_id) IS DISTINCT FROM \
                   (excluded.person_id, excluded.gjennomforing_id, excluded.dato_fra, excluded.dato_til, excluded.reg_dato, \
                    excluded.mod_dato, excluded.status, excluded.dato_statusendring, excluded.ekstern_id)",
        )
        .bind(rows.iter().map(|row| row.id.0).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.person.0).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.course.0).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.start).collect::<Vec<Option<NaiveDate>>>())
        .bind(rows.iter().map(|row| row.end).collect::<Vec<Option<NaiveDate>>>())
        .bind(rows.iter().map(|row| row.registered).collect::<Vec<NaiveDateTime>>())
        .bind(rows.iter().map(|row| row.modified).collect::<Vec<NaiveDateTime>>())
        .bind(rows.iter().map(|row| row.status.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.status_changed).collect::<Vec<Option<NaiveDateTime>>>())
        .bind(rows.iter().map(|row| row.external_id).collect::<Vec<Option<Uuid>>>())
        .bind(Table::Participants.name())
        .execute(connection)
        .await
        .map(drop)
        .map_err(during("writing participants"))
    }

    /// A real deletion changes the status of the last known row, where there is one (4.8).
    pub(super) async fn misregister_participants(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        let ids: Vec<i64> = self
            .decided
            .iter()
            .filter_map(|(_, write)| match write.effect.deltaker.as_ref()? {
                DeltakerWrite::Misregistered(id) => Some(id.0),
                DeltakerWrite::Keep(_) => None,
            })
            .collect();
        if ids.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "UPDATE deltaker SET status = 'FEILREGISTRERT', modified_at = now() \
             WHERE arena_source_table = $1 AND arena_id = ANY($2) AND status <> 'FEILREGISTRERT'",
        )
        .bind(Table::Participants.name())
        .bind(ids)
        .execute(connection)
        .await
        .map(drop)
        .map_err(during("writing deleted participants"))
    }
}
