mod reading;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use domain::delivery::Message;
use futures::future::join_all;
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
    error::KafkaError,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
    util::Timeout,
};
use tokio::time::Instant;
use uuid::Uuid;

use self::reading::{ends, offset, partitions, read};
use super::{ServerError, admin::finish};

/// Bound of one call to the broker. The first call of a group on a fresh broker takes over 3 s.
const CALL: Duration = Duration::from_secs(20);
/// Of records under way at once: below the producer's own queue, so their order is that of the list.
const WINDOW: usize = 500;
const POLL: Duration = Duration::from_millis(20);

/// A record to produce.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// The topic's full name.
    pub topic: String,
    /// The partition; `None` chooses by key as the Java client does (murmur2), at random without one.
    pub partition: Option<i32>,
    /// The key.
    pub key: Option<Bytes>,
    /// The value; `None` for a tombstone.
    pub payload: Option<Bytes>,
    /// The headers.
    pub headers: Vec<(String, Bytes)>,
}

/// Topics on a real broker that nobody else uses. Dropped, they are deleted.
pub struct TestTopics {
    brokers: String,
    admin: AdminClient<DefaultClientContext>,
    producer: FutureProducer,
    reader: Arc<BaseConsumer>,
    /// One member of nothing for each group that was asked about.
    groups: Mutex<BTreeMap<String, Arc<BaseConsumer>>>,
    created: Mutex<Vec<String>>,
}

