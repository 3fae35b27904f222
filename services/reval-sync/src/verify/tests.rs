use std::sync::Arc;

use bytes::Bytes;
use chassis::clock::Clock;
use domain::reval_sync::run::Stage;
use search::engine::Operation;
use serde_json::{Value, json};

use super::*;
use crate::{
    handling::Handling,
    index::Generation,
    memory::{Memory, Queues, Sources, Store},
    shared::Wiring,
};

#[derive(Default)]
struct Heard(Vec<Found>);

impl Listener for Heard {
    fn begins(&mut self, _pass: &'static str, _about: u64) {}
    fn seen(&mut self, _more: u64) {}
    fn found(&mut self, found: &Found) {
        self.0.push(found.clone());
    }
}

async fn world(documents: &[Value], collections: &[(Collection, Value)]) -> Arc<Shared<Memory>> {
    let now = "2025-06-16T09:00:00Z".parse().unwrap();
    let (engine, sources) = (search::memory::Memory::default(), Sources::default());
    let (handling, generation) = (Handling::default(), Generation::at(now));
    index::create_master(&engine, &generation, &handling.shape).await.unwrap();
    let rows = documents.iter().enumerate().map(|(at, document)| {
        let source = document.as_object().unwrap().clone();
        Operation::Index { id: format!("d{at}"), source }
    });
    engine.bulk(&generation.master(), &rows.collect::<Vec<_>>()).await.unwrap();
    index::point(&engine, handling.layout, |name| generation.index(name), None, &[]).await.unwrap();
    collections.iter().for_each(|(collection, document)| sources.add(*collection, [document.clone()]));
    Shared::new(Wiring {
        engine: Arc::new(engine),
        store: Arc::<Store>::default(),
        queues: Arc::<Queues>::default(),
        sources: Arc::new(sources),
        clock: Clock::starting_at(now),
        handling,
        metrics: crate::metrics::Metrics::new(chassis::metrics::Metrics::new()),
    })
}

fn told(heard: &Heard) -> Vec<(&str, Kind, &[&'static str], Mending)> {
    heard.0.iter().map(|found| (found.key.as_str(), found.kind, found.fields.as_slice(), found.mending)).collect()
}

fn doctor(number: &str, body: &str) -> (Collection, Value) {
    (Collection::Doctors, json!({"_id": number, "designatedBodyCode": body, "existsInGmc": true}))
}

#[tokio::test]
async fn an_index_that_is_what_a_run_would_write_has_no_difference() {
    let document = json!({"tcsPersonId": 1, "gmcReferenceNumber": "7000001", "designatedBody": "x", "existsInGmc": true,
        "programmeName": "only the trainee service knows"});
    let world = world(&[document], &[doctor("7000001", "x")]).await;
    let mut heard = Heard::default();
    let totals = verify(&world, true, &mut heard).await.unwrap();
    assert_eq!((totals, told(&heard)), (Totals { seen: 2, differences: 0, sent: 0 }, vec![]));
    assert_eq!(world.queues.published(), []);
}

#[tokio::test]
async fn each_difference_has_its_key_and_is_sent_where_a_message_can_mend_it() {
    let documents = [
        json!({"tcsPersonId": 1, "gmcReferenceNumber": "7000001", "designatedBody": "x", "existsInGmc": true}),
        json!({"tcsPersonId": 2, "gmcReferenceNumber": "7000002",
            "hiddenDiscrepancies": [{"id": "gone", "gmcId": "7000002"}]}),
        json!({"tcsPersonId": 3, "gmcReferenceNumber": "7000003"}),
        json!({"tcsPersonId": 3}),
    ];
    let log = json!({"_id": "l", "gmcId": "7000003", "updatedBy": "one", "requestTime": "2025-03-04T05:06:07.089"});
    let hidden = json!({"_id": "h", "gmcId": "7000003", "hiddenBy": "two"});
    let collections = [
        doctor("7000001", "y"),
        doctor("7000004", "z"),
        (Collection::ConnectionLogs, log),
        (Collection::HiddenDiscrepancies, hidden),
    ];
    let world = world(&documents, &collections).await;
    let mut heard = Heard::default();
    let totals = verify(&world, false, &mut heard).await.unwrap();
    assert_eq!(totals, Totals { seen: 6, differences: 5, sent: 0 });
    let of_log = ["updatedBy", "lastConnectionDateTime", "hiddenDiscrepancies"];
    let mut found = told(&heard);
    found.sort_by_key(|(key, ..)| *key);
    assert_eq!(
        found,
        [
            ("doctor 7000001", Kind::Differs, &["designatedBody"][..], Mending::Possible),
            ("doctor 7000002", Kind::Differs, &["hiddenDiscrepancies"], Mending::ByRun),
            ("doctor 7000003", Kind::Differs, &of_log, Mending::Possible),
            ("doctor 7000004", Kind::Missing, &[], Mending::Possible),
            ("person 3", Kind::PersonTwice, &[], Mending::Possible),
        ]
    );
    assert_eq!(world.queues.published(), [], "without --fix nothing leaves");

    let totals = verify(&world, true, &mut Heard::default()).await.unwrap();
    assert_eq!(totals, Totals { seen: 6, differences: 5, sent: 4 });
    let sent = world.queues.published();
    let of = |key: &str| -> Vec<Bytes> {
        sent.iter().filter(|sent| sent.routing_key == key).map(|sent| sent.body.clone()).collect()
    };
    let routes = &world.handling.routes;
    assert_eq!(of(&routes.trainee_update), [Bytes::from(r#"["3"]"#)]);
    // as the readers of the queues read it, it is what the collections say
    let numbers: Vec<String> = ["7000001", "7000003", "7000004"].map(str::to_owned).to_vec();
    let afresh = Afresh::read(&*world.sources, &numbers).await.unwrap();
    let mut wanted: Vec<_> = numbers
        .iter()
        .flat_map(|number| afresh.changes(&GmcNumber::usable(Some(number)).unwrap(), world.today()))
        .map(|change| format!("{change:?}"))
        .collect();
    let queues = [
        (Stage::Gmc, &routes.gmc_data),
        (Stage::ConnectionLogs, &routes.connection_log_data),
        (Stage::HiddenDiscrepancies, &routes.hidden_discrepancy_data),
    ];
    let batches = queues.into_iter().flat_map(|(stage, key)| of(key).into_iter().map(move |body| (stage, body)));
    let items = batches.flat_map(|(stage, body)| wire::batch(stage, &body).unwrap().items);
    let mut read: Vec<_> = items.map(|item| format!("{:?}", item.change.unwrap())).collect();
    wanted.sort();
    read.sort();
    assert_eq!(read, wanted);
}
