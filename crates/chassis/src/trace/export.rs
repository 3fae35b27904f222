//! The way of spans to a collector: OTLP over HTTP, in protobuf.
//!
//! A bounded queue and a thread of its own stand between the work and the collector: a span that finds the queue full is dropped and
//! counted in the log, a batch that is not taken is dropped and told.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{CONTENT_TYPE, USER_AGENT},
};
use opentelemetry::{KeyValue, trace::TracerProvider as _};
use opentelemetry_proto::{
    tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    transform::{common::tonic::ResourceAttributesWithSchema, trace::tonic::group_spans_by_resource_and_scope},
};
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData, SpanExporter as SdkExporter,
        SpanLimits,
    },
};
use prost::Message as _;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::runtime::Handle;
use tracing::warn;
use url::Url;

use super::TRACER;
use crate::{
    http::transport::{Limits, Reqwest, Transport},
    settings::{Setting, Slot, Table},
    telemetry::Quiet,
};

/// How many spans wait at most; beyond, new ones are dropped.
const QUEUE: usize = 8192;
/// How many spans leave in one call.
const BATCH: usize = 512;
/// How long spans wait for more to come.
const DELAY: Duration = Duration::from_secs(1);
/// How long a call may take.
const CALL: Limits = Limits {
    connect: Duration::from_secs(2),
    read: Duration::from_secs(3),
    total: Duration::from_secs(3),
    answer_bytes: 64 * 1024,
};
/// How long the end of the process waits for what is not exported yet.
const FLUSH: Duration = Duration::from_secs(2);
/// A span over a batch links to each of its messages.
const LINKS: u32 = 500;

/// Whether and where traces are exported. The names are those of the OpenTelemetry specification; what it has beside them is not read.
#[derive(Debug, Clone)]
pub struct Settings {
    endpoint: Option<Url>,
    headers: HeaderMap,
    ratio: Ratio,
    service: Option<String>,
    resource: Pairs,
}

