//! How an event becomes a line.

use std::fmt::{self, Write};

use chrono::{DateTime, SecondsFormat};
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use super::{NowMs, journal};

/// Writes `key` and value pairs; also those of spans, which are kept until an event needs them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Logfmt,
    Json,
    /// A line for each field, see [`journal`].
    Journal,
}

/// Writes whole lines.
pub(super) struct Lines {
    encoding: Encoding,
    name: String,
    now_ms: NowMs,
}

/// Collects the fields of an event or a span in the order in which they were written.
#[derive(Default)]
struct Fields {
    message: String,
    rest: Vec<(&'static str, Value)>,
}

impl Lines {
    pub(super) fn new(encoding: Encoding, name: String, now_ms: NowMs) -> Self {
        Self {
            encoding,
            name,
            now_ms,
        }
    }

    fn timestamp(&self) -> String {
        let now = DateTime::from_timestamp_millis((self.now_ms)()).unwrap_or_default();
        now.to_rfc3339_opts(SecondsFormat::Millis, true)
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut line = String::with_capacity(192);
        let metadata = event.metadata();
        self.encoding
            .pair(&mut line, "ts", &self.timestamp().into())?;
        self.encoding.pair(
            &mut line,
            "caller",
            &caller(metadata.file(), metadata.line()).into(),
        )?;
        if !self.name.is_empty() {
            self.encoding
                .pair(&mut line, "name", &self.name.as_str().into())?;
        }
        self.encoding
            .pair(&mut line, "level", &level(*metadata.level()).into())?;
        self.encoding
            .pair(&mut line, "msg", &fields.message.into())?;
        for (key, value) in &fields.rest {
            self.encoding.pair(&mut line, key, value)?;
        }
        for span in context.event_scope().into_iter().flatten() {
            if let Some(kept) = span.extensions().get::<FormattedFields<N>>() {
                self.encoding.append(&mut line, kept);
            }
        }
        match self.encoding {
            Encoding::Journal => write!(writer, "{line}"),
            Encoding::Logfmt => writeln!(writer, "{line}"),
            Encoding::Json => writeln!(writer, "{{{line}}}"),
        }
    }
}

impl<'w> FormatFields<'w> for Encoding {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, record: R) -> fmt::Result {
        let mut fields = Fields::default();
        record.record(&mut fields);
        let mut text = String::new();
        for (key, value) in &fields.rest {
            self.pair(&mut text, key, value)?;
        }
        writer.write_str(&text)
    }

    fn add_fields(
        &self,
        current: &'w mut FormattedFields<Self>,
        record: &tracing::span::Record<'_>,
    ) -> fmt::Result {
        let mut more = FormattedFields::<Self>::new(String::new());
        self.format_fields(more.as_writer(), record)?;
        self.append(&mut current.fields, &more.fields);
        Ok(())
    }
}

impl Encoding {
    fn pair(self, line: &mut String, key: &str, value: &Value) -> fmt::Result {
        match self {
            Self::Logfmt => {
                self.separate(line);
                write!(line, "{key}=")?;
                match value {
                    Value::String(text) => logfmt_value(line, text),
                    other => write!(line, "{other}"),
                }
            }
            Self::Json => {
                self.separate(line);
                write!(line, "{}:{value}", Value::from(key))
            }
            Self::Journal => {
                match value {
                    Value::String(text) => journal::add_field(line, key, text),
                    other => journal::add_field(line, key, &other.to_string()),
                }
                Ok(())
            }
        }
    }

    /// Adds pairs that are already written.
    fn append(self, line: &mut String, pairs: &str) {
        if !pairs.is_empty() {
            self.separate(line);
            line.push_str(pairs);
        }
    }

    fn separate(self, line: &mut String) {
        match self {
            Self::Logfmt if !line.is_empty() => line.push(' '),
            Self::Json if !line.is_empty() => line.push(','),
            Self::Logfmt | Self::Json | Self::Journal => {}
        }
    }
}

/// Quotes where a reader of logfmt would otherwise lose the end of the value.
fn logfmt_value(line: &mut String, text: &str) -> fmt::Result {
    let plain = |c: char| c > ' ' && c != '=' && c != '"' && c != '\u{7f}' && c != '\u{fffd}';
    if text.chars().all(plain) {
        line.write_str(text)
    } else {
        write!(line, "{}", Value::from(text))
    }
}

fn caller(file: Option<&str>, line: Option<u32>) -> String {
    let file = file
        .and_then(|path| path.rsplit('/').next())
        .unwrap_or("unknown");
    format!("{file}:{}", line.unwrap_or_default())
}

fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        _ => "debug",
    }
}

impl Fields {
    fn add(&mut self, field: &Field, value: Value) {
        if field.name() == "message" {
            self.message = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
        } else {
            self.rest.push((field.name(), value));
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        let finite = serde_json::Number::from_f64(value).map(Value::Number);
        self.add(field, finite.unwrap_or_else(|| value.to_string().into()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.add(field, chain(value).into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}").into());
    }
}

/// An error and its sources in one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    for source in std::iter::successors(error.source(), |error| error.source()) {
        text.push_str(": ");
        text.push_str(&source.to_string());
    }
    text
}
