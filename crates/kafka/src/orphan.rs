//! A client of librdkafka that has forgotten every broker.
//!
//! A broker that is just back, and not yet back among its peers, answers that there are no brokers. librdkafka 2.12 then drops all that it
//! knows, those of its settings too, and connects to nobody ever again. Such a client has to be replaced.

use std::sync::atomic::{AtomicU32, Ordering};

use rdkafka::Statistics;

/// One set of statistics may fall between dropping brokers and finding others.
const IN_A_ROW: u32 = 2;

/// Whether the client that the statistics come from is one.
#[derive(Debug, Default)]
pub(crate) struct Orphan(AtomicU32);

impl Orphan {
    pub(crate) fn look(&self, statistics: &Statistics) {
        // Others stand for the group's coordinator, or for librdkafka itself.
        let known =
            statistics.brokers.values().any(|broker| matches!(broker.source.as_str(), "configured" | "learned"));
        if known {
            self.0.store(0, Ordering::Release);
        } else {
            self.0.fetch_add(1, Ordering::AcqRel);
        }
    }

    pub(crate) fn is_certain(&self) -> bool {
        self.0.load(Ordering::Acquire) >= IN_A_ROW
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::statistics::Broker;

    use super::*;

    fn statistics(sources: &[&str]) -> Statistics {
        let broker =
            |source: &&str| ((*source).to_owned(), Broker { source: (*source).to_owned(), ..Broker::default() });
        Statistics { brokers: sources.iter().map(broker).collect(), ..Statistics::default() }
    }

    #[test]
    fn a_client_without_brokers_is_known_by_its_second_statistics() {
        let orphan = Orphan::default();
        orphan.look(&statistics(&["configured", "logical"]));
        orphan.look(&statistics(&["logical", "internal"]));
        assert!(!orphan.is_certain());
        orphan.look(&statistics(&["learned", "logical"]));
        orphan.look(&statistics(&["logical"]));
        assert!(!orphan.is_certain(), "it found others in between");
        orphan.look(&statistics(&[]));
        assert!(orphan.is_certain());
    }
}
