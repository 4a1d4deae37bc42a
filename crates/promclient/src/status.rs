//! What a server tells of itself: whether it is ready, its settings, its version, its data.

use std::time::Duration;

use reqwest::Method;
use rutile_model::config::parse_yaml;
use rutile_model::{ErrorKind, Labels, PromDuration};
use serde::Deserialize;

use crate::client::{piece, send, shown, within};
use crate::{Client, Error, Result};

/// The gauge that tells how far back the data go. Thanos reads it, too.
const LOWEST_TIMESTAMP: &str = "prometheus_tsdb_lowest_timestamp_seconds";
/// Beyond these seconds the gauge tells that there is no block yet.
const NO_TIMESTAMP: f64 = 9e15;
/// Longest page of metrics that is looked through, bytes.
const MAX_METRICS: usize = 64 << 20;
/// Longest time for that, and for a reload: a large configuration takes its time.
const LOOK_WITHIN: Duration = Duration::from_secs(120);

/// The flags that a server was started with, as far as others must know them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Flags {
    /// `--storage.tsdb.min-block-duration`.
    pub min_block_duration: Option<PromDuration>,
    /// `--storage.tsdb.max-block-duration`.
    pub max_block_duration: Option<PromDuration>,
    /// `--storage.tsdb.delay-compact-file.path`, if it is set.
    pub delay_compact_file: Option<String>,
}

/// How the last reload of its configuration went.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RuntimeInfo {
    /// Whether it succeeded.
    pub reload_config_success: bool,
    /// When one last did, as the server writes it.
    #[serde(default)]
    pub last_config_time: String,
}

#[derive(Deserialize)]
struct FlagsData {
    #[serde(default, rename = "storage.tsdb.min-block-duration")]
    min_block_duration: Option<PromDuration>,
    #[serde(default, rename = "storage.tsdb.max-block-duration")]
    max_block_duration: Option<PromDuration>,
    #[serde(default, rename = "storage.tsdb.delay-compact-file.path")]
    delay_compact_file: Option<String>,
}

