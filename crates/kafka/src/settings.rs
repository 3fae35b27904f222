//! How the brokers are reached, and the settings of librdkafka that are the same for every client.

use std::{fmt, net::Ipv6Addr, num::NonZeroUsize, path::PathBuf, time::Duration};

use chassis::settings::{Setting, Slot, Table};
use rdkafka::{ClientConfig, config::RDKafkaLogLevel};

/// The settings of Kafka that are the same in every service. Topics and the names of groups and clients are the service's own.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The brokers to ask first.
    pub brokers: Vec<Address>,
    /// The files of TLS; without them connections are plain text.
    pub tls: Option<Tls>,
    /// The name of this member of its groups, if membership is static.
    pub group_instance_id: Option<String>,
    /// After this long without a sign of life the group goes on without us.
    pub session_timeout: Duration,
    /// The longest that a rebalance waits for a member.
    pub max_poll_interval: Duration,
    /// The bytes of messages held before intake is paused.
    pub budget_bytes: NonZeroUsize,
}

/// PEM files given by the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Our certificate.
    pub certificate: PathBuf,
    /// Its private key.
    pub private_key: PathBuf,
    /// The authority that the brokers' certificates are checked against.
    pub ca: PathBuf,
}

impl Settings {
    /// Declares them.
    pub fn declare(table: &mut Table) -> Slot<Self> {
        let brokers = table.list("KAFKA_BROKERS", "Kafka brokers, `host:port`, separated by commas").required();
        let certificate = table
            .value::<PathBuf>("KAFKA_CERTIFICATE_PATH", "PEM file of the client certificate; absent: plain text")
            .optional();
        let private_key =
            table.value::<PathBuf>("KAFKA_PRIVATE_KEY_PATH", "PEM file of the client's private key").optional();
        let ca = table
            .value::<PathBuf>("KAFKA_CA_PATH", "PEM file of the authority that signs the brokers' certificates")
            .optional();
        table.rule(
            certificate.get().zip(private_key.get()).zip(ca.get()),
            |((certificate, private_key), ca)| {
                certificate.is_some() == private_key.is_some() && private_key.is_some() == ca.is_some()
            },
            "KAFKA_CERTIFICATE_PATH, KAFKA_PRIVATE_KEY_PATH and KAFKA_CA_PATH are given all three or not at all",
        );
        let group_instance_id = table
            .value("KAFKA_GROUP_INSTANCE_ID", "name of this member, for static membership; absent: dynamic")
            .optional();
        let session_timeout = table
            .seconds("KAFKA_SESSION_TIMEOUT_SECONDS", "silence after which the group goes on without this member")
            .or("10");
        let max_poll_interval = table
            .seconds("KAFKA_MAX_POLL_INTERVAL_SECONDS", "longest time that a rebalance waits for a member")
            .or("750");
        table.rule(
            session_timeout.get().zip(max_poll_interval.get()),
            |(session, poll)| !session.is_zero() && session < poll && poll.as_secs() <= 86_400,
            "KAFKA_SESSION_TIMEOUT_SECONDS is above 0 and below KAFKA_MAX_POLL_INTERVAL_SECONDS, which is at most 86400",
        );
        let budget_bytes = table
            .value(
                "KAFKA_BUDGET_BYTES",
                "bytes of messages held, as sent and as read, before intake is paused; it resumes at half",
            )
            .or("4194304");
        table.all(|ok| Self {
            brokers: ok.take(brokers),
            tls: tls(ok.take(certificate), ok.take(private_key), ok.take(ca)),
            group_instance_id: ok.take(group_instance_id),
            session_timeout: ok.take(session_timeout),
            max_poll_interval: ok.take(max_poll_interval),
            budget_bytes: ok.take(budget_bytes),
        })
    }

