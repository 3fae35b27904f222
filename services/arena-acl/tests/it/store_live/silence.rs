use std::{net::Ipv4Addr, time::Duration};

use arena_acl::{
    inbox::Inbox as _,
    postgres::{self, Postgres},
};
use chassis::settings;
use domain::arena_acl::IngestStatus;
use testkit::proxy::Proxy;
use tokio::time::{Instant, timeout};
use url::Url;

use crate::store::{Live, at, marked, participant, write};

#[tokio::test]
#[ignore = "needs Postgres: ./dev test"]
async fn a_link_that_dies_without_a_word_is_an_outage_and_the_next_batch_has_a_new_one() {
    let database = testkit::servers::postgres().await;
    let live = Live::over(&database).await;
    let port = Url::parse(database.url()).unwrap().port().unwrap();
    let proxy = Proxy::start((Ipv4Addr::LOCALHOST, port).into()).unwrap();
    let address = database.jdbc_url().replace(&format!(":{port}/"), &format!(":{}/", proxy.port()));
    let store = Postgres::new(&settings::read([("DB_JDBC_URL", address)], postgres::Settings::declare).unwrap());
    let change = participant(70001, "1");

    let begin = Instant::now();
    let lost = store.apply(std::slice::from_ref(&change), at(8), |_, _| {
        proxy.blackhole(); // between the locks and the first write
        write(marked(IngestStatus::Retry))
    });
    let error = timeout(Duration::from_secs(60), lost).await.unwrap().unwrap_err();
    assert!(error.outage, "{error}");
    assert!(begin.elapsed() >= Duration::from_secs(25), "a slow answer is waited for");

    proxy.restore();
    let kept = store.apply(std::slice::from_ref(&change), at(8), |_, _| write(marked(IngestStatus::Retry)));
    timeout(Duration::from_secs(30), kept).await.unwrap().unwrap();
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM arena_data").fetch_one(&live.reader).await.unwrap();
    assert_eq!(rows, 1);
}
