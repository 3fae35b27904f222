//! What the driver says, in our words.

use std::error::Error as _;

use domain::delivery::Class;
use sqlx::{
    Error,
    migrate::MigrateError,
    postgres::{PgDatabaseError, PgErrorPosition},
};

use crate::inbox::StoreError;

/// Turns what the driver says while `what` is tried into our error.
pub(super) fn during(what: &'static str) -> impl Fn(Error) -> StoreError {
    move |error| StoreError {
        what: format!("{what}: {}", said(&error)),
        class: class_of(&error),
        outage: is_outage(&error),
    }
}

/// The same for migrations. Files that do not fit what was applied before lie in the service.
pub(super) fn during_migration(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) => during("migrating")(error),
        MigrateError::ExecuteMigration(error, version) => {
            let StoreError { what, class, outage } = during("migrating")(error);
            StoreError { what: format!("{what} (migration {version})"), class, outage }
        }
        // these name versions, never data
        other => StoreError { what: format!("migrating: {other}"), class: Class::Fatal, outage: false },
    }
}

/// A stored value that this version of the service does not know.
pub(super) fn unknown(what: &'static str, column: &'static str) -> StoreError {
    StoreError {
        what: format!("{what}: {column} holds a value that is not known"),
        class: Class::Transient { after: None },
        outage: false,
    }
}

/// The database did not answer in time.
pub(super) fn silent() -> StoreError {
    StoreError {
        what: "the database has not answered in time".to_owned(),
        class: Class::Transient { after: None },
        outage: true,
    }
}

fn class_of(error: &Error) -> Class {
    let Error::Database(refusal) = error else { return Class::Transient { after: None } }; // I/O, pool, the unknown
    match refusal.code().as_deref().and_then(|code| code.get(..2)) {
        Some("28" | "3D" | "42") => Class::Fatal, // login, database, grants and schema
        Some("22" | "23" | "54") => Class::Permanent("refused_by_store"), // this row's data
        _ => Class::Transient { after: None },
    }
}

fn is_outage(error: &Error) -> bool {
    match error {
        Error::Io(_) | Error::Tls(_) | Error::PoolTimedOut | Error::PoolClosed | Error::WorkerCrashed => true,
        Error::Database(refusal) => refusal.code().is_some_and(|code| match &*code {
            "53200" | "57014" => false, // one statement wanted too much, or took too long
            code => ["08", "53", "57"].iter().any(|class| code.starts_with(class)),
        }),
        _ => false,
    }
}

/// The error without what it may quote: the texts of the database hold rows, those of the decoder values.
fn said(error: &Error) -> String {
    match error {
        Error::Database(refusal) => {
            let mut text = format!("SQLSTATE {}", refusal.code().as_deref().unwrap_or("unknown"));
            if let Some(constraint) = refusal.constraint() {
                text.push_str(", constraint ");
                text.push_str(constraint);
            }
            if let Some(PgErrorPosition::Original(at)) =
                refusal.try_downcast_ref::<PgDatabaseError>().and_then(PgDatabaseError::position)
            {
                text.push_str(&format!(", at character {at} of the statement"));
            }
            text
        }
        Error::Io(error) => match error.source() {
            Some(_) => format!("input or output failed ({})", error.kind()),
            None => error.kind().to_string(),
        },
        Error::Tls(_) => "no TLS connection could be had".to_owned(),
        Error::PoolTimedOut => "no connection became free in time".to_owned(),
        Error::PoolClosed => "the pool is closed".to_owned(),
        Error::ColumnDecode { index, .. } => format!("column {index} cannot be read"),
        Error::Protocol(_) => "the connection is out of step".to_owned(),
        Error::Configuration(_) => "the connection is not configured well".to_owned(),
        _ => "the driver failed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::{borrow::Cow, error, fmt, io};

    use sqlx::error::{DatabaseError, ErrorKind};

    use super::*;

    #[derive(Debug)]
    struct Refusal(&'static str);

    impl fmt::Display for Refusal {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Key (arena_id)=(canary) already exists")
        }
    }

    impl error::Error for Refusal {}

    impl DatabaseError for Refusal {
        fn message(&self) -> &str {
            "canary"
        }
        fn code(&self) -> Option<Cow<'_, str>> {
            Some(self.0.into())
        }
        fn constraint(&self) -> Option<&str> {
            Some("deltaker_pkey")
        }
        fn as_error(&self) -> &(dyn error::Error + Send + Sync + 'static) {
            self
        }
        fn as_error_mut(&mut self) -> &mut (dyn error::Error + Send + Sync + 'static) {
            self
        }
        fn into_error(self: Box<Self>) -> Box<dyn error::Error + Send + Sync + 'static> {
            self
        }
        fn kind(&self) -> ErrorKind {
            ErrorKind::Other
        }
    }

    fn refused(code: &'static str) -> StoreError {
        during("writing")(Error::Database(Box::new(Refusal(code))))
    }

    #[test]
    fn every_sqlstate_lies_where_the_architecture_says() {
        const AGAIN: Class = Class::Transient { after: None };
        const DATA: Class = Class::Permanent("refused_by_store");
        for (code, class, outage) in [
            ("08006", AGAIN, true),
            ("53300", AGAIN, true),
            ("53200", AGAIN, false),
            ("57P01", AGAIN, true),
            ("57014", AGAIN, false),
            ("40P01", AGAIN, false),
            ("40001", AGAIN, false),
            ("25P03", AGAIN, false),
            ("XX000", AGAIN, false),
            ("22P05", DATA, false),
            ("23505", DATA, false),
            ("54000", DATA, false),
            ("28P01", Class::Fatal, false),
            ("3D000", Class::Fatal, false),
            ("42P01", Class::Fatal, false),
        ] {
            let error = refused(code);
            assert_eq!((error.class, error.outage), (class, outage), "{code}");
        }
    }

    #[test]
    fn a_lost_connection_is_an_outage() {
        let lost = Error::Io(io::Error::new(io::ErrorKind::ConnectionReset, "canary"));
        for error in [lost, Error::PoolTimedOut] {
            let error = during("reading")(error);
            assert!(error.outage && error.class == Class::Transient { after: None } && !error.what.contains("canary"));
        }
    }

    #[test]
    fn an_error_names_code_and_constraint_and_quotes_no_row() {
        assert_eq!(refused("23505").to_string(), "writing: SQLSTATE 23505, constraint deltaker_pkey");
    }
}
