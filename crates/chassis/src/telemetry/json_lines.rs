//! Events as JSON lines: `time`, `level`, `message`, `service`, `target`, then the fields of the event and of the spans around it.

use std::{collections::BTreeMap, fmt, io::Write as _};

use chrono::SecondsFormat;
use serde::Serialize;
use serde_json::Value;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, fmt::MakeWriter, layer::Context, registry::LookupSpan};

use crate::clock::real_now;

/// The names that the line has for itself; a field that is called so is left out.
const OWN: [&str; 4] = ["time", "level", "service", "target"];

/// Writes each event as one line, with one write.
pub(super) struct JsonLines<W> {
    service: &'static str,
    writer: W,
}

impl<W> JsonLines<W> {
    pub(super) fn new(service: &'static str, writer: W) -> Self {
        Self { service, writer }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    level: &'a str,
    message: Value,
    service: &'a str,
    target: &'a str,
    #[serde(flatten)]
    fields: Fields,
}

#[derive(Debug, Clone, Default, Serialize)]
#[serde(transparent)]
struct Fields(BTreeMap<&'static str, Value>);

impl<S, W> Layer<S> for JsonLines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(outer) = span.extensions().get::<Fields>() {
                fields.0.extend(outer.clone().0);
            }
        }
        fields.0.remove("message");
        event.record(&mut fields);
        let metadata = event.metadata();
        let line = Line {
            time: real_now().to_rfc3339_opts(SecondsFormat::Micros, true),
            level: metadata.level().as_str(),
            message: fields.0.remove("message").unwrap_or_default(),
            service: self.service,
            target: metadata.target(),
            fields,
        };
        if let Ok(mut bytes) = serde_json::to_vec(&line) {
            bytes.push(b'\n');
            // where standard output is gone there is nobody to tell
            self.writer.make_writer_for(metadata).write_all(&bytes).unwrap_or_default();
        }
    }
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        if !OWN.contains(&field.name()) {
            self.0.insert(field.name(), value);
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use serde_json::json;
    use tracing::{info, info_span, subscriber::with_default, warn};
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines that `work` writes, without their times.
    fn lines(work: impl FnOnce()) -> Vec<Value> {
        let sink = Sink::default();
        let writer = sink.clone();
        let layer = JsonLines::new("arena-acl", move || writer.clone());
        with_default(tracing_subscriber::registry().with(layer), work);
        let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        let without_time = |line: &str| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            let time = line.as_object_mut().unwrap().remove("time").unwrap();
            time.as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
            line
        };
        text.lines().map(without_time).collect()
    }

    const TARGET: &str = "chassis::telemetry::json_lines::tests";

    #[test]
    fn fields_stand_beside_the_message() {
        let id = 7_u64;
        let lines =
            lines(|| warn!(participant.id = id, ratio = 0.5, late = true, what = %"x", "kept participant {id}"));
        let expected = json!({
            "level": "WARN", "message": "kept participant 7", "service": "arena-acl", "target": TARGET,
            "participant.id": 7, "ratio": 0.5, "late": true, "what": "x",
        });
        assert_eq!(lines, [expected]);
    }

    #[test]
    fn an_event_has_the_fields_of_the_spans_around_it_and_its_own_win() {
        let lines = lines(|| {
            let outer =
                info_span!("batch", source = "deltaker", attempt = 1, outcome = tracing::field::Empty).entered();
            outer.record("outcome", "applied");
            info_span!("message", position = "0/1").in_scope(|| info!(attempt = 2, "settled"));
        });
        let expected = json!({
            "level": "INFO", "message": "settled", "service": "arena-acl", "target": TARGET,
            "source": "deltaker", "outcome": "applied", "position": "0/1", "attempt": 2,
        });
        assert_eq!(lines, [expected]);
    }

    #[test]
    fn a_line_is_one_line_and_keeps_its_own_names() {
        let lines = lines(|| info!(service = "other", level = "none", "first\nsecond \u{1b}[31m"));
        let expected = json!({
            "level": "INFO", "message": "first\nsecond \u{1b}[31m", "service": "arena-acl", "target": TARGET,
        });
        assert_eq!(lines, [expected]);
    }
}
