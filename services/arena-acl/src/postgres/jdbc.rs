//! The database as the deployment names it: a JDBC URL (docs/spec/arena-acl.md section 9).

use std::path::Path;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::Url;

/// What is wrong with a JDBC URL: the part, never its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JdbcError {
    Form,
    Authority,
    Host,
    Database,
    User,
    SslMode,
    Identity,
    File,
}

impl JdbcError {
    /// The problem as the settings report it.
    pub(super) fn text(&self) -> &'static str {
        match self {
            Self::Form => "DB_JDBC_URL is not a URL of the form jdbc:postgresql://host:port/database?user=…&password=…",
            Self::Authority => {
                "DB_JDBC_URL has credentials before its host: they belong into the parameters user and password"
            }
            Self::Host => "DB_JDBC_URL does not name one host",
            Self::Database => "DB_JDBC_URL names no database",
            Self::User => "DB_JDBC_URL has no parameter user",
            Self::SslMode => {
                "DB_JDBC_URL has an sslmode that is none of disable, allow, prefer, require, verify-ca, verify-full"
            }
            Self::Identity => "DB_JDBC_URL has only one of the parameters sslcert and sslkey",
            Self::File => "DB_JDBC_URL names in sslrootcert, sslcert or sslkey a file that cannot be read",
        }
    }
}

/// The connection that `text` describes. Certificates and key are read now, so a missing file is found at the start.
///
/// Parameters: `user`, `password`, `sslmode` (default `prefer`), `ssl`, `sslrootcert`, `sslcert`, `sslkey` (PEM, or DER in
/// PKCS#8 form without password), `ApplicationName`, `currentSchema` (the search path). Others steer the Java driver and are ignored.
///
/// # Errors
/// The first part that is wrong.
pub(super) fn read(text: &str) -> Result<PgConnectOptions, JdbcError> {
    let url = text.strip_prefix("jdbc:").filter(|rest| rest.starts_with("postgresql://")).ok_or(JdbcError::Form)?;
    // several hosts are separated by a comma, which a URL of one host does not have
    let authority = url.trim_start_matches("postgresql://").split(['/', '?']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(JdbcError::Authority);
    }
    if authority.contains(',') {
        return Err(JdbcError::Host);
    }
    let url = Url::parse(url).map_err(|_quotes_the_url| JdbcError::Form)?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or(JdbcError::Host)?;
    let database =
        decoded(url.path().trim_start_matches('/')).filter(|name| !name.is_empty()).ok_or(JdbcError::Database)?;
    let mut options = PgConnectOptions::new_without_pgpass()
        .host(host.trim_start_matches('[').trim_end_matches(']'))
        .port(url.port().unwrap_or(5432))
        .database(&database)
        .ssl_mode(PgSslMode::Prefer);
    let parameter = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value);
    options = options.username(&parameter("user").filter(|user| !user.is_empty()).ok_or(JdbcError::User)?);
    if let Some(password) = parameter("password") {
        options = options.password(&password);
    }
    if let Some(name) = parameter("ApplicationName") {
        options = options.application_name(&name);
    }
    if let Some(schema) = parameter("currentSchema").filter(|schema| !schema.is_empty()) {
        options = options.options([("search_path", schema)]);
    }
    match (parameter("sslmode"), parameter("ssl").as_deref()) {
        (Some(mode), _) => options = options.ssl_mode(ssl_mode(&mode)?),
        (None, Some("" | "true")) => options = options.ssl_mode(PgSslMode::VerifyFull),
        (None, _) => {}
    }
    if let Some(path) = parameter("sslrootcert") {
        options = options.ssl_root_cert_from_pem(file(&path)?);
    }
    match (parameter("sslcert"), parameter("sslkey")) {
        (Some(certificate), Some(key)) => {
            options = options.ssl_client_cert_from_pem(file(&certificate)?).ssl_client_key_from_pem(pem(file(&key)?));
        }
        (None, None) => {}
        _ => return Err(JdbcError::Identity),
    }
    Ok(options)
}

fn ssl_mode(text: &str) -> Result<PgSslMode, JdbcError> {
    // in lower case only, as the Java driver: `parse` would accept more
    (text == text.to_lowercase()).then(|| text.parse().ok()).flatten().ok_or(JdbcError::SslMode)
}

fn file(path: &str) -> Result<Vec<u8>, JdbcError> {
    std::fs::read(Path::new(path)).map_err(|_quotes_the_path| JdbcError::File)
}

