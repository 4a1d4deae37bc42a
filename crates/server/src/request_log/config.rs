//! The YAML of `--request.logging-config`, as in the reference, and what it comes down to.

use rutile_model::ErrorKind;
use rutile_model::config::parse_yaml;
use serde::Deserialize;

use super::{Decision, Endpoint, Level, Method, RequestLog, Rule};
use crate::config_flag::{ConfigFlag, PathOrContent};
use crate::failure::Failure;

/// Names `--request.logging-config`.
#[derive(Debug, Clone)]
pub struct RequestLogging;

impl ConfigFlag for RequestLogging {
    const NAME: &'static str = "request.logging-config";
    const HELP: &'static str = "which HTTP and gRPC requests are logged";
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Document {
    http: Protocol<HttpEntry>,
    grpc: Protocol<GrpcEntry>,
    options: Options,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default, bound = "T: Deserialize<'de>")]
struct Protocol<T> {
    options: Options,
    config: Vec<T>,
}

impl<T> Default for Protocol<T> {
    fn default() -> Self {
        Self {
            options: Options::default(),
            config: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    level: String,
    decision: Decisions,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Decisions {
    log_start: bool,
    log_end: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpEntry {
    path: String,
    port: Option<u16>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GrpcEntry {
    service: String,
    method: String,
}

impl PathOrContent<RequestLogging> {
    /// What the flags say; nothing is logged if they are not set.
    ///
    /// # Errors
    /// A failure that names the flag: as [`PathOrContent::expanded_content`] and
    /// [`RequestLog::from_yaml`].
    pub fn request_log(&self) -> Result<RequestLog, Failure> {
        let yaml = self.expanded_content()?.unwrap_or_default();
        let in_flag = |failure: Failure| failure.context("--request.logging-config");
        RequestLog::from_yaml(&yaml).map_err(in_flag)
    }
}

impl RequestLog {
    /// Reads the YAML.
    ///
    /// # Errors
    /// A failure of kind `Invalid`: an unknown key, with its place; a level or a decision that
    /// cannot be, with where it stands.
    pub fn from_yaml(yaml: &str) -> Result<Self, Failure> {
        let document: Document =
            parse_yaml(yaml).map_err(|error| Failure::new(error.kind(), &error))?;
        let common = document.options.check("options")?;
        let http = document.http.options.check("http.options")?;
        let grpc = document.grpc.options.check("grpc.options")?;
        let endpoint = |entry: HttpEntry| Endpoint {
            path: entry.path,
            port: entry.port,
        };
        let method = |entry: GrpcEntry| Method {
            service: entry.service,
            method: entry.method,
        };
        Ok(Self {
            http: rule(http.or(common), document.http.config, endpoint),
            grpc: rule(grpc.or(common), document.grpc.config, method),
        })
    }
}

fn rule<E, T>(
    options: Option<(Level, Decision)>,
    entries: Vec<E>,
    read: impl Fn(E) -> T,
) -> Rule<T> {
    let (level, decision) = options.unwrap_or((Level::Error, Decision::Nothing));
    Rule {
        level,
        decision,
        only: entries.into_iter().map(read).collect(),
    }
}

impl Options {
    /// `None` if nothing is set, so that the common options hold. Options that are set hold as a
    /// whole.
    fn check(&self, place: &str) -> Result<Option<(Level, Decision)>, Failure> {
        let wrong = |what: String| {
            let message = format!("`{place}.{what}");
            Err(Failure::message(ErrorKind::Invalid, message))
        };
        let Decisions { log_start, log_end } = self.decision;
        let decision = match (log_start, log_end) {
            (false, false) => Decision::Nothing,
            (false, true) => Decision::End,
            (true, true) => Decision::StartAndEnd,
            (true, false) => {
                return wrong(
                    "decision`: log_start without log_end is not supported: set log_end, too"
                        .to_owned(),
                );
            }
        };
        let level = match self.level.as_str() {
            "" if decision == Decision::Nothing => return Ok(None),
            "" => {
                return wrong(
                    "level` is empty: set it to INFO, DEBUG, ERROR or WARNING".to_owned(),
                );
            }
            "DEBUG" => Level::Debug,
            "INFO" => Level::Info,
            "WARNING" => Level::Warning,
            "ERROR" => Level::Error,
            other => {
                return wrong(format!(
                    "level: {other}` is invalid: use INFO, DEBUG, ERROR or WARNING"
                ));
            }
        };
        Ok(Some((level, decision)))
    }
}
