//! The trait that a store implements and its clients call.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use rutile_proto::thanos::{
    LabelNamesRequest, LabelNamesResponse, LabelValuesRequest, LabelValuesResponse, SeriesRequest,
    info::InfoResponse,
};
use tokio::time::Instant;

use crate::{Frames, Result};

/// The tenant of a request that names none.
pub const DEFAULT_TENANT: &str = "default-tenant";

/// The answer to a Series call: encoded frames, one or more messages at a time.
///
/// Ends after the first error. Dropping it cancels the call.
pub type SeriesStream = BoxStream<'static, Result<Frames>>;

/// Who asks, and how long the answer is of use.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// Metadata `thanos-tenant`, or [`DEFAULT_TENANT`].
    pub tenant: Arc<str>,
    /// Metadata `request-id`, if there is exactly one.
    pub request_id: Option<Arc<str>>,
    /// When the caller stops waiting (`grpc-timeout`). The server enforces it; a store may use it to
    /// avoid work that comes too late.
    pub deadline: Option<Instant>,
}

impl Default for RequestContext {
    fn default() -> Self {
        Self {
            tenant: DEFAULT_TENANT.into(),
            request_id: None,
            deadline: None,
        }
    }
}

/// Anything that answers queries for series: a store gateway, a sidecar, a querier, a remote one.
///
/// Requests are the wire's own messages, not yet validated: the implementation refuses matchers that
/// do not compile, or none at all, with [`ErrorKind::Invalid`](rutile_model::ErrorKind::Invalid).
#[async_trait]
pub trait StoreApi: Send + Sync {
    /// The series that match, sorted by their full label sets.
    ///
    /// # Errors
    /// What is known before the first frame; later errors are items of the stream.
    async fn series(&self, ctx: RequestContext, request: SeriesRequest) -> Result<SeriesStream>;

    /// The sorted names of the labels of the series that match.
    ///
    /// # Errors
    /// `Invalid` for a wrong request, else what the store's reads return.
    async fn label_names(
        &self,
        ctx: RequestContext,
        request: LabelNamesRequest,
    ) -> Result<LabelNamesResponse>;

    /// The sorted values of one label of the series that match.
    ///
    /// # Errors
    /// `Invalid` for a wrong request, an empty label name among them, else what the store's reads
    /// return.
    async fn label_values(
        &self,
        ctx: RequestContext,
        request: LabelValuesRequest,
    ) -> Result<LabelValuesResponse>;

    /// What the component serves and which data it holds.
    ///
    /// # Errors
    /// `Unavailable` while the component is not ready.
    async fn info(&self, ctx: RequestContext) -> Result<InfoResponse>;
}
