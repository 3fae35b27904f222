//! Changes in groups that can be handled together.

use std::collections::HashMap;

use domain::arena_acl::Lock;

use crate::inbox::Item;

/// `all` in runs of which none has an object twice, in order: a chain of messages of one participant drains in one
/// pass, each link in a transaction after the one before it.
pub(crate) fn waves<T>(all: Vec<T>, item: impl Fn(&T) -> &Item) -> Vec<Vec<T>> {
    let mut waves: Vec<Vec<T>> = Vec::new();
    let mut depth: HashMap<Lock, usize> = HashMap::new();
    for one in all {
        let own: Vec<Lock> =
            item(&one).change.locks().into_iter().filter(|lock| !matches!(lock, Lock::CourseShared(_))).collect();
        // one wave after the last that has any of its objects
        let place = own.iter().filter_map(|lock| depth.get(lock).map(|wave| wave + 1)).max().unwrap_or(0);
        for lock in &own {
            depth.insert(*lock, place);
        }
        if place == waves.len() {
            waves.push(Vec::new());
        }
        if let Some(wave) = waves.get_mut(place) {
            wave.push(one);
        }
    }
    waves
}
