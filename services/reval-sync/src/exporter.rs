//! The exporter role: all doctors with their outcome, in batches, for whoever still expects them (6.1).

use bytes::Bytes;
use serde_json::{Value, json};
use tracing::{info, warn};

use crate::{
    doctors::Latest,
    letters,
    run_store::{Letter, Letters as _},
    shared::{Ports, Shared},
    signals::{Outgoing, Signals as _},
    sources::{Collection, Cursor as _, Sources as _},
    trouble::Trouble,
    wire,
};

/// Sends all doctors and then the end marker; each message is confirmed before the next leaves (R-EXP-2, R-EXP-3). Twice is twice.
///
/// # Errors
/// In the moment: some may be sent, but not the end marker.
pub(crate) async fn export<P: Ports>(shared: &Shared<P>) -> Result<(), Trouble> {
    let mut latest = Latest::default();
    let mut recommendations = shared.sources.read(Collection::Recommendations).await?;
    loop {
        let documents = recommendations.next().await?;
        if documents.is_empty() {
            break;
        }
        for document in &documents {
            if let Err(why) = latest.add(document) {
                give_up(shared, Collection::Recommendations, document, &why).await?;
            }
        }
    }
    let (today, size) = (shared.today(), shared.handling.export_batch.max(1));
    let mut doctors = shared.sources.read(Collection::Doctors).await?;
    let (mut batch, mut sent) = (Vec::with_capacity(size), 0_u64);
    loop {
        let documents = doctors.next().await?;
        let is_last = documents.is_empty();
        for document in &documents {
            match wire::doctor(document) {
                Ok(summary) => {
                    let outcome = latest.outcome(&summary, today);
                    batch.push(wire::summary_item(document, &summary, outcome));
                    sent += 1;
                }
                Err(why) => give_up(shared, Collection::Doctors, document, &why).await?,
            }
            if batch.len() >= size {
                publish(shared, &json!({"payload": std::mem::take(&mut batch), "syncEnd": false})).await?;
                shared.halts.reach("gmc-export").await;
            }
        }
        if is_last {
            break;
        }
    }
    if !batch.is_empty() {
        publish(shared, &json!({"payload": batch, "syncEnd": false})).await?;
    }
    shared.halts.reach("gmc-export").await;
    publish(shared, &json!({"payload": [], "syncEnd": true})).await?;
    info!(sent, "exported {sent} doctors");
    Ok(())
}

async fn publish<P: Ports>(shared: &Shared<P>, body: &Value) -> Result<(), Trouble> {
    let routes = &shared.handling.routes;
    let outgoing = Outgoing {
        exchange: routes.exchange.clone(),
        routing_key: routes.gmc_data.clone(),
        body: Bytes::from(body.to_string()),
        run: None,
    };
    Ok(shared.queues.publish(&[outgoing]).await?)
}

/// A document of a store that can never be read is a dead letter; the rest goes on (2.9).
pub(crate) async fn give_up<P: Ports>(
    shared: &Shared<P>,
    collection: Collection,
    document: &Value,
    why: &wire::Unreadable,
) -> Result<(), Trouble> {
    let (source, body) = letters::of_store(collection, document);
    let letter = Letter::new(&source, body, why, shared.clock.now());
    warn!(letter = %letter.id, source, reason = why.reason, detail = why.detail, "a document of a store is given up");
    Ok(shared.store.put(&[letter]).await?)
}