    /// What every client says to librdkafka.
    pub(crate) fn client(&self, client_id: &str) -> ClientConfig {
        let brokers: Vec<String> = self.brokers.iter().map(Address::to_string).collect();
        let mut config = ClientConfig::new();
        config
            .set_log_level(RDKafkaLogLevel::Info)
            .set("bootstrap.servers", brokers.join(","))
            .set("client.id", client_id)
            // A silent broker is noticed by its requests; the default is a minute.
            .set("socket.timeout.ms", "10000")
            .set("socket.keepalive.enable", "true")
            // A broker that is back is found again within seconds; the default pause grows to 10 s.
            .set("reconnect.backoff.max.ms", "2000");
        if let Some(tls) = &self.tls {
            config
                .set("security.protocol", "ssl")
                .set("enable.ssl.certificate.verification", "true")
                .set("ssl.endpoint.identification.algorithm", "https")
                .set("ssl.certificate.location", tls.certificate.to_string_lossy())
                .set("ssl.key.location", tls.private_key.to_string_lossy())
                .set("ssl.ca.location", tls.ca.to_string_lossy());
        }
        config
    }
}

fn tls(certificate: Option<PathBuf>, private_key: Option<PathBuf>, ca: Option<PathBuf>) -> Option<Tls> {
    Some(Tls { certificate: certificate?, private_key: private_key?, ca: ca? })
}

/// The address of a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Setting for Address {
    const EXPECTS: &'static str = "host:port";

    fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.trim().rsplit_once(':')?;
        let port = port.parse().ok().filter(|port| *port > 0)?;
        let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let valid = match bracketed {
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            // A protocol (`SSL://…`) or a bare IPv6 address has a colon left.
            None => {
                !host.is_empty() && !host.contains([':', '/', ',', '[', ']']) && !host.contains(char::is_whitespace)
            }
        };
        valid.then(|| Self { host: host.to_owned(), port })
    }
}

#[cfg(test)]
mod tests {
    use chassis::settings;

    use super::*;

    const BROKERS: (&str, &str) = ("KAFKA_BROKERS", "one:9092, [::1]:9093");

    #[test]
    fn the_brokers_are_enough() {
        let settings = settings::read([BROKERS], Settings::declare).unwrap();
        let brokers: Vec<_> = settings.brokers.iter().map(Address::to_string).collect();
        assert_eq!(brokers, ["one:9092", "[::1]:9093"]);
        assert_eq!((settings.tls.is_none(), settings.group_instance_id.is_none()), (true, true));
        assert_eq!((settings.session_timeout.as_secs(), settings.max_poll_interval.as_secs()), (10, 750));
        assert_eq!(settings.budget_bytes.get(), 4 * 1024 * 1024);
        let config = settings.client("x");
        assert_eq!(config.get("bootstrap.servers"), Some("one:9092,[::1]:9093"));
        assert_eq!(config.get("security.protocol"), None);
    }

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for refused in
            ["one", "one:", ":9092", "one:0", "one:65536", "SSL://one:9092", "::1:9092", "[]:1", "o ne:1", ""]
        {
            assert_eq!(Address::parse(refused), None, "{refused}");
        }
    }

    #[test]
    fn the_files_of_tls_come_together() {
        let all = [("KAFKA_CERTIFICATE_PATH", "/c"), ("KAFKA_PRIVATE_KEY_PATH", "/k"), ("KAFKA_CA_PATH", "/ca")];
        let config = settings::read(all.into_iter().chain([BROKERS]), Settings::declare).unwrap().client("x");
        assert_eq!(config.get("security.protocol"), Some("ssl"));
        assert_eq!(config.get("enable.ssl.certificate.verification"), Some("true"));
        for given in [&all[..1], &all[..2], &all[1..]] {
            let problems =
                settings::read(given.iter().copied().chain([BROKERS]), Settings::declare).unwrap_err().to_string();
            assert!(problems.contains("all three or not at all") && !problems.contains("/k"), "{problems}");
        }
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let pairs = [("KAFKA_SESSION_TIMEOUT_SECONDS", "900"), ("KAFKA_BUDGET_BYTES", "0")];
        let problems = settings::read(pairs, Settings::declare).unwrap_err().to_string();
        for name in ["KAFKA_BROKERS", "KAFKA_SESSION_TIMEOUT_SECONDS", "KAFKA_BUDGET_BYTES"] {
            assert!(problems.contains(name), "{problems}");
        }
    }
}
