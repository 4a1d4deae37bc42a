//! Log lines on standard error, in logfmt or as JSON objects, or entries of systemd's journal.
//!
//! The keys and their order are those of the reference: `ts`, `caller`, `name` (if set), `level`,
//! `msg`, then the fields of the event and of the spans around it. Libraries beneath ours are
//! heard from the level `warn` upwards.

mod format;
mod journal;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

use self::format::{Encoding, Lines};
use self::journal::Journal;
use crate::spans::Recorder;

/// Tells the time in milliseconds since the Unix epoch. (This crate reads no clock.)
pub type NowMs = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The settings of the log.
#[derive(Clone)]
pub struct LogConfig {
    /// `--log.level`.
    pub level: LogLevel,
    /// `--log.format`.
    pub format: LogFormat,
    /// `--debug.name`: shown as `name` on every line, unless it is empty.
    pub name: String,
    /// The time of a line.
    pub now_ms: NowMs,
}

/// The least important level that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogLevel {
    /// Failures that an operator must know.
    Error,
    /// What may become a failure.
    Warn,
    /// What the process does.
    #[default]
    Info,
    /// What helps to find a fault.
    Debug,
}

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// `key=value` pairs.
    #[default]
    Logfmt,
    /// One JSON object a line.
    Json,
    /// An entry of systemd's journal, with a field `THANOS_…` for each key.
    Journald,
}

/// Why the log cannot be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The level has no such name.
    #[error("unknown log level {0:?}: use error, warn, info or debug")]
    UnknownLevel(String),
    /// The format has no such name.
    #[error("unknown log format {0:?}: use logfmt, json or journald")]
    UnknownFormat(String),
    /// The journal cannot be reached.
    #[error("log format journald: {0}; use logfmt or json where systemd is not")]
    NoJournal(String),
    /// Another part of the process came first.
    #[error("the log of this process is already set up")]
    AlreadySet,
}

/// Sets the log of the process up, to standard error or to the journal; `recorder` is given its spans.
///
/// # Errors
/// [`LogError::NoJournal`], and [`LogError::AlreadySet`] the second time.
pub fn init(config: &LogConfig, recorder: Option<Recorder>) -> Result<(), LogError> {
    let set = match config.format {
        LogFormat::Logfmt | LogFormat::Json => {
            tracing::subscriber::set_global_default(subscriber(config, std::io::stderr, recorder))
        }
        LogFormat::Journald => {
            let journal = Journal::open(journal::SOCKET)?;
            tracing::subscriber::set_global_default(subscriber(config, journal, recorder))
        }
    };
    set.map_err(|_| LogError::AlreadySet)
}

/// The same without making it the process's, for tests: lines go to `writer`.
pub fn subscriber<W>(
    config: &LogConfig,
    writer: W,
    recorder: Option<Recorder>,
) -> impl Subscriber + Send + Sync + use<W>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let encoding = match config.format {
        LogFormat::Logfmt => Encoding::Logfmt,
        LogFormat::Json => Encoding::Json,
        LogFormat::Journald => Encoding::Journal,
    };
    let level = config.level.filter();
    let targets = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("rutile", level);
    let lines = Lines::new(encoding, config.name.clone(), Arc::clone(&config.now_ms));
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .fmt_fields(encoding)
        .event_format(lines)
        .with_filter(targets);
    tracing_subscriber::registry().with(recorder).with(layer)
}

impl LogLevel {
    fn filter(self) -> LevelFilter {
        match self {
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
        }
    }
}

impl FromStr for LogLevel {
    type Err = LogError;

    fn from_str(text: &str) -> Result<Self, LogError> {
        match text {
            "error" => Ok(Self::Error),
            "warn" => Ok(Self::Warn),
            "info" => Ok(Self::Info),
            "debug" => Ok(Self::Debug),
            other => Err(LogError::UnknownLevel(other.to_owned())),
        }
    }
}

impl FromStr for LogFormat {
    type Err = LogError;

    fn from_str(text: &str) -> Result<Self, LogError> {
        match text {
            "logfmt" => Ok(Self::Logfmt),
            "json" => Ok(Self::Json),
            "journald" => Ok(Self::Journald),
            other => Err(LogError::UnknownFormat(other.to_owned())),
        }
    }
}

impl fmt::Debug for LogConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogConfig")
            .field("level", &self.level)
            .field("format", &self.format)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
