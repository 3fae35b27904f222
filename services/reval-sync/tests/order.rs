//! A run gives the same documents whatever the order and the repeats of its messages (docs/spec/reval-sync.md section 13, no. 4), over the whole path:
//! queues, log, merge, index.
#![cfg(test)]

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use chassis::{clock::Clock, parts::Parts};
use domain::reval_sync::run::Source;
use http::{Request, StatusCode};
use proptest::{
    collection::vec,
    prelude::{Just, ProptestConfig, Strategy},
    prop_assert, prop_assert_eq, proptest,
    sample::subsequence,
};
use reval_sync::{
    deliveries::Queue,
    handling::Handling,
    http as api,
    index::MASTER,
    memory::{Memory, Queues, Sources, Store},
    metrics::Metrics,
    service::Service,
    settings::Auth,
    shared::Wiring,
};
use search::memory::Memory as Engine;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tower::ServiceExt as _;

/// Beyond the quiet period.
const QUIET: Duration = Duration::from_secs(8);
/// A run takes much less, in paused time.
const BOUND: Duration = Duration::from_secs(600);

/// The messages of a run, stage by stage, without the end markers.
type Stages = [Vec<(Queue, Value)>; 4];

/// Number 0 and 1 are no numbers.
fn number(n: u8) -> Value {
    match n {
        0 => Value::Null,
        1 => "UNKNOWN".into(),
        n => format!("70000{n:02}").into(),
    }
}

fn trainee((person, n): (usize, u8)) -> (Queue, Value) {
    let programme = format!("p{person}");
    let body = json!({"tcsPersonId": person, "gmcReferenceNumber": number(n), "doctorLastName": format!("t{n}"), "programmeName": programme});
    (Queue::TcsData, body)
}

fn doctor(n: u8) -> (Queue, Value) {
    let doctor = json!({"gmcReferenceNumber": number(n), "doctorLastName": format!("g{n}"), "designatedBodyCode": format!("b{n}"), "existsInGmc": n.is_multiple_of(2)});
    (Queue::GmcData, json!({"payload": [{"doctor": doctor, "gmcOutcome": "Approved"}]}))
}

fn log(n: u8) -> (Queue, Value) {
    let log = json!({"gmcId": number(n), "updatedBy": format!("u{n}"), "eventDateTime": "2025-03-04T05:06:07.089"});
    (Queue::ConnectionLogData, json!({"payload": [log]}))
}

fn hidden(n: u8) -> (Queue, Value) {
    let entry = json!({"id": format!("h{n}"), "gmcId": number(n), "hiddenForDesignatedBodyCode": "b"});
    (Queue::HiddenDiscrepancyData, json!({"payload": [entry]}))
}

/// A run in order, and the same run with its messages partly repeated and shuffled: trainees and doctors across their stages, a trainee whose number the
/// GMC knows also into the stages after them, the rest within its stage. No two messages describe one person or one doctor differently.
fn runs() -> impl Strategy<Value = (Stages, Stages)> {
    let trainees = vec(0_u8..6, 1..6).prop_map(|numbers| numbers.into_iter().enumerate().collect::<Vec<_>>());
    let some = || subsequence((2_u8..8).collect::<Vec<_>>(), 0..6);
    (trainees, some(), some(), some()).prop_flat_map(|(trainees, doctors, logs, entries)| {
        let of = |numbers: &[u8], message: fn(u8) -> (Queue, Value)| {
            numbers.iter().copied().map(message).collect::<Vec<_>>()
        };
        let in_order: Stages = [
            trainees.iter().copied().map(trainee).collect(),
            of(&doctors, doctor),
            of(&logs, log),
            of(&entries, hidden),
        ];
        let placed = |messages: Vec<(Queue, Value)>, stages: usize| {
            vec((0..stages, 1_usize..3), messages.len()).prop_map(move |places| {
                messages
                    .iter()
                    .cloned()
                    .zip(places)
                    .flat_map(|(message, (stage, times))| vec![(stage, message); times])
                    .collect::<Vec<_>>()
            })
        };
        let (known, unknown): (Vec<_>, Vec<_>) = trainees.into_iter().partition(|(_, n)| doctors.contains(n));
        let early = (
            placed(known.iter().copied().map(trainee).collect(), 4),
            placed(unknown.into_iter().map(trainee).collect(), 2),
            placed(of(&doctors, doctor), 2),
        );
        let late = (placed(of(&logs, log), 1), placed(of(&entries, hidden), 1));
        let shuffled = (early, late).prop_map(|((known, unknown, doctors), (logs, entries))| {
            let at = |offset| move |(stage, message)| (stage + offset, message);
            [known, unknown, doctors]
                .into_iter()
                .flatten()
                .map(at(0))
                .chain(logs.into_iter().map(at(2)))
                .chain(entries.into_iter().map(at(3)))
                .collect::<Vec<_>>()
        });
        (Just(in_order), shuffled.prop_shuffle()).prop_map(|(in_order, shuffled)| {
            let mut stages = Stages::default();
            for (stage, message) in shuffled {
                stages[stage].push(message);
            }
            (in_order, stages)
        })
    })
}

