use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use url::Url;
use uuid::Uuid;

use super::{ServerError, admin};

/// A database of one's own. Dropped, it is gone, whoever is still connected to it.
#[derive(Debug)]
pub struct FreshDatabase {
    server: Url,
    url: Url,
    name: String,
}

impl FreshDatabase {
    pub(super) async fn create(server: &str) -> Result<Self, ServerError> {
        let problem = |what| move |source| ServerError::Postgres { what, source };
        let no_url = |error: url::ParseError| sqlx::Error::Configuration(error.into());
        let server = Url::parse(server).map_err(no_url).map_err(problem("be found"))?;
        let name = format!("test_{}", Uuid::new_v4().simple());
        let mut url = server.clone();
        url.set_path(&name);
        let mut connection = PgConnection::connect(server.as_str()).await.map_err(problem("be reached"))?;
        // template0: nobody is ever connected to it, so tests may do this at the same time
        let create = AssertSqlSafe(format!("CREATE DATABASE {name} TEMPLATE template0"));
        sqlx::raw_sql(create).execute(&mut connection).await.map_err(problem("make a database"))?;
        connection.close().await.map_err(problem("end a connection"))?;
        Ok(Self { server, url, name })
    }

    /// Its address, `postgres://user:password@host:port/name`.
    #[must_use]
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Its address as the JVM writes it, `jdbc:postgresql://host:port/name?user=…&password=…`.
    #[must_use]
    pub fn jdbc_url(&self) -> String {
        let mut url = self.url.clone();
        url.query_pairs_mut().append_pair("user", &decoded(self.url.username()));
        if let Some(password) = self.url.password() {
            url.query_pairs_mut().append_pair("password", &decoded(password));
        }
        let port = url.port().unwrap_or(5432);
        let host = url.host_str().unwrap_or("localhost");
        format!("jdbc:postgresql://{host}:{port}/{}?{}", self.name, url.query().unwrap_or_default())
    }
}

/// User and password in a URL are percent-encoded; `+` is itself there, unlike in a form.
fn decoded(text: &str) -> String {
    let form = format!("x={}", text.replace('+', "%2B"));
    url::form_urlencoded::parse(form.as_bytes()).next().map_or_else(String::new, |(_, value)| value.into_owned())
}

impl Drop for FreshDatabase {
    fn drop(&mut self) {
        let (server, name) = (&self.server, &self.name);
        admin::finish(|| async move {
            if let Ok(mut connection) = PgConnection::connect(server.as_str()).await {
                let remove = AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
                sqlx::raw_sql(remove).execute(&mut connection).await.ok();
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jdbc_url_has_user_and_password_as_parameters() {
        let server = Url::parse("postgres://a+b:p%40s%20s@127.0.0.1:15432/postgres?sslmode=disable").unwrap();
        let mut url = server.clone();
        url.set_path("test_1");
        let database = FreshDatabase { server, url, name: "test_1".to_owned() };
        let expected = "jdbc:postgresql://127.0.0.1:15432/test_1?sslmode=disable&user=a%2Bb&password=p%40s+s";
        assert_eq!(database.jdbc_url(), expected);
        std::mem::forget(database); // it never existed
    }
}
