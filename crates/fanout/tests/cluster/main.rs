//! The proxy and the endpoint set over real gRPC servers, well and ill behaved.
#![expect(clippy::unwrap_used, reason = "a test may fail by it")]

mod absent;
mod ahead;
mod conformance;
mod deadline;
mod encrypted;
mod endpoints;
mod failures;
mod groups;
mod proxies;
mod scripted;
mod support;
