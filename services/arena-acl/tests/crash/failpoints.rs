//! Where the process can be killed by name, in the order of a record's way.

use std::{collections::BTreeSet, fs, path::Path};

/// Every failpoint of the binary.
pub(crate) const ALL: &[&str] = &[
    "arena-acl.apply.before-commit",
    "arena-acl.apply.after-commit",
    "arena-acl.quarantine.before-commit",
    "arena-acl.quarantine.after-commit",
    "kafka-settled",
    "kafka-committing",
    "kafka-commit-answered",
    "kafka-committed",
    "arena-acl.publish.before-send",
    "arena-acl.publish.after-send",
    "arena-acl.publish.before-mark",
    "arena-acl.publish.after-mark",
];

/// That [`ALL`] are all: the names in the sources that the binary is made of.
pub(crate) fn assert_complete() {
    let mut named = BTreeSet::new();
    for folder in ["src", "../../crates/chassis/src", "../../crates/kafka/src"] {
        look(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut named);
    }
    let known: BTreeSet<String> = ALL.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(named, known, "failpoints in the sources, and those that are tested");
}

fn look(folder: &Path, named: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            look(&path, named);
        } else {
            let text = fs::read_to_string(path).unwrap();
            let calls = text.split("failpoints::hit(\"").skip(1);
            named.extend(calls.map(|rest| rest.split_once('"').unwrap().0.to_owned()));
        }
    }
}
