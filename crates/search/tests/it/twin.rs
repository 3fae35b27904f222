//! The twin against a real engine: the same documents and questions made up at random, the same answers.

use proptest::{
    prelude::*,
    sample::select,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use search::{
    Memory,
    engine::{Engine, Operation, Outcome, Query, Source, Version},
};
use serde_json::{Value, json};

use crate::world::{Indices, body, opensearch};

/// What makes a difference between words, values and their case.
const TEXTS: [&str; 24] = [
    "1-1RSSQ05",
    "1-1rssq05",
    "Visitor",
    "VISITOR military",
    "O'Neill",
    "a.b",
    "7012345",
    "70 12345",
    "Åsa",
    "naïve café",
    "x_y",
    "A&E",
    "3.14",
    "e-mail",
    "",
    " ",
    "10,000",
    "UNKNOWN",
    "n/a",
    "don’t",
    "a:b",
    "St. Mary",
    "v1.5",
    "visitor",
];
const WORDS: [&str; 14] = [
    "visitor", "1", "1rssq05", "o'neill", "a.b", "7012345", "åsa", "Visitor", "3.14", "10,000", "a:b", "mary", "n",
    "v1.5",
];
const DATES: [&str; 4] = ["2026-01-31", "2026-02-01", "2025-12-31", "2026-02-02"];
const TEXT_FIELDS: [&str; 4] = ["admin", "gmcReferenceNumber", "designatedBody", "tcsDesignatedBody"];
const SORTS: [&str; 5] = ["admin.keyword", "tcsPersonId", "submissionDate", "existsInGmc", "gmcReferenceNumber"];

fn text() -> impl Strategy<Value = Value> {
    prop_oneof![1 => Just(Value::Null), 4 => select(&TEXTS[..]).prop_map(Value::from)]
}

fn document() -> impl Strategy<Value = Source> {
    let entry = (text(), text()).prop_map(|(id, reason)| json!({"id": id, "reason": reason}));
    let date =
        prop_oneof![1 => Just(Value::Null), 3 => select(&DATES[..]).prop_map(Value::from), 1 => Just("soon".into())];
    let flag = prop_oneof![Just(Value::Null), Just(true.into()), Just(false.into())];
    let person = prop_oneof![1 => Just(Value::Null), 4 => (0..9_i64).prop_map(Value::from)];
    let entries = proptest::collection::vec(entry, 0..3).prop_map(Value::from);
    (proptest::collection::vec(text(), 4), date, flag, person, entries).prop_map(
        |(texts, date, flag, person, entries)| {
            let texts = TEXT_FIELDS.iter().map(|&field| field.to_owned()).zip(texts);
            let others = [
                ("submissionDate", date),
                ("existsInGmc", flag),
                ("tcsPersonId", person),
                ("hiddenDiscrepancies", entries),
            ];
            texts.chain(others.map(|(field, value)| (field.to_owned(), value))).collect()
        },
    )
}

fn field() -> impl Strategy<Value = String> {
    (select(&TEXT_FIELDS[..]), prop_oneof![Just(""), Just(".keyword")]).prop_map(|(field, sub)| format!("{field}{sub}"))
}

fn any_field() -> impl Strategy<Value = String> {
    prop_oneof![field(), select(&["tcsPersonId", "submissionDate", "existsInGmc", "other"][..]).prop_map(str::to_owned)]
}

fn wanted() -> impl Strategy<Value = Value> {
    prop_oneof![select(&TEXTS[..]), select(&WORDS[..])].prop_map(Value::from)
}

fn query() -> impl Strategy<Value = Query> {
    let leaf = prop_oneof![
        Just(Query::All),
        (field(), wanted()).prop_map(|(field, value)| Query::Term(field, value)),
        (field(), proptest::collection::vec(wanted(), 0..4)).prop_map(|(field, values)| Query::Terms(field, values)),
        (0..9_i64).prop_map(|person| Query::Term("tcsPersonId".to_owned(), person.into())),
        any::<bool>().prop_map(|flag| Query::Term("existsInGmc".to_owned(), flag.into())),
        (select(&TEXT_FIELDS[..]), wanted())
            .prop_map(|(field, value)| Query::Match(field.to_owned(), value.as_str().unwrap().to_owned())),
        any_field().prop_map(Query::Exists),
        any_field().prop_map(Query::Missing),
        (0..9_i64).prop_map(|person| Query::Below("tcsPersonId".to_owned(), person.into())),
        select(&DATES[..]).prop_map(|date| Query::Below("submissionDate".to_owned(), date.into())),
        (select(&TEXT_FIELDS[..]), select(&TEXT_FIELDS[..]))
            .prop_map(|(one, other)| Query::Differ(format!("{one}.keyword"), format!("{other}.keyword"))),
        wanted().prop_map(|id| {
            let inner = Query::Term("hiddenDiscrepancies.id.keyword".to_owned(), id);
            Query::Nested("hiddenDiscrepancies".to_owned(), Box::new(inner))
        }),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        let several = || proptest::collection::vec(inner.clone(), 0..3);
        prop_oneof![several().prop_map(Query::Every), several().prop_map(Query::Any)]
    })
}

