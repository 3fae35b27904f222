//! The order inside a page.

use std::collections::HashMap;

use domain::arena_acl::Lock;

use crate::inbox::Item;

/// `items` in runs of which none has an object twice, in order: a chain of messages of one participant drains in one
/// run, each link in a transaction after the one before it.
pub(super) fn waves(items: Vec<Item>) -> Vec<Vec<Item>> {
    let mut waves: Vec<Vec<Item>> = Vec::new();
    let mut depth: HashMap<Lock, usize> = HashMap::new();
    for item in items {
        let own: Vec<Lock> =
            item.change.locks().into_iter().filter(|lock| !matches!(lock, Lock::CourseShared(_))).collect();
        // one wave after the last that has any of its objects
        let place = own.iter().filter_map(|lock| depth.get(lock).map(|wave| wave + 1)).max().unwrap_or(0);
        for lock in &own {
            depth.insert(*lock, place);
        }
        if place == waves.len() {
            waves.push(Vec::new());
        }
        if let Some(wave) = waves.get_mut(place) {
            wave.push(item);
        }
    }
    waves
}
