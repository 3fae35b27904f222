//! How RabbitMQ is reached, and what its queues and routes are called (2.2, chapter 8).

use std::{fs, num::NonZeroUsize, path::PathBuf};

use chassis::settings::{Slot, Table};
use secrecy::SecretString;

use crate::deliveries::Queue;

/// The queue that takes the ids of trainees to send again; TCS reads it, and no setting ever named it.
const TRAINEE_REQUEST: &str = "reval.queue.trainee.update.tcs";

/// The settings of RabbitMQ.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The host of the broker.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The login.
    pub username: String,
    /// Its password.
    pub password: SecretString,
    /// The virtual host.
    pub vhost: String,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// The authority that the broker's certificate is checked against, if not those of the machine.
    pub ca: Option<PathBuf>,
    /// Whether exchange, queues and bindings are declared; otherwise they are only looked for.
    pub declare: bool,
    /// How many messages of single trainees are held unsettled.
    pub prefetch: u16,
    /// The bytes of a queue's messages held before no more are asked for; they are at half.
    pub budget_bytes: NonZeroUsize,
    /// The exchange of everything.
    pub exchange: String,
    /// Names of queues.
    pub queues: Queues,
    /// Routing keys of what is sent, and of what is bound with `declare`.
    pub keys: Keys,
}

/// Names of queues.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the rows of 2.2, by what they carry")]
pub struct Queues {
    pub sync_start: String,
    pub trainee_data: String,
    pub trainee_update: String,
    pub gmc_start: String,
    pub gmc_data: String,
    pub connection_log_start: String,
    pub connection_log_data: String,
    pub hidden_discrepancy_start: String,
    pub hidden_discrepancy_data: String,
}

/// Routing keys.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the rows of 2.2, by what they carry")]
pub struct Keys {
    pub sync_start: String,
    pub trainee_data: String,
    pub trainee_update: String,
    pub gmc_start: String,
    pub gmc_data: String,
    pub connection_log_start: String,
    pub connection_log_data: String,
    pub hidden_discrepancy_start: String,
    pub hidden_discrepancy_data: String,
    pub trainee_request: String,
}

impl Settings {
    /// Declares them.
    pub fn declare(table: &mut Table) -> Slot<Self> {
        let host = table.value("RABBITMQ_HOST", "host of RabbitMQ").or("localhost");
        let port = table.value("RABBITMQ_PORT", "its port").or("5672");
        let username = table.value("RABBITMQ_USERNAME", "the login at RabbitMQ").or("guest");
        let password = table.secret("RABBITMQ_PASSWORD", "its password").or("guest");
        let tls = table.value("RABBITMQ_USE_SSL", "whether the connection is encrypted").or("false");
        let vhost = table.value("REVAL_SYNC_RABBIT_VHOST", "virtual host").or("/");
        let ca = table
            .value(
                "REVAL_SYNC_RABBIT_CA_PATH",
                "PEM file of the authority of the broker's certificate; absent: those of the machine",
            )
            .optional();
        let declare = table
            .value("REVAL_SYNC_RABBIT_DECLARE", "whether exchange, queues and bindings are declared; for tests")
            .or("false");
        let prefetch = table
            .value("REVAL_SYNC_RABBIT_PREFETCH", "messages of the trainee queues held at once; of the others two")
            .or("4000");
        let budget_bytes = table
            .value(
                "REVAL_SYNC_RABBIT_BUDGET_BYTES",
                "bytes of a queue's messages held before it is paused; it resumes at half",
            )
            .or("67108864");
        let exchange = table.value("REVAL_RABBIT_EXCHANGE", "exchange").or("reval.exchange");
        let queues = Queues::declare(table);
        let keys = Keys::declare(table);
        table.all(|ok| Self {
            host: ok.take(host),
            port: ok.take(port),
            username: ok.take(username),
            password: ok.take(password),
            vhost: ok.take(vhost),
            tls: ok.take(tls),
            ca: ok.take(ca),
            declare: ok.take(declare),
            prefetch: ok.take(prefetch),
            budget_bytes: ok.take(budget_bytes),
            exchange: ok.take(exchange),
            queues: ok.take(queues),
            keys: ok.take(keys),
        })
    }

