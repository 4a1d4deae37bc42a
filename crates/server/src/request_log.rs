//! The log of requests, one for both servers: `--request.logging-config`.
//!
//! A line when a request begins and one when its answer has ended, with the names of fields, the
//! levels and the choice of requests of the reference (`pkg/logging`). A request that is not to be
//! logged costs one comparison. A request whose client went away ends in the log, too.

mod config;
mod grpc;
mod http;

use std::sync::Arc;

use rutile_model::time::format_rfc3339;
use rutile_runtime::{Clock, Entropy};

pub use self::config::RequestLogging;
pub(crate) use self::grpc::{GrpcCall, GrpcLog, GrpcMethod};
pub(crate) use self::http::HttpLog;
use crate::component::Context;

/// Crockford's base 32, as in a ULID.
const BASE_32: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Which requests are logged; by default none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestLog {
    http: Rule<Endpoint>,
    grpc: Rule<Method>,
}

/// What is logged for one protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule<T> {
    /// The least important level that is logged.
    level: Level,
    decision: Decision,
    /// Nothing else is logged, unless this is empty.
    only: Vec<T>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Decision {
    #[default]
    Nothing,
    End,
    StartAndEnd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Debug,
    Info,
    Warning,
    Error,
}

/// HTTP requests by path and the port that the client asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Endpoint {
    path: String,
    /// `None`: any.
    port: Option<u16>,
}

/// One method of a gRPC service.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Method {
    service: String,
    method: String,
}

/// The time of a line and the names of requests that have none.
#[derive(Debug, Clone)]
struct Source {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl<T> Default for Rule<T> {
    fn default() -> Self {
        Self {
            level: Level::Error,
            decision: Decision::Nothing,
            only: Vec::new(),
        }
    }
}

impl<T> Rule<T> {
    fn is_on(&self) -> bool {
        self.decision != Decision::Nothing
    }

    /// Whether the beginning is logged; its level is always debug.
    fn logs_start(&self) -> bool {
        self.decision == Decision::StartAndEnd && self.level == Level::Debug
    }

    fn holds_for(&self, is_it: impl Fn(&T) -> bool) -> bool {
        self.is_on() && (self.only.is_empty() || self.only.iter().any(is_it))
    }
}

impl Source {
    fn new(context: &Context) -> Self {
        Self {
            clock: Arc::clone(&context.clock),
            entropy: Arc::clone(&context.entropy),
        }
    }

    fn now(&self) -> String {
        format_rfc3339(self.clock.now_ms())
    }

    /// A name for a request that has none: a ULID.
    fn request_id(&self) -> String {
        let now = u128::try_from(self.clock.now_ms()).unwrap_or(0);
        let random =
            u128::from(self.entropy.next_u64()) << 64 | u128::from(self.entropy.next_u64());
        let id = now << 80 | random >> 48;
        let digit = |at: u32| char::from(BASE_32[(id >> (5 * at) & 31) as usize]);
        (0..26).rev().map(digit).collect()
    }
}

/// Milliseconds as the reference writes them.
fn milliseconds(time: std::time::Duration) -> f32 {
    time.as_micros() as f32 / 1000.0
}

/// An event at `debug`, or at `error` if the condition holds.
macro_rules! log_end {
    ($is_error:expr, $($field:tt)*) => {
        if $is_error {
            tracing::error!($($field)*);
        } else {
            tracing::debug!($($field)*);
        }
    };
}
use log_end;

#[cfg(test)]
mod tests;
