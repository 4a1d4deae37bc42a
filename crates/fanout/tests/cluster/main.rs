//! The proxy and the endpoint set over real gRPC servers, well and ill behaved.
#![expect(clippy::unwrap_used, reason = "a test may fail by it")]

mod conformance;
mod endpoints;
mod failures;
mod proxies;
mod scripted;
mod support;
