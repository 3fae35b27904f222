//! What the admin listener says in numbers.

use testkit::http1;

/// One scrape of `/metrics`.
pub(crate) struct Metrics(String);

impl Metrics {
    pub(crate) async fn of(admin: &str) -> Self {
        let (status, body) = http1::call("GET", &format!("{admin}/metrics"), "").await.unwrap();
        assert_eq!(status, 200);
        Self(String::from_utf8(body).unwrap())
    }

    /// The sum of a metric over all its series that have these labels; 0 when there is none.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let wanted: Vec<String> = labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        self.0
            .lines()
            .filter_map(|line| {
                let (series, value) = line.rsplit_once(' ')?;
                let (found, labels) = series.trim_end_matches('}').split_once('{')?;
                let labels: Vec<&str> = labels.split(',').collect();
                (found == name && wanted.iter().all(|label| labels.contains(&label.as_str())))
                    .then(|| value.parse::<u64>().unwrap())
            })
            .sum()
    }

    pub(crate) fn received(&self, source: &str) -> u64 {
        self.sum("truecopy_messages_received_total", &[("source", source)])
    }

    pub(crate) fn settled(&self, source: &str, outcome: &str) -> u64 {
        self.sum("truecopy_messages_settled_total", &[("source", source), ("outcome", outcome)])
    }

    /// That every delivery is accounted for (docs/reliability.md section 6).
    pub(crate) fn assert_balance(&self, source: &str) {
        let settled: u64 = ["applied", "ignored", "waiting", "dead_lettered", "returned"]
            .iter()
            .map(|outcome| self.settled(source, outcome))
            .sum();
        let in_flight = self.sum("truecopy_messages_in_flight", &[("source", source)]);
        assert_eq!(self.received(source), settled + in_flight, "{source}");
    }
}
