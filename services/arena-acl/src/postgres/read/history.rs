//! What history changes need beside the rest: the participations they may be of, and their UUIDs (3.3, 3.4).

use std::collections::{BTreeSet, HashMap};

use chrono::{NaiveDate, NaiveDateTime};
use domain::arena_acl::{Candidate, Change, CourseId, ParticipantId, ParticipantStatus, PersonId, Table};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    inbox::{StoreError, external_id, person_on_course},
    postgres::errors::during,
};

type Candidates = HashMap<(PersonId, CourseId), Vec<Candidate>>;

/// Last known participants of the persons and courses of history changes.
pub(super) async fn candidates(connection: &mut PgConnection, changes: &[&Change]) -> Result<Candidates, StoreError> {
    let wanted: BTreeSet<(PersonId, CourseId)> = changes.iter().filter_map(|change| person_on_course(change)).collect();
    if wanted.is_empty() {
        return Ok(Candidates::new());
    }
    let (persons, courses): (Vec<i64>, Vec<i64>) =
        wanted.into_iter().map(|(person, course)| (person.0, course.0)).unzip();
    type Row = (i64, i64, i64, Option<NaiveDate>, Option<NaiveDate>, Option<NaiveDateTime>, Option<Uuid>, bool);
    let found: Vec<Row> = sqlx::query_as(
        // looked up one by one (`OFFSET 0` sees to it): where the planner may join and was never told how large the tables are, it reads all of
        // them for each batch
        "SELECT known.person_id, known.gjennomforing_id, known.arena_id, known.dato_fra, known.dato_til, \
                known.dato_statusendring, \
                (SELECT id.amt_id FROM arena_data_id_translation AS id \
                 WHERE id.arena_table_name = $3 AND id.arena_id = known.arena_id::text), known.status = $4 \
         FROM unnest($1::bigint[], $2::bigint[]) AS wanted (person_id, gjennomforing_id), \
             LATERAL (SELECT * FROM deltaker AS row \
                 WHERE row.person_id = wanted.person_id AND row.gjennomforing_id = wanted.gjennomforing_id OFFSET 0) AS known \
         WHERE known.arena_source_table = $3",
    )
    .bind(persons)
    .bind(courses)
    .bind(Table::Participants.name())
    .bind(ParticipantStatus::Feilregistrert.name())
    .fetch_all(connection)
    .await
    .map_err(during("reading last known participants"))?;
    let mut candidates = Candidates::new();
    for (person, course, participant, start, end, status_changed, amt_id, misregistered) in found {
        let participant = ParticipantId(participant);
        let candidate = Candidate { participant, start, end, status_changed, amt_id, misregistered };
        candidates.entry((PersonId(person), CourseId(course))).or_default().push(candidate);
    }
    Ok(candidates)
}

/// UUIDs of the batch's history ids, and the history ids of the UUIDs that it names or may match.
pub(super) async fn ids(
    connection: &mut PgConnection,
    changes: &[&Change],
    candidates: &Candidates,
) -> Result<(HashMap<i64, Uuid>, HashMap<Uuid, String>), StoreError> {
    let history = || changes.iter().filter(|change| change.table == Table::History);
    let wanted: BTreeSet<i64> = history().map(|change| change.arena_id).collect();
    if wanted.is_empty() {
        return Ok((HashMap::new(), HashMap::new()));
    }
    let named = history().filter_map(|change| external_id(change));
    let uuids: BTreeSet<Uuid> =
        candidates.values().flatten().filter_map(|candidate| candidate.amt_id).chain(named).collect();
    let found: Vec<(Uuid, String)> = sqlx::query_as(
        "SELECT amt_id, arena_hist_id FROM arena_data_hist_id_translation \
         WHERE arena_hist_id = ANY($1) OR amt_id = ANY($2)",
    )
    .bind(wanted.iter().map(ToString::to_string).collect::<Vec<_>>())
    .bind(uuids.iter().copied().collect::<Vec<_>>())
    .fetch_all(connection)
    .await
    .map_err(during("reading history ids"))?;
    let mut ids = HashMap::new();
    let mut owners = HashMap::new();
    for (amt_id, history) in found {
        if let Some(id) = history.parse().ok().filter(|id| wanted.contains(id)) {
            ids.insert(id, amt_id);
        }
        if uuids.contains(&amt_id) {
            owners.insert(amt_id, history);
        }
    }
    Ok((ids, owners))
}
