//! What was answered lately.

use std::{future::Future, hash::Hash, sync::Arc, time::Duration};

use domain::arena_acl::Unanswered;
use futures::FutureExt as _;
use moka::future::Cache;

/// The most answers of one kind that are remembered; the least used go first.
const CAPACITY: u64 = 10_000;

/// Answers by what was asked, each for `lifetime`. Who asks the same at the same time waits for the same call.
///
/// Only known things are remembered: what is unknown there may be known the next moment, and a failure is of its moment.
/// With a lifetime of 0 nothing is remembered and each call is made.
#[derive(Clone)]
pub(super) struct Recent<K, V>(Option<Cache<K, V>>);

/// What moka is not to keep.
enum NotKept {
    Unknown,
    Unanswered(Unanswered),
}

impl<K, V> Recent<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(super) fn new(lifetime: Duration) -> Self {
        Self((!lifetime.is_zero()).then(|| Cache::builder().max_capacity(CAPACITY).time_to_live(lifetime).build()))
    }

    /// The remembered answer for `key`.
    pub(super) fn known(&self, key: &K) -> Option<V> {
        // the future of a lookup is ready at once: nothing in it waits
        self.0.as_ref()?.get(key).now_or_never().flatten()
    }

    /// The remembered answer for `key`, or that of `ask`.
    pub(super) async fn get(
        &self,
        key: K,
        ask: impl Future<Output = Result<Option<V>, Unanswered>>,
    ) -> Result<Option<V>, Unanswered> {
        let Some(cache) = &self.0 else { return ask.await };
        let asked = async {
            match ask.await {
                Ok(Some(value)) => Ok(value),
                Ok(None) => Err(NotKept::Unknown),
                Err(error) => Err(NotKept::Unanswered(error)),
            }
        };
        cache.try_get_with(key, asked).await.map(Some).or_else(|not_kept: Arc<NotKept>| match &*not_kept {
            NotKept::Unknown => Ok(None),
            NotKept::Unanswered(error) => Err(error.clone()),
        })
    }
}