impl Settings {
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` and what belongs to it.
    pub fn declare(table: &mut Table) -> Slot<Self> {
        let endpoint = table
            .value(
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                "base URL of the collector of traces, OTLP over HTTP, without `/v1/traces`; not set: none are made",
            )
            .optional();
        let protocol = table.value("OTEL_EXPORTER_OTLP_PROTOCOL", "how traces are sent").or("http/protobuf");
        let headers = table
            .secret("OTEL_EXPORTER_OTLP_HEADERS", "headers for the collector, `name=value`, separated by commas")
            .optional();
        let ratio = table
            .value("OTEL_TRACES_SAMPLER_ARG", "share of traces that are recorded, where none came with the message")
            .or("1");
        let service = table.value("OTEL_SERVICE_NAME", "name of the service in traces, where not its own").optional();
        let resource = table
            .value("OTEL_RESOURCE_ATTRIBUTES", "what else traces say of the process, `name=value`, separated by commas")
            .optional();
        let read = headers
            .get()
            .map(|headers: &Option<SecretString>| headers.as_ref().map_or(Some(HeaderMap::new()), headers_of));
        table.rule(read.as_ref(), |read| read.is_some(), "OTEL_EXPORTER_OTLP_HEADERS is not a list of headers");
        table.rule(
            endpoint.get().zip(protocol.get()),
            |(endpoint, protocol): (&Option<Url>, &String)| endpoint.is_none() || protocol == "http/protobuf",
            "OTEL_EXPORTER_OTLP_PROTOCOL is not http/protobuf",
        );
        table.all(|ok| {
            let (_protocol, _headers) = (ok.take(protocol), ok.take(headers));
            Self {
                endpoint: ok.take(endpoint),
                headers: read.flatten().unwrap_or_default(),
                ratio: ok.take(ratio),
                service: ok.take(service),
                resource: ok.take(resource).unwrap_or_default(),
            }
        })
    }
}

/// From 0 to 1.
#[derive(Debug, Clone, Copy)]
struct Ratio(f64);

impl Setting for Ratio {
    const EXPECTS: &'static str = "a number from 0 to 1";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio)).map(Self)
    }
}

/// Names with values, percent-encoded where need be.
#[derive(Debug, Clone, Default)]
struct Pairs(Vec<(String, String)>);

impl Setting for Pairs {
    const EXPECTS: &'static str = "a list of name=value, separated by commas";

    fn parse(text: &str) -> Option<Self> {
        let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
        pairs
            .map(|pair| pair.split_once('=').map(|(name, value)| (decoded(name), decoded(value))))
            .collect::<Option<_>>()
            .map(Self)
    }
}

fn decoded(text: &str) -> String {
    // a plus is a plus here, unlike in a form
    let form = text.trim().replace('+', "%2B");
    url::form_urlencoded::parse(form.as_bytes()).next().map(|(text, _)| text.into_owned()).unwrap_or_default()
}

fn headers_of(text: &SecretString) -> Option<HeaderMap> {
    let Pairs(pairs) = Pairs::parse(text.expose_secret())?;
    pairs
        .into_iter()
        .map(|(name, value)| {
            let mut value = HeaderValue::try_from(value).ok()?;
            value.set_sensitive(true);
            Some((HeaderName::try_from(name).ok()?, value))
        })
        .collect()
}

/// Traces that are being exported, until they are [ended](Self::end).
#[derive(Debug)]
pub struct Exporting(SdkTracerProvider);

impl Exporting {
    /// Begins to export; `None` where the settings do not ask for it, or where HTTP cannot be had: that is told and stops nothing.
    ///
    /// Must be called inside a tokio runtime with threads of its own. A second call in one process changes nothing.
    pub(crate) fn start(settings: &Settings, service: &'static str, version: &'static str) -> Option<Self> {
        let endpoint = settings.endpoint.clone()?;
        let transport = match Reqwest::new(CALL) {
            Ok(transport) => Arc::new(transport),
            Err(error) => {
                warn!("traces are not exported: {}", crate::exit::causes(&error));
                return None;
            }
        };
        let exporter = Exporter::new(endpoint, settings.headers.clone(), transport);
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(DELAY)
            .build();
        let Settings { service: name, resource, .. } = settings;
        let attributes = resource.0.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
        let limits = SpanLimits { max_links_per_span: LINKS, ..SpanLimits::default() };
        let provider = SdkTracerProvider::builder()
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(settings.ratio.0))))
            .with_span_limits(limits)
            .with_resource(
                // without the detectors, which read the environment by themselves
                Resource::builder_empty()
                    .with_attributes(attributes)
                    .with_attribute(KeyValue::new("service.version", version))
                    .with_service_name(name.clone().unwrap_or_else(|| service.to_owned()))
                    .build(),
            )
            .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(config).build())
            .build();
        TRACER.set(provider.tracer(service)).is_ok().then_some(Self(provider))
    }

    /// Exports what is not exported yet, for at most 2 s, and stops.
    pub(crate) fn end(self) {
        if self.0.shutdown_with_timeout(FLUSH).is_err() {
            warn!("the last spans were not exported within {} s", FLUSH.as_secs());
        }
    }
}

/// Sends spans, each batch once.
struct Exporter {
    endpoint: String,
    headers: HeaderMap,
    transport: Arc<dyn Transport>,
    /// The thread that exports is none of the runtime's.
    runtime: Handle,
    resource: ResourceAttributesWithSchema,
    quiet: Quiet,
}

impl Exporter {
    fn new(endpoint: Url, mut headers: HeaderMap, transport: Arc<dyn Transport>) -> Self {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        headers.insert(USER_AGENT, HeaderValue::from_static("truecopy"));
        Self {
            endpoint: format!("{}/v1/traces", endpoint.as_str().trim_end_matches('/')),
            headers,
            transport,
            runtime: Handle::current(),
            resource: ResourceAttributesWithSchema::default(),
            quiet: Quiet::default(),
        }
    }

    /// Why spans were lost, without what the collector said: its text may quote them.
    fn lost(&self, why: &'static str, status: Option<u16>, spans: usize) {
        if let Some(batches) = self.quiet.admit("traces", why) {
            warn!(status, spans, batches, "spans are lost: {why}");
        }
    }
}

impl SdkExporter for Exporter {
    /// Never an error: what is lost is told here, once in a while.
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let request =
            ExportTraceServiceRequest { resource_spans: group_spans_by_resource_and_scope(batch, &self.resource) };
        let body = Bytes::from(request.encode_to_vec());
        let Ok(mut request) = http::Request::builder().method(Method::POST).uri(&self.endpoint).body(body) else {
            self.lost("the address of the collector cannot be used", None, spans);
            return Ok(());
        };
        *request.headers_mut() = self.headers.clone();
        let transport = Arc::clone(&self.transport);
        match self.runtime.spawn(async move { transport.send(request).await }).await {
            Ok(Ok(answer)) if answer.status().is_success() => {
                let answer = ExportTraceServiceResponse::decode(answer.body().as_ref()).unwrap_or_default();
                let refused = answer.partial_success.map_or(0, |partial| partial.rejected_spans);
                if refused > 0 {
                    self.lost("the collector refused some", None, usize::try_from(refused).unwrap_or(spans));
                }
            }
            Ok(Ok(answer)) => self.lost("the collector refused them", Some(answer.status().as_u16()), spans),
            Ok(Err(_)) | Err(_) => self.lost("the collector does not answer", None, spans),
        }
        Ok(())
    }

    fn shutdown_with_timeout(&self, _limit: Duration) -> Result<(), OTelSdkError> {
        Ok(())
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter").finish_non_exhaustive()
    }
}