impl TestTopics {
    pub(super) async fn connect(brokers: &str) -> Result<Self, ServerError> {
        let created = ServerError::kafka("be configured");
        let producer = config(brokers)
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "0")
            .set("message.timeout.ms", "15000")
            // the broker's limit is for what is compressed: records that are larger than any service takes get through
            .set("message.max.bytes", "4194304")
            .set("compression.type", "zstd")
            .create()
            .map_err(&created)?;
        let topics = Self {
            brokers: brokers.to_owned(),
            admin: config(brokers).create().map_err(&created)?,
            producer,
            reader: Arc::new(consumer(brokers, &format!("reader-{}", Uuid::new_v4())).map_err(&created)?),
            groups: Mutex::default(),
            created: Mutex::default(),
        };
        topics.on_reader("be reached", |reader| reader.fetch_metadata(None, CALL).map(drop)).await?;
        Ok(topics)
    }

    /// The brokers, `host:port`, separated by commas.
    #[must_use]
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// Makes a topic with `partitions` partitions and returns its full name, `name` and something random.
    ///
    /// # Errors
    /// The broker refuses.
    pub async fn create(&self, name: &str, partitions: i32) -> Result<String, ServerError> {
        const WHAT: &str = "make a topic";
        let full = format!("{name}-{}", Uuid::new_v4().simple());
        let topic = NewTopic::new(&full, partitions, TopicReplication::Fixed(1));
        let options = AdminOptions::new().operation_timeout(Some(Timeout::After(CALL)));
        let results = self.admin.create_topics([&topic], &options).await.map_err(ServerError::kafka(WHAT))?;
        for result in results {
            result.map_err(|(_, code)| ServerError::Kafka { what: WHAT, source: KafkaError::AdminOp(code) })?;
        }
        self.created.lock().unwrap_or_else(PoisonError::into_inner).push(full.clone());
        self.await_partitions(&full, partitions).await?;
        Ok(full)
    }

    /// Produces one record and returns its partition and offset once the broker has it.
    ///
    /// # Errors
    /// It was not delivered within 15 s; it may be in the topic all the same.
    pub async fn produce(&self, record: &Record) -> Result<(i32, i64), ServerError> {
        let headers = record.headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(value.as_ref()) })
        });
        let mut out = FutureRecord::<[u8], [u8]>::to(&record.topic).headers(headers);
        out.partition = record.partition;
        out.key = record.key.as_deref();
        out.payload = record.payload.as_deref();
        match self.producer.send(out, Timeout::After(CALL)).await {
            Ok(delivery) => Ok((delivery.partition, delivery.offset)),
            Err((source, _)) => Err(ServerError::Kafka { what: "take a record", source }),
        }
    }

    /// Produces records in their order, many under way at once, and returns their places in the same order.
    ///
    /// # Errors
    /// One was not delivered; others may be in their topics.
    pub async fn produce_all(&self, records: &[Record]) -> Result<Vec<(i32, i64)>, ServerError> {
        let mut places = Vec::with_capacity(records.len());
        for window in records.chunks(WINDOW) {
            for place in join_all(window.iter().map(|record| self.produce(record))).await {
                places.push(place?);
            }
        }
        Ok(places)
    }

    /// The end of each partition, in order: the offset that the next record gets.
    ///
    /// # Errors
    /// The broker does not answer.
    pub async fn end_offsets(&self, topic: &str) -> Result<Vec<i64>, ServerError> {
        let topic = topic.to_owned();
        self.on_reader("tell its offsets", move |reader| ends(reader, &topic)).await
    }

    /// The records from the offset of each partition (`from`, inclusive) to its present end, partition by partition.
    /// A partition that `from` does not reach is read from its beginning.
    ///
    /// # Errors
    /// The broker does not answer.
    pub async fn read(&self, topic: &str, from: &[i64]) -> Result<Vec<Message>, ServerError> {
        let (topic, from) = (topic.to_owned(), from.to_owned());
        self.on_reader("be read", move |reader| read(reader, &topic, &from)).await
    }

    /// What `group` committed, by partition: the offset it reads next; `None` where it committed nothing.
    ///
    /// # Errors
    /// The broker does not answer.
    pub async fn committed(&self, group: &str, topic: &str) -> Result<Vec<Option<i64>>, ServerError> {
        const WHAT: &str = "tell what is committed";
        let consumer = self.member_of_nothing(group)?;
        let topic = topic.to_owned();
        let asked = move || {
            let mut list = TopicPartitionList::new();
            for partition in 0..partitions(&consumer, &topic)? {
                list.add_partition(&topic, partition);
            }
            let committed = consumer.committed_offsets(list, CALL)?;
            Ok(committed.elements().iter().map(|element| offset(element.offset())).collect())
        };
        blocking(WHAT, asked).await
    }

    /// Waits until `group` has committed past every one of these places (topic, partition, offset of a record).
    ///
    /// # Errors
    /// It did not within `within`, or the broker does not answer.
    pub async fn wait_committed(
        &self,
        group: &str,
        places: &[(String, i32, i64)],
        within: Duration,
    ) -> Result<(), ServerError> {
        let until = Instant::now() + within;
        let mut open: BTreeMap<&str, BTreeMap<i32, i64>> = BTreeMap::new();
        for (topic, partition, offset) in places {
            let highest = open.entry(topic).or_default().entry(*partition).or_insert(*offset);
            *highest = (*highest).max(*offset);
        }
        while let Some((topic, wanted)) = open.first_key_value() {
            let committed = self.committed(group, topic).await?;
            let has_passed = |partition: i32, offset: i64| {
                let committed = usize::try_from(partition).ok().and_then(|partition| committed.get(partition));
                committed.copied().flatten().is_some_and(|committed| committed > offset)
            };
            if wanted.iter().all(|(partition, offset)| has_passed(*partition, *offset)) {
                open.pop_first();
            } else if Instant::now() >= until {
                return Err(ServerError::TooLate("a commit of the group"));
            } else {
                tokio::time::sleep(POLL).await;
            }
        }
        Ok(())
    }

    /// Commits for `group`, which must have no member, so that it reads these places (topic, partition, offset) next.
    ///
    /// # Errors
    /// The group has a member, or the broker does not answer.
    pub async fn rewind(&self, group: &str, places: &[(String, i32, i64)]) -> Result<(), ServerError> {
        const WHAT: &str = "rewind a group";
        let consumer = self.member_of_nothing(group)?;
        let mut list = TopicPartitionList::new();
        for (topic, partition, offset) in places {
            list.add_partition_offset(topic, *partition, Offset::Offset(*offset)).map_err(ServerError::kafka(WHAT))?;
        }
        blocking(WHAT, move || consumer.commit(&list, CommitMode::Sync)).await
    }

    /// The broker tells of a new topic before every partition has a leader.
    async fn await_partitions(&self, topic: &str, count: i32) -> Result<(), ServerError> {
        let until = Instant::now() + CALL;
        let wanted = usize::try_from(count).unwrap_or_default();
        loop {
            let asked = topic.to_owned();
            let known = self.on_reader("tell its offsets", move |reader| Ok(ends(reader, &asked).ok())).await?;
            if known.is_some_and(|ends| ends.len() == wanted) {
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(ServerError::TooLate("a new topic"));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn on_reader<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&BaseConsumer) -> Result<T, KafkaError> + Send + 'static,
    ) -> Result<T, ServerError> {
        let reader = Arc::clone(&self.reader);
        blocking(what, move || work(&reader)).await
    }

    fn member_of_nothing(&self, group: &str) -> Result<Arc<BaseConsumer>, ServerError> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = groups.get(group) {
            return Ok(Arc::clone(known));
        }
        let new = Arc::new(consumer(&self.brokers, group).map_err(ServerError::kafka("be configured"))?);
        groups.insert(group.to_owned(), Arc::clone(&new));
        Ok(new)
    }
}

impl Drop for TestTopics {
    fn drop(&mut self) {
        let created = std::mem::take(self.created.get_mut().unwrap_or_else(PoisonError::into_inner));
        let admin = &self.admin;
        if !created.is_empty() {
            finish(|| async move {
                let names: Vec<_> = created.iter().map(String::as_str).collect();
                admin.delete_topics(&names, &AdminOptions::new()).await.ok();
            });
        }
    }
}

fn config(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("client.id", "truecopy-test");
    config
}

fn consumer(brokers: &str, group: &str) -> Result<BaseConsumer, KafkaError> {
    config(brokers)
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("isolation.level", "read_committed")
        .set("fetch.wait.max.ms", "10") // the end of a partition is told after an empty fetch
        .create()
}

/// librdkafka's calls block.
async fn blocking<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> Result<T, KafkaError> + Send + 'static,
) -> Result<T, ServerError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(ServerError::kafka(what)),
        Err(_) => Err(ServerError::TooLate(what)), // the runtime is ending
    }
}