/// A key as PEM; DER is taken to be PKCS#8, the only form in which the Java driver reads it.
fn pem(key: Vec<u8>) -> Vec<u8> {
    if key.trim_ascii_start().starts_with(b"-----BEGIN") {
        return key;
    }
    let text = STANDARD.encode(key);
    let mut pem = String::from("-----BEGIN PRIVATE KEY-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = more;
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    pem.into_bytes()
}

/// `text` without percent-encoding; a plus stays a plus outside of parameters.
fn decoded(text: &str) -> Option<String> {
    let plus_kept = text.replace('+', "%2B");
    url::form_urlencoded::parse(plus_kept.as_bytes()).next().map(|(name, _)| name.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> JdbcError {
        read(text).map(|_| ()).unwrap_err()
    }

    #[test]
    fn a_url_of_the_deployment_is_understood() {
        let options =
            read("jdbc:postgresql://10.0.0.7:6432/arena-acl?password=a%26b%2Bc+d&user=acl&sslmode=verify-ca").unwrap();
        assert_eq!((options.get_host(), options.get_port()), ("10.0.0.7", 6432));
        assert_eq!((options.get_username(), options.get_database()), ("acl", Some("arena-acl")));
        assert!(matches!(options.get_ssl_mode(), PgSslMode::VerifyCa));
        assert!(format!("{options:?}").contains("a&b+c d"), "the password is decoded as the Java driver does");
    }

    #[test]
    fn what_is_left_out_is_as_the_java_driver_has_it() {
        let options = read("jdbc:postgresql://[::1]/db?user=u&reWriteBatchedInserts=true").unwrap();
        assert_eq!((options.get_host(), options.get_port()), ("::1", 5432));
        assert!(matches!(options.get_ssl_mode(), PgSslMode::Prefer));
        let options = read("jdbc:postgresql://h/db?user=u&ssl=true").unwrap();
        assert!(matches!(options.get_ssl_mode(), PgSslMode::VerifyFull));
    }

    #[test]
    fn a_schema_is_where_names_are_looked_up() {
        let options = read("jdbc:postgresql://h/db?user=u&currentSchema=acl,public").unwrap();
        assert_eq!(options.get_options(), Some("-c search_path=acl,public"));
        assert_eq!(read("jdbc:postgresql://h/db?user=u&currentSchema=").unwrap().get_options(), None);
    }

    #[test]
    fn each_wrong_part_is_named() {
        for (text, error) in [
            ("postgresql://h/db?user=u", JdbcError::Form),
            ("jdbc:mysql://h/db?user=u", JdbcError::Form),
            ("jdbc:postgresql://h:port/db?user=u", JdbcError::Form),
            ("jdbc:postgresql://u:p@h/db?user=u", JdbcError::Authority),
            ("jdbc:postgresql://h1:1,h2:2/db?user=u", JdbcError::Host),
            ("jdbc:postgresql:///db?user=u", JdbcError::Host),
            ("jdbc:postgresql://h/?user=u", JdbcError::Database),
            ("jdbc:postgresql://h/db?password=p", JdbcError::User),
            ("jdbc:postgresql://h/db?user=u&sslmode=sometimes", JdbcError::SslMode),
            ("jdbc:postgresql://h/db?user=u&sslcert=/c", JdbcError::Identity),
            ("jdbc:postgresql://h/db?user=u&sslrootcert=/nowhere/at/all", JdbcError::File),
        ] {
            assert_eq!(refused(text), error, "{text}");
        }
    }

    #[test]
    fn no_refusal_quotes_the_url() {
        for text in [
            "jdbc:postgresql://u:canary@h/db",
            "jdbc:postgresql://h:canary/db",
            "canary",
            "jdbc:postgresql://h/db?sslmode=canary&user=u",
        ] {
            assert!(!refused(text).text().contains("canary"));
        }
    }

    #[test]
    fn a_binary_key_becomes_pem_and_pem_stays() {
        let der: Vec<u8> = (0..100).collect();
        let text = String::from_utf8(pem(der.clone())).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines[0], lines[lines.len() - 1]), ("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"));
        assert!(lines.iter().all(|line| line.len() <= 64));
        assert_eq!(STANDARD.decode(lines[1..lines.len() - 1].concat()).unwrap(), der);
        assert_eq!(pem(text.clone().into_bytes()), text.into_bytes());
    }
}
