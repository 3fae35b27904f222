//! Settings that do not do. Needs no server.

use std::time::Duration;

use testkit::process::Process;

#[tokio::test]
async fn wrong_settings_are_all_named_and_exit_78() {
    const CANARY: &str = "canary";
    let given = [
        ("DB_JDBC_URL", "jdbc:oracle:canary"),
        ("KAFKA_BROKERS", "canary"),
        ("AMT_TOPIC", "canary-topic"), // nothing is wrong with this one
        ("AMT_ARENA_ORDS_PROXY_URL", "canary"),
        ("AZURE_APP_JWK", "{\"canary\": 1}"),
        ("ARENA_ACL_MAX_ATTEMPTS", "canary"),
        ("ARENA_ACL_REDELIVERY", "canary"),
        ("ARENA_ACL_CANARY", "canary"), // no such setting
        ("KAFKA_CERTIFICATE_PATH", "/canary"),
        ("MIGRATE_ON_START", ""), // counts as not set
    ];
    let mut process = Process::start(env!("CARGO_BIN_EXE_arena-acl"), given, ["serve"]).unwrap();
    assert_eq!(process.wait_end(Duration::from_secs(10)).await.unwrap().code(), Some(78));
    tokio::time::sleep(Duration::from_millis(100)).await; // its last line is read on another thread
    let said = [process.output(), process.errors()].concat().join("\n");
    let named = [
        "DB_JDBC_URL",
        "KAFKA_BROKERS",
        "AMT_ARENA_ORDS_PROXY_URL",
        "AMT_ARENA_ORDS_PROXY_SCOPE",
        "MULIGHETSROMMET_API_URL",
        "MULIGHETSROMMET_API_SCOPE",
        "AZURE_APP_CLIENT_ID",
        "AZURE_APP_JWK",
        "AZURE_OPENID_CONFIG_TOKEN_ENDPOINT",
        "AZURE_APP_WELL_KNOWN_URL",
        "ARENA_TILTAKGJENNOMFORING_TOPIC",
        "ARENA_TILTAK_DELTAKER_TOPIC",
        "AMT_ENKELTPLASS_TOPIC",
        "ARENA_ACL_MAX_ATTEMPTS",
        "ARENA_ACL_REDELIVERY",
        "ARENA_ACL_CANARY",
        "KAFKA_PRIVATE_KEY_PATH",
    ];
    for name in named {
        assert!(said.contains(name), "{name} is not named:\n{said}");
    }
    for name in ["AMT_TOPIC", "MIGRATE_ON_START"] {
        assert!(!said.contains(name), "nothing is wrong with {name}:\n{said}");
    }
    assert!(!said.contains(CANARY), "a value is shown:\n{said}");
}