/// The documents that readers see after the run, as a sorted list without what the service keeps for itself.
async fn after(stages: Stages) -> Vec<String> {
    let engine = Arc::new(Engine::default());
    let queues = Arc::new(Queues::default());
    let service = Service::<Memory>::new(Wiring {
        engine: Arc::clone(&engine),
        store: Arc::<Store>::default(),
        queues: Arc::clone(&queues),
        sources: Arc::<Sources>::default(),
        clock: Clock::starting_at("2025-06-16T09:00:00Z".parse().unwrap()),
        handling: Handling { sources: [Source::Queue; 3], ..Handling::default() },
        metrics: Metrics::new(chassis::metrics::Metrics::new()),
    });
    let mut parts = Parts::new(std::future::pending());
    service.spawn(&mut parts, QUIET);
    let running = tokio::task::LocalSet::new();
    let router = api::routes(Arc::clone(&service.shared), "", Auth::Anybody).into_router();
    let parts = running.spawn_local(parts.run());
    let documents = running
        .run_until(async {
            until(|| service.is_working() && service.is_idle()).await;
            let request = Request::post("/api/v1/sync/runs").body(Body::empty()).unwrap();
            assert_eq!(router.oneshot(request).await.unwrap().status(), StatusCode::ACCEPTED);
            until(|| queues.published().len() == 1).await;
            let markers = [Queue::TcsData, Queue::GmcData, Queue::ConnectionLogData, Queue::HiddenDiscrepancyData];
            for (at, (messages, marker)) in stages.into_iter().zip(markers).enumerate() {
                until(|| queues.published().len() == at + 1).await;
                for (queue, body) in messages.into_iter().chain([(marker, json!({"syncEnd": true}))]) {
                    queues.deliver(queue, Bytes::from(body.to_string()), false);
                }
                sleep(QUIET).await;
            }
            until(|| service.is_idle()).await;
            engine.shown_now(MASTER).unwrap()
        })
        .await;
    parts.abort();
    let mut seen: Vec<String> = documents
        .into_iter()
        .map(|mut document| {
            document.source.remove("syncMeta");
            Value::Object(document.source).to_string()
        })
        .collect();
    seen.sort();
    seen
}

async fn until(is_so: impl Fn() -> bool) {
    let bound = Instant::now() + BOUND;
    while !is_so() {
        assert!(Instant::now() < bound, "it never became so");
        sleep(Duration::from_millis(20)).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn neither_order_nor_repeats_matter_to_a_run((in_order, shuffled) in runs()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let (first, second) = runtime.block_on(async { (after(in_order).await, after(shuffled).await) });
        prop_assert!(!first.is_empty());
        prop_assert_eq!(first, second);
    }
}
