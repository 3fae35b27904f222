//! A broker and a Postgres of one's own, by `deploy/local/server`.

use std::{path::Path, process::Command};

use chassis::settings;
use testkit::servers::{self, FreshDatabase, TestTopics};

/// Servers that one run uses at a time: the consumer group has one name on each broker.
pub(crate) struct Stack {
    name: String,
    offset: u16,
    /// Whether it is ours to remove.
    own: bool,
}

impl Stack {
    /// The servers that `with-servers` has started.
    pub(crate) fn given() -> Self {
        Self { name: "test".to_owned(), offset: offset(), own: false }
    }

    /// Further servers, the `number`th; started here, gone when dropped.
    pub(crate) fn start(number: u16) -> Self {
        let stack = Self { name: format!("crash-{number}"), offset: offset() + 10 * number, own: true };
        stack.all("destroy");
        stack.all("start");
        stack
    }

    pub(crate) async fn topics(&self) -> TestTopics {
        servers::kafka_at(self.told("kafka", "address").trim()).await
    }

    pub(crate) async fn database(&self) -> FreshDatabase {
        servers::postgres_at(self.told("postgres", "address").trim()).await
    }

    /// What `deploy/local/server SERVER COMMAND` says.
    pub(crate) fn told(&self, server: &str, command: &str) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/local/server");
        let told = Command::new(script)
            .args([server, command])
            .env("TRUECOPY_STACK", &self.name)
            .env("TRUECOPY_PORT_OFFSET", self.offset.to_string())
            .output()
            .unwrap();
        assert!(told.status.success(), "server {server} {command}: {}", String::from_utf8_lossy(&told.stderr));
        String::from_utf8(told.stdout).unwrap()
    }

    /// Starts what a run has left stopped.
    pub(crate) fn restored(&self) {
        self.all("start");
    }

    fn all(&self, command: &str) {
        for server in ["kafka", "postgres"] {
            self.told(server, command);
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if self.own {
            self.all("destroy");
        }
    }
}

fn offset() -> u16 {
    settings::load(|table| {
        let slot = table.value("TRUECOPY_PORT_OFFSET", "what is added to every port of the local stack").or("0");
        table.all(|ok| ok.take(slot))
    })
    .unwrap_or_default()
}
