//! The page for whoever is on call says what the binary says.

use arena_acl::settings::Settings;
use chassis::settings::{describe, markdown};

const PAGE: &str = include_str!("../../../../docs/operations/arena-acl.md");

#[test]
fn it_has_the_table_of_settings() {
    let table = markdown(&describe(Settings::declare));
    assert!(PAGE.contains(&table), "what `arena-acl settings` prints is not what docs/operations/arena-acl.md says");
}