    /// The name of a queue that RabbitMQ carries.
    pub(super) fn queue(&self, queue: Queue) -> Option<&str> {
        match queue {
            Queue::TcsData => Some(&self.queues.trainee_data),
            Queue::TcsUpdated => Some(&self.queues.trainee_update),
            Queue::GmcData => Some(&self.queues.gmc_data),
            Queue::ConnectionLogData => Some(&self.queues.connection_log_data),
            Queue::HiddenDiscrepancyData => Some(&self.queues.hidden_discrepancy_data),
            Queue::GmcStart => Some(&self.queues.gmc_start),
            Queue::Changes(_) => None,
        }
    }

    /// How many messages of a queue are held unsettled: many of single trainees, two of those that carry thousands of items.
    pub(super) fn prefetch_of(&self, queue: Queue) -> u16 {
        match queue {
            Queue::TcsData | Queue::TcsUpdated => self.prefetch,
            _ => 2,
        }
    }

    /// Each queue of 2.2 that is read or sent to, and its routing key.
    pub(super) fn bindings(&self) -> [(&str, &str); 10] {
        let Self { queues, keys, .. } = self;
        [
            (&queues.sync_start, &keys.sync_start),
            (&queues.trainee_data, &keys.trainee_data),
            (&queues.trainee_update, &keys.trainee_update),
            (&queues.gmc_start, &keys.gmc_start),
            (&queues.gmc_data, &keys.gmc_data),
            (&queues.connection_log_start, &keys.connection_log_start),
            (&queues.connection_log_data, &keys.connection_log_data),
            (&queues.hidden_discrepancy_start, &keys.hidden_discrepancy_start),
            (&queues.hidden_discrepancy_data, &keys.hidden_discrepancy_data),
            (TRAINEE_REQUEST, &keys.trainee_request),
        ]
    }

    /// The certificates of `ca`.
    pub(super) fn certificates(&self) -> std::io::Result<Option<String>> {
        self.ca.as_ref().map(fs::read_to_string).transpose()
    }
}

impl Queues {
    fn declare(table: &mut Table) -> Slot<Self> {
        const ONLY_DECLARED: &str = "queue, used only where queues are declared";
        let sync_start =
            table.value("REVAL_RABBIT_SYNC_START_QUEUE", ONLY_DECLARED).or("reval.queue.connection.syncstart");
        let trainee_data = table
            .value("REVAL_RABBIT_SYNC_DATA_QUEUE", "queue of the trainees of an extract")
            .or("reval.queue.connection.syncdata");
        let trainee_update = table
            .value("TCSDOCTORINFO_UPDATED_INTEGRATION_QUEUE", "queue of single trainee updates")
            .alias("REVAL_RABBIT_QUEUE")
            .or("reval.queue.tcsdoctorinfo.updated.integration");
        let gmc_start = table
            .value("REVAL_RABBIT_RECOMMENDATION_SYNC_START_QUEUE", "queue that starts an export of doctors")
            .or("reval.queue.recommendation.syncstart");
        let gmc_data = table
            .value("ESSYNC_GMC_DATA_QUEUE", "queue of exported doctors")
            .or("reval.queue.revalidationsummary.essync.integration");
        let connection_log_start = table
            .value("CONNECTION_LOG_ESSYNCSTART_QUEUE", ONLY_DECLARED)
            .or("reval.queue.connectionlog.essyncstart.connection");
        let connection_log_data = table
            .value("CONNECTION_LOG_ESSYNCDATA_QUEUE", "queue of exported connection logs")
            .or("reval.queue.connectionlog.essyncdata.integration");
        let hidden_discrepancy_start = table
            .value("HIDDEN_DISCREPANCY_ESSYNCSTART_QUEUE", ONLY_DECLARED)
            .or("reval.queue.hiddendiscrepancy.essyncstart.connection");
        let hidden_discrepancy_data = table
            .value("HIDDEN_DISCREPANCY_ESSYNCDATA_QUEUE", "queue of exported hidden discrepancies")
            .or("reval.queue.hiddendiscrepancy.essyncdata.integration");
        table.all(|ok| Self {
            sync_start: ok.take(sync_start),
            trainee_data: ok.take(trainee_data),
            trainee_update: ok.take(trainee_update),
            gmc_start: ok.take(gmc_start),
            gmc_data: ok.take(gmc_data),
            connection_log_start: ok.take(connection_log_start),
            connection_log_data: ok.take(connection_log_data),
            hidden_discrepancy_start: ok.take(hidden_discrepancy_start),
            hidden_discrepancy_data: ok.take(hidden_discrepancy_data),
        })
    }
}

