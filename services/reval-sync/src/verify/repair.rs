//! What repairs the index: data of the collections as items of an export, which reach the live index as late data, and questions to the trainee
//! service.

use std::collections::BTreeSet;

use bytes::Bytes;
use chrono::NaiveDateTime;
use domain::reval_sync::{connection::Log, doctor::Summary, hidden::Hidden};
use serde_json::{Value, json};

use crate::{
    shared::{Ports, Shared},
    signals::{Outgoing, Signals as _},
    trouble::Trouble,
    wire::{self, Change},
};

/// What is to be sent.
#[derive(Debug, Default)]
pub(super) struct Repairs {
    /// Of doctors, logs and hidden discrepancies.
    pub(super) changes: Vec<Change>,
    /// About whom the trainee service is asked.
    pub(super) persons: BTreeSet<i64>,
}

impl Repairs {
    /// Sends all of it, confirmed. Twice is the same as once.
    pub(super) async fn send<P: Ports>(&self, shared: &Shared<P>) -> Result<(), Trouble> {
        let routes = &shared.handling.routes;
        let of = |item: fn(&Change) -> Option<Value>| {
            let items: Vec<Value> = self.changes.iter().filter_map(item).collect();
            (!items.is_empty()).then(|| json!({"payload": items, "syncEnd": false}))
        };
        let persons: Vec<String> = self.persons.iter().map(ToString::to_string).collect();
        let bodies = [
            (&routes.gmc_data, of(doctor)),
            (&routes.connection_log_data, of(log)),
            (&routes.hidden_discrepancy_data, of(hidden)),
            (&routes.trainee_update, (!persons.is_empty()).then(|| json!(persons))),
        ];
        let outgoing = bodies.into_iter().filter_map(|(routing_key, body)| {
            Some(Outgoing {
                exchange: routes.exchange.clone(),
                routing_key: routing_key.clone(),
                body: Bytes::from(body?.to_string()),
                run: None,
            })
        });
        let outgoing: Vec<Outgoing> = outgoing.collect();
        if outgoing.is_empty() {
            return Ok(());
        }
        Ok(shared.queues.publish(&outgoing).await?)
    }
}

fn doctor(change: &Change) -> Option<Value> {
    let Change::Doctor(summary, _) = change else { return None };
    let summary: &Summary = summary;
    let mut item = wire::summary_item(&Value::Null, summary, None);
    if let (Some(members), Some(outcome)) = (item.as_object_mut(), &summary.gmc.outcome) {
        members.insert("gmcOutcome".to_owned(), json!(outcome));
    }
    Some(item)
}

fn log(change: &Change) -> Option<Value> {
    let Change::Connection(Log { number, updated_by, time }) = change else { return None };
    Some(json!({"gmcId": number, "updatedBy": updated_by, "eventDateTime": time.map(shown)}))
}

fn hidden(change: &Change) -> Option<Value> {
    let Change::Hide(entry) = change else { return None };
    let Hidden { id, number, for_body, by, reason, since } = &**entry;
    Some(json!({"id": id, "gmcId": number, "hiddenForDesignatedBodyCode": for_body, "hiddenBy": by,
        "reason": reason, "hiddenDateTime": since.map(shown)}))
}

fn shown(at: NaiveDateTime) -> String {
    at.format("%Y-%m-%dT%H:%M:%S%.3f").to_string()
}
