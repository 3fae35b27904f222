//! A handler over memory and the sample's third parties, and records to feed it with.

use std::{num::NonZeroU32, sync::Arc};

use arena_acl::{
    memory::Memory,
    metrics::Metrics,
    neighbours::Neighbours,
    records::{Records, Rules},
    scripted::Script,
    settings::Calls,
    standalone::sample_neighbours,
};
use bytes::Bytes;
use chassis::{clock::Clock, http::Client, settings};
use chrono::TimeDelta;
use domain::arena_acl::Backoff;
use serde_json::{Value, json};

/// A course of a group measure, and one with single places; the sample's third parties know both.
pub(crate) const GROUP: i64 = 3001;
pub(crate) const SINGLE_PLACE: i64 = 3003;

pub(crate) fn records(store: &Memory) -> Arc<Records<Memory>> {
    let script = Script::new();
    script.add(&sample_neighbours().unwrap());
    let client = || Client::new("http://neighbour.invalid/".parse().unwrap(), script.transport());
    let calls = settings::read([("", ""); 0], Calls::declare).unwrap();
    let neighbours = Neighbours::new(client(), client(), client(), &calls);
    let rules = Rules {
        max_attempts: NonZeroU32::new(10).unwrap(),
        delete_wait: 2,
        backoff: Backoff { least: TimeDelta::seconds(30), most: TimeDelta::minutes(10) },
        unknown_match_waits: false,
        reprocess: false,
        group_topic: "amt".into(),
        single_place_topic: "enkeltplass".into(),
    };
    Arc::new(Records::new(
        Arc::new(store.clone()),
        neighbours,
        Clock::system(),
        rules,
        Metrics::new(chassis::metrics::Metrics::new()),
    ))
}

fn record(table: &str, position: u64, after: Value) -> Bytes {
    let record = json!({
        "table": table, "op_type": "I", "op_ts": "2025-03-10 11:59:58.000000", "pos": format!("{position:020}"),
        "before": null, "after": after,
    });
    record.to_string().into()
}

pub(crate) fn course(id: i64, measure: &str, position: u64) -> Bytes {
    let after = json!({
        "TILTAKGJENNOMFORING_ID": id, "SAK_ID": 880_001, "TILTAKSKODE": measure, "DATO_FRA": "2025-01-06 00:00:00",
        "DATO_TIL": "2035-12-19 00:00:00", "REG_DATO": "2024-11-15 13:45:10", "LOKALTNAVN": "Kurs",
        "TILTAKSTATUSKODE": "GJENNOMFOR", "ARBGIV_ID_ARRANGOR": 45_001,
    });
    record("SIAMO.TILTAKGJENNOMFORING", position, after)
}

/// A history row that another system owns.
pub(crate) fn external_history(id: i64, external_id: &str, position: u64) -> Bytes {
    let after = json!({
        "HIST_TILTAKDELTAKER_ID": id, "PERSON_ID": 5001, "TILTAKGJENNOMFORING_ID": GROUP, "DELTAKERSTATUSKODE": "FULLF",
        "DELTAKERTYPEKODE": "INNSOKT", "REG_DATO": "2025-02-20 08:00:00", "MOD_DATO": "2025-03-01 09:15:00",
        "EKSTERN_ID": external_id,
    });
    record("SIAMO.HIST_TILTAKDELTAKER", position, after)
}

/// Of one of the persons 5001 to 5007; any other has no national id.
pub(crate) fn participant(id: i64, person: i64, course: i64, position: u64) -> Bytes {
    let after = json!({
        "TILTAKDELTAKER_ID": id, "PERSON_ID": person, "TILTAKGJENNOMFORING_ID": course, "DELTAKERSTATUSKODE": "GJENN",
        "DELTAKERTYPEKODE": "INNSOKT", "AARSAKVERDIKODE_STATUS": null, "REG_DATO": "2025-02-20 08:00:00",
        "MOD_DATO": "2025-03-01 09:15:00", "DATO_FRA": "2025-04-01 00:00:00", "DATO_TIL": null,
        "DATO_STATUSENDRING": "2025-03-01 09:15:00", "PROSENT_DELTID": 80, "ANTALL_DAGER_PR_UKE": 2.5, "EKSTERN_ID": null,
    });
    record("SIAMO.TILTAKDELTAKER", position, after)
}