impl Keys {
    fn declare(table: &mut Table) -> Slot<Self> {
        const BOUND: &str = "routing key, used only where queues are declared";
        const REPAIRED: &str = "routing key, used by `verify --fix` and where queues are declared";
        let sync_start = table
            .value("REVAL_RABBIT_SYNCSTART_ROUTING_KEY", "routing key of `syncStart`")
            .or("reval.connection.syncstart");
        let trainee_data = table.value("REVAL_RABBIT_SYNCDATA_ROUTING_KEY", BOUND).or("reval.connection.syncdata");
        let trainee_update = table.value("REVAL_RABBIT_ROUTING_KEY", BOUND).or("reval.connection.update");
        let gmc_start = table
            .value("REVAL_RABBIT_RECOMMENDATION_SYNCSTART_ROUTING_KEY", "routing key of `gmcSyncStart`")
            .or("reval.recommendation.syncstart");
        let gmc_data = table
            .value(
                "ESSYNC_DATA_ROUTING_KEY",
                "routing key of exported doctors, for the exporter role and `verify --fix`",
            )
            .or("reval.routingkey.revalidationsummary.essync");
        let connection_log_start = table
            .value("CONNECTION_LOG_ESSYNCSTART_ROUTING_KEY", "routing key of `connectionLogSyncStart`")
            .or("reval.routingkey.connectionlog.essyncstart");
        let connection_log_data = table
            .value("CONNECTION_LOG_ESSYNCDATA_ROUTING_KEY", REPAIRED)
            .or("reval.routingkey.connectionlog.essyncdata");
        let hidden_discrepancy_start = table
            .value("HIDDEN_DISCREPANCY_ESSYNCSTART_ROUTING_KEY", "routing key of `hiddenDiscrepancySyncStart`")
            .or("reval.routingkey.hiddendiscrepancy.essyncstart");
        let hidden_discrepancy_data = table
            .value("HIDDEN_DISCREPANCY_ESSYNCDATA_ROUTING_KEY", REPAIRED)
            .or("reval.routingkey.hiddendiscrepancy.essyncdata");
        let trainee_request = table
            .value("REVAL_RABBIT_TRAINEEUPDATE_ROUTING_KEY", "routing key that asks for trainees by their ids")
            .or("reval.trainee.update");
        table.all(|ok| Self {
            sync_start: ok.take(sync_start),
            trainee_data: ok.take(trainee_data),
            trainee_update: ok.take(trainee_update),
            gmc_start: ok.take(gmc_start),
            gmc_data: ok.take(gmc_data),
            connection_log_start: ok.take(connection_log_start),
            connection_log_data: ok.take(connection_log_data),
            hidden_discrepancy_start: ok.take(hidden_discrepancy_start),
            hidden_discrepancy_data: ok.take(hidden_discrepancy_data),
            trainee_request: ok.take(trainee_request),
        })
    }
}
