//! How MongoDB is reached (chapter 8).

use std::{num::NonZeroU32, time::Duration};

use chassis::settings::{Setting, Slot, Table};
use mongodb::{
    error::Result,
    options::{ClientOptions, ReadPreference, SelectionCriteria},
};
use secrecy::{ExposeSecret as _, SecretString};
use url::form_urlencoded::byte_serialize;

const CONNECT: Duration = Duration::from_secs(2);
/// So long a call waits for a server that can take it.
const SELECT: Duration = Duration::from_secs(5);

/// The settings of MongoDB.
#[derive(Debug, Clone)]
pub struct Settings {
    uri: SecretString,
    /// The database of the other teams' collections.
    pub database: String,
    /// The database of what the service itself remembers.
    pub run_store: String,
    /// How many documents the server gives at once.
    pub batch_size: NonZeroU32,
    /// How many collections are read at once.
    pub concurrent_reads: NonZeroU32,
    /// Which servers other teams' collections are read from.
    pub read_preference: Preference,
}

/// Which servers are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preference {
    /// The primary alone.
    Primary,
    /// The primary where there is one.
    PrimaryPreferred,
    /// A secondary alone.
    Secondary,
    /// A secondary where there is one.
    SecondaryPreferred,
    /// Whichever is nearest.
    Nearest,
}

impl Setting for Preference {
    const EXPECTS: &'static str = "primary, primaryPreferred, secondary, secondaryPreferred or nearest";

    fn parse(text: &str) -> Option<Self> {
        match text {
            "primary" => Some(Self::Primary),
            "primaryPreferred" => Some(Self::PrimaryPreferred),
            "secondary" => Some(Self::Secondary),
            "secondaryPreferred" => Some(Self::SecondaryPreferred),
            "nearest" => Some(Self::Nearest),
            _ => None,
        }
    }
}

impl Preference {
    pub(super) fn criteria(self) -> SelectionCriteria {
        let options = None;
        SelectionCriteria::ReadPreference(match self {
            Self::Primary => ReadPreference::Primary,
            Self::PrimaryPreferred => ReadPreference::PrimaryPreferred { options },
            Self::Secondary => ReadPreference::Secondary { options },
            Self::SecondaryPreferred => ReadPreference::SecondaryPreferred { options },
            Self::Nearest => ReadPreference::Nearest { options },
        })
    }
}

impl Settings {
    /// Declares them.
    pub fn declare(table: &mut Table) -> Slot<Self> {
        let uri = table.secret("MONGODB_URI", "MongoDB as a connection string; absent: of the following").optional();
        let host = table.value::<String>("MONGODB_HOST", "host of MongoDB").or("localhost");
        let port = table.value::<u16>("MONGODB_PORT", "its port").or("27017");
        let username = table.value::<String>("MONGODB_USERNAME", "the login at MongoDB").or("root");
        let password = table.secret("MONGODB_PASSWORD", "its password").or("password");
        let params = table
            .value::<String>("MONGODB_PARAMS", "options of the connection string")
            .or("authSource=admin&authMechanism=SCRAM-SHA-1");
        let database = table.value::<String>("MONGODB_DATABASE", "database of the sources").or("revalidation");
        let run_store = table
            .value::<String>(
                "REVAL_SYNC_RUN_STORE_DATABASE",
                "database of runs, logs and dead letters; absent: that of the sources",
            )
            .optional();
        let batch_size = table.value("REVAL_SYNC_MONGO_BATCH_SIZE", "documents that MongoDB gives at once").or("2000");
        let concurrent_reads =
            table.value("REVAL_SYNC_MONGO_MAX_CONCURRENT_READS", "collections that are read at once").or("2");
        let read_preference = table
            .value("REVAL_SYNC_MONGO_READ_PREFERENCE", "which servers the sources are read from")
            .or("secondaryPreferred");
        table.all(|ok| {
            let parts = Parts {
                host: ok.take(host),
                port: ok.take(port),
                username: ok.take(username),
                password: ok.take(password),
                params: ok.take(params),
            };
            let database: String = ok.take(database);
            Self {
                uri: ok.take(uri).unwrap_or_else(|| parts.uri()),
                run_store: ok.take(run_store).unwrap_or_else(|| database.clone()),
                database,
                batch_size: ok.take(batch_size),
                concurrent_reads: ok.take(concurrent_reads),
                read_preference: ok.take(read_preference),
            }
        })
    }

    pub(super) async fn options(&self) -> Result<ClientOptions> {
        let mut options = ClientOptions::parse(self.uri.expose_secret()).await?;
        options.app_name = Some("reval-sync".to_owned());
        // DocumentDB has no retried writes; whoever calls knows whether the same may be tried again
        options.retry_writes = Some(false);
        options.connect_timeout = Some(CONNECT);
        options.server_selection_timeout = Some(SELECT);
        Ok(options)
    }
}

struct Parts {
    host: String,
    port: u16,
    username: String,
    password: SecretString,
    params: String,
}

impl Parts {
    fn uri(&self) -> SecretString {
        let Self { host, port, username, password, params } = self;
        let (username, password) = (encoded(username), encoded(password.expose_secret()));
        SecretString::from(format!("mongodb://{username}:{password}@{host}:{port}/?{params}"))
    }
}

/// As a part of a URL; a blank there is `%20`.
fn encoded(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use chassis::settings;

    use super::*;

    #[tokio::test]
    async fn the_connection_string_wins_over_its_parts() {
        let parts = [("MONGODB_HOST", "db"), ("MONGODB_USERNAME", "a b"), ("MONGODB_PASSWORD", "p@:+/?%")];
        let read = settings::read(parts, Settings::declare).unwrap();
        let options = read.options().await.unwrap();
        let credential = options.credential.unwrap();
        assert_eq!((credential.username.as_deref(), credential.password.as_deref()), (Some("a b"), Some("p@:+/?%")));
        assert_eq!(options.hosts[0].to_string(), "db:27017");
        assert_eq!(options.retry_writes, Some(false));
        assert_eq!((read.database.as_str(), read.run_store.as_str()), ("revalidation", "revalidation"));

        let more = parts
            .into_iter()
            .chain([("MONGODB_URI", "mongodb://other:1/?retryWrites=true"), ("REVAL_SYNC_RUN_STORE_DATABASE", "runs")]);
        let read = settings::read(more, Settings::declare).unwrap();
        let options = read.options().await.unwrap();
        assert_eq!((options.hosts[0].to_string().as_str(), options.credential), ("other:1", None));
        assert_eq!((options.retry_writes, read.run_store.as_str()), (Some(false), "runs"));
        assert!(!format!("{read:?}").contains("other"));
    }
}
