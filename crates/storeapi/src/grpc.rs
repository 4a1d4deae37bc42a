//! The StoreAPI and its sisters on the wire: gRPC over HTTP/2, both sides.
//!
//! gRPC's own framing is a prefix of five bytes to a message, a status in the trailers, and a name
//! for the compression. It is written here, on top of hyper's bodies, because a general codec copies
//! each message into a buffer of its own and knows no snappy, which is what Thanos compresses with.
//! The transport (connections, TLS, HTTP/2) is tonic's and hyper's.

mod body;
mod client;
mod compression;
mod deframer;
mod method;
mod server;
mod status;

pub use body::FramesBody;
pub use client::{Client, ClientOptions};
pub use compression::Compression;
pub use method::{
    Answers, Exemplars, MessageStream, Method, MethodServer, MetricMetadata, Rules, Targets,
    TsdbStatistics,
};
pub use server::{InfoServer, StoreServer, handle, into_response};
pub use status::{from_status, to_status};

/// `content-type` of requests and answers.
const CONTENT_TYPE: http::HeaderValue = http::HeaderValue::from_static("application/grpc");
/// Header: the compression of the messages that follow.
const GRPC_ENCODING: http::HeaderName = http::HeaderName::from_static("grpc-encoding");
/// Header: the compressions that the sender can read.
const GRPC_ACCEPT_ENCODING: http::HeaderName =
    http::HeaderName::from_static("grpc-accept-encoding");
/// Header: how long the caller waits, up to eight digits and a unit.
const GRPC_TIMEOUT: http::HeaderName = http::HeaderName::from_static("grpc-timeout");
/// Header: the tenant, for limits and metrics.
const TENANT: http::HeaderName = http::HeaderName::from_static("thanos-tenant");
/// Header: the id that ties the log lines of one request together.
const REQUEST_ID: http::HeaderName = http::HeaderName::from_static("request-id");

/// The methods, as paths.
mod path {
    pub(super) const SERIES: &str = "/thanos.Store/Series";
    pub(super) const LABEL_NAMES: &str = "/thanos.Store/LabelNames";
    pub(super) const LABEL_VALUES: &str = "/thanos.Store/LabelValues";
    pub(super) const INFO: &str = "/thanos.info.Info/Info";
}

#[cfg(test)]
mod tests;