#[derive(Deserialize)]
struct ConfigData {
    yaml: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ServerConfig {
    global: Option<GlobalConfig>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct GlobalConfig {
    external_labels: Option<Labels>,
}

#[derive(Deserialize)]
struct BuildData {
    version: String,
}

impl Client {
    /// Returns when the server says that it is ready to answer.
    ///
    /// # Errors
    /// `Unavailable` while it is not, else as [`Client::series`].
    pub async fn ready(&self) -> Result<()> {
        self.get(&self.url(&["-", "ready"])).await.map(drop)
    }

    /// Returns when the server says that it is alive.
    ///
    /// # Errors
    /// As [`Client::series`].
    pub async fn healthy(&self) -> Result<()> {
        self.get(&self.url(&["-", "healthy"])).await.map(drop)
    }

    /// The external labels of its configuration, which may change whenever it is reloaded.
    ///
    /// # Errors
    /// As [`Client::series`].
    pub async fn external_labels(&self) -> Result<Labels> {
        let url = self.url(&["api", "v1", "status", "config"]);
        let config: ConfigData = self.api_data(&url).await?;
        let config: ServerConfig = parse_yaml(&config.yaml).map_err(|error| {
            let message = format!("{}: cannot read the configuration: {error}", shown(&url));
            Error::corrupt(message)
        })?;
        let global = config.global.unwrap_or_default();
        Ok(global.external_labels.unwrap_or_default())
    }

    /// Its flags; `None` for a server that does not tell (Prometheus before 2.2).
    ///
    /// # Errors
    /// As [`Client::series`].
    pub async fn flags(&self) -> Result<Option<Flags>> {
        let url = self.url(&["api", "v1", "status", "flags"]);
        let data = unless_missing(self.api_data::<FlagsData>(&url).await)?;
        Ok(data.map(|data| Flags {
            min_block_duration: data.min_block_duration,
            max_block_duration: data.max_block_duration,
            delay_compact_file: data.delay_compact_file.filter(|path| !path.is_empty()),
        }))
    }

    /// Its version; `None` for a server that does not tell (Prometheus before 2.14).
    ///
    /// # Errors
    /// As [`Client::series`].
    pub async fn version(&self) -> Result<Option<String>> {
        let url = self.url(&["api", "v1", "status", "buildinfo"]);
        let data = unless_missing(self.api_data::<BuildData>(&url).await)?;
        Ok(data.map(|data| data.version))
    }

    /// The time of its oldest sample in milliseconds; `None` when it has cut no block yet, or does not tell.
    ///
    /// # Errors
    /// As [`Client::series`].
    pub async fn lowest_timestamp(&self) -> Result<Option<i64>> {
        let url = self.url(&["metrics"]);
        let look = async {
            let mut response = send(self.request(Method::GET, &url).await?, &url).await?;
            let (mut line, mut seen) = (Vec::new(), 0_usize);
            while let Some(piece) = piece(&mut response, &url).await? {
                seen = seen.saturating_add(piece.len());
                if seen > MAX_METRICS {
                    let message = format!("{}: longer than {MAX_METRICS} bytes", shown(&url));
                    return Err(Error::new(ErrorKind::Exhausted, message));
                }
                for part in piece.split_inclusive(|byte| *byte == b'\n') {
                    line.extend_from_slice(part);
                    if !part.ends_with(b"\n") {
                        continue;
                    }
                    if let Some(seconds) = gauge(&line) {
                        return Ok(milliseconds(seconds));
                    }
                    line.clear();
                }
            }
            Ok(gauge(&line).and_then(milliseconds))
        };
        within(LOOK_WITHIN, &url, look).await
    }

    /// Makes it read its configuration again, and waits until it has.
    ///
    /// # Errors
    /// As [`Client::series`]; the message is the server's if it refuses the configuration.
    pub async fn reload(&self) -> Result<()> {
        let url = self.url(&["-", "reload"]);
        let reload = async {
            let sent = send(self.request(Method::POST, &url).await?, &url).await;
            sent.map(drop).map_err(|error| match error.kind() {
                ErrorKind::Denied | ErrorKind::NotFound => {
                    let hint = "start Prometheus with --web.enable-lifecycle";
                    Error::new(error.kind(), format!("{error}; {hint}"))
                }
                _ => error,
            })
        };
        within(LOOK_WITHIN, &url, reload).await
    }

    /// How its last reload went.
    ///
    /// # Errors
    /// As [`Client::series`].
    pub async fn runtime_info(&self) -> Result<RuntimeInfo> {
        self.api_data(&self.url(&["api", "v1", "status", "runtimeinfo"]))
            .await
    }
}

fn unless_missing<T>(answer: Result<T>) -> Result<Option<T>> {
    match answer {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        answer => answer.map(Some),
    }
}

/// The value of the gauge, if this is its line.
fn gauge(line: &[u8]) -> Option<f64> {
    let line = str::from_utf8(line).ok()?;
    let rest = line.strip_prefix(LOWEST_TIMESTAMP)?;
    rest.strip_prefix(' ')?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "what is not a number, or out of range, was sorted out before"
)]
fn milliseconds(seconds: f64) -> Option<i64> {
    (seconds.abs() < NO_TIMESTAMP).then(|| (seconds * 1000.0).floor() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gauge_is_found() {
        let found = |line: &str| gauge(line.as_bytes()).and_then(milliseconds);
        let with = |value: &str| found(&format!("{LOWEST_TIMESTAMP} {value}\n"));
        assert_eq!(with("1.767225600007e+09"), Some(1_767_225_600_007));
        assert_eq!(with("1.5"), Some(1_500));
        assert_eq!(with("9.223372036854776e+15"), None, "no block yet");
        assert_eq!(with("NaN"), None);
        assert_eq!(with("x"), None);
        assert_eq!(
            found("# HELP prometheus_tsdb_lowest_timestamp_seconds x"),
            None
        );
        assert_eq!(
            found("prometheus_tsdb_lowest_timestamp_seconds_x 1"),
            None,
            "another metric"
        );
    }
}