/// A line for one of few ids; of the version of the last read, of an older one, or of none.
fn operation() -> impl Strategy<Value = (u8, usize, Source, u8)> {
    (0..5_u8, 0..4_usize, document(), 0..3_u8)
}

fn line(of: (u8, usize, Source, u8), versions: &[Option<Version>]) -> Operation {
    let (kind, place, source, age) = of;
    let id = place.to_string();
    let nobody = Version { seq_no: 1_000_000, primary_term: 1 };
    let known = versions[place].unwrap_or(nobody);
    let version = if age == 0 { nobody } else { known };
    match kind {
        0 => Operation::Index { id, source },
        1 => Operation::Create { id, source },
        2 => Operation::Replace { id, version, source },
        3 => Operation::Delete { id, version: Some(version) },
        _ => Operation::Delete { id, version: None },
    }
}

struct Made(TestRunner);

impl Made {
    /// The same each time.
    fn up() -> Self {
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
        Self(TestRunner::new_with_rng(Config::default(), rng))
    }

    fn one<S: Strategy>(&mut self, strategy: &S) -> S::Value {
        strategy.new_tree(&mut self.0).unwrap().current()
    }
}

async fn versions(engine: &impl Engine, name: &str) -> Vec<Option<Version>> {
    let ids: Vec<String> = (0..4).map(|id: usize| id.to_string()).collect();
    let read = engine.get(name, &ids).await.unwrap();
    read.into_iter().map(|read| read.map(|document| document.version)).collect()
}

#[tokio::test]
#[ignore = "needs OpenSearch: ./dev test"]
async fn the_twin_finds_what_the_engine_finds() {
    let (memory, engine, mut made) = (Memory::default(), opensearch().await, Made::up());
    for _ in 0..6 {
        let name = Indices::new().name("twin");
        let lines: Vec<_> =
            (0..40).map(|id| Operation::Index { id: id.to_string(), source: made.one(&document()) }).collect();
        memory.create(&name, &body()).await.unwrap();
        engine.create(&name, &body()).await.unwrap();
        let outcomes = engine.bulk(&name, &lines).await.unwrap();
        assert_eq!(memory.bulk(&name, &lines).await.unwrap(), outcomes);
        assert!(outcomes.contains(&Outcome::Done));
        memory.refresh(&name).await.unwrap();
        engine.refresh(&name).await.unwrap();
        for _ in 0..150 {
            let (query, sort) = (made.one(&query()), made.one(&select(&SORTS[..])));
            let expected = engine.search(&name, &query, sort, 50, None).await.unwrap();
            let found = memory.search(&name, &query, sort, 50, None).await.unwrap();
            let shown = |page: &search::engine::Page| -> Vec<_> {
                page.documents.iter().map(|hit| (hit.id.clone(), hit.source.clone())).collect()
            };
            assert_eq!(shown(&found), shown(&expected), "{query:?}, by {sort}");
            assert_eq!(memory.count(&name, &query).await.unwrap(), expected.documents.len() as u64, "{query:?}");
        }
        engine.delete(&name).await.unwrap();
    }
}

#[tokio::test]
#[ignore = "needs OpenSearch: ./dev test"]
async fn the_twin_does_what_the_engine_does() {
    let (memory, engine, mut made) = (Memory::default(), opensearch().await, Made::up());
    let name = Indices::new().name("twin");
    memory.create(&name, &body()).await.unwrap();
    engine.create(&name, &body()).await.unwrap();
    for _ in 0..150 {
        let lines = made.one(&proptest::collection::vec(operation(), 0..6));
        let (known, real) = (versions(&memory, &name).await, versions(&engine, &name).await);
        let twin: Vec<_> = lines.iter().map(|of| line(of.clone(), &known)).collect();
        let lines: Vec<_> = lines.into_iter().map(|of| line(of, &real)).collect();
        let expected = engine.bulk(&name, &lines).await.unwrap();
        assert_eq!(memory.bulk(&name, &twin).await.unwrap(), expected, "{lines:?}");
    }
    engine.delete(&name).await.unwrap();
}
