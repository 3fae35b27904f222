//! How SQS is reached. Credentials come from where the AWS SDKs look for them: environment, container, profile, instance.

use chassis::settings::{Slot, Table};

/// The settings of SQS that are the same in every service. Queues are the service's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The region of the queues.
    pub region: String,
    /// Where the service listens, if not where the region says.
    pub endpoint: Option<String>,
}

impl Settings {
    /// Declares them.
    pub fn declare(table: &mut Table) -> Slot<Self> {
        let region = table.value("AWS_REGION", "region of the SQS queues").or("eu-west-2");
        let endpoint =
            table.value("AWS_ENDPOINT_URL_SQS", "URL of the SQS service; absent: that of the region").optional();
        table.all(|ok| Self { region: ok.take(region), endpoint: ok.take(endpoint) })
    }
}
