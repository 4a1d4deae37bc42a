//! The skeleton of every process: command line, listeners, probes, drain, status codes.
//!
//! A component implements [`Component`]: its flags, a `build` that binds its listeners, and a `run`
//! that ends when it is told to. [`run`] does the rest: it reads the command line as the reference
//! does ([`cli`]), sets up log, metrics and the memory ledger, waits for signals, drains, and turns
//! the outcome into an exit code. [`HttpServer`] and [`GrpcServer`] are the only listeners of the
//! workspace, with TLS, users and headers as configured, one log of requests for both ([`RequestLog`])
//! and profiles of CPU and memory; the table from error kinds to status codes is in [`status`].

pub mod allocator;
pub mod cli;
mod component;
mod config_flag;
mod cpu_profile;
mod failure;
mod flags;
mod grpc;
mod health;
mod host;
mod http;
mod listener;
mod probe;
mod request_log;
mod send_timeout;
mod signals;
mod spans;
pub mod status;
mod tls;
mod web_config;

pub use tikv_jemallocator as __tikv_jemallocator;

pub use crate::component::{Component, Context, run, run_from};
pub use crate::config_flag::{ConfigFlag, PathOrContent};
pub use crate::failure::Failure;
pub use crate::flags::{CommonArgs, GrpcArgs, HttpArgs, LogArgs};
pub use crate::grpc::{GrpcServer, GrpcServices, MAX_MESSAGE_BYTES};
pub use crate::host::Host;
pub use crate::http::{HttpMetrics, HttpServer, is_cross_origin};
pub use crate::probe::Probe;
pub use crate::request_log::{RequestLog, RequestLogging};
