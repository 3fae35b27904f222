//! The published vectors are all here (docs/spec/arena-acl/README.md section 1); `tests/conformance` plays them.

use std::{fs, path::Path};

use serde_json::Value;

/// The cases of the files of one kind.
fn published(kind: &str, member: &str) -> Vec<Value> {
    let mut found = Vec::new();
    for file in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")).unwrap() {
        let json: Value = serde_json::from_slice(&fs::read(file.unwrap().path()).unwrap()).unwrap();
        if json["kind"] == kind {
            found.extend(json[member].as_array().unwrap().iter().cloned());
        }
    }
    found
}

#[test]
fn every_published_case_is_here() {
    let scenarios = published("scenario", "cases");
    let improved = scenarios.iter().filter(|case| case["profile"] == "improved").count();
    assert_eq!((scenarios.len(), improved, published("table", "rows").len()), (111, 18, 127));
}
