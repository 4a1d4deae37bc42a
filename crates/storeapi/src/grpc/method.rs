//! Methods that answer with a stream of messages: those of the services beside the StoreAPI.
//!
//! A method is a type without values that names its service, its path and its messages, so that one
//! client and one server do for all of them.

use std::{
    convert::Infallible,
    fmt,
    marker::PhantomData,
    sync::Arc,
    task::{Context, Poll},
};

use async_trait::async_trait;
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
    routing::{future::RouteFuture, post},
};
use futures::{StreamExt, stream::BoxStream};
use prost::Message;
use rutile_proto::thanos::{
    ExemplarsRequest, ExemplarsResponse, MetricMetadataRequest, MetricMetadataResponse,
    RulesRequest, RulesResponse, TargetsRequest, TargetsResponse, TsdbStatisticsRequest,
    TsdbStatisticsResponse,
};
use tonic::server::NamedService;
use tower::Service;

use super::server::handle;
use crate::{Frames, RequestContext, Result};

/// The messages of an answer.
///
/// Ends after the first error. Dropping it cancels the call.
pub type MessageStream<M> = BoxStream<'static, Result<M>>;

/// A method of a gRPC service that takes one message and answers with any number of them.
pub trait Method: Send + Sync + 'static {
    /// What is asked.
    type Request: Message + Default + 'static;
    /// What is answered.
    type Response: Message + Default + 'static;
    /// The service, with its package.
    const SERVICE: &'static str;
    /// The path: service and method.
    const PATH: &'static str;
}

/// Answers the calls of a method.
#[async_trait]
pub trait Answers<M: Method>: Send + Sync {
    /// The answer to one call.
    ///
    /// # Errors
    /// What is known before the first message; later errors are items of the stream.
    async fn answer(
        &self,
        ctx: RequestContext,
        request: M::Request,
    ) -> Result<MessageStream<M::Response>>;
}

/// `thanos.Rules/Rules`: recording and alerting rules.
#[derive(Debug)]
pub enum Rules {}

/// `thanos.Targets/Targets`: what is scraped.
#[derive(Debug)]
pub enum Targets {}

/// `thanos.Metadata/MetricMetadata`: types, units and help texts of metrics.
#[derive(Debug)]
pub enum MetricMetadata {}

/// `thanos.Exemplars/Exemplars`: samples with labels of their own.
#[derive(Debug)]
pub enum Exemplars {}

/// `thanos.Status/TSDBStatistics`: what fills the databases.
#[derive(Debug)]
pub enum TsdbStatistics {}

/// A service of this one method.
///
/// Requests may be compressed with snappy, zstd or gzip and are answered likewise. Metadata becomes
/// the [`RequestContext`]; the deadline ends the call. Panics are not caught here.
pub struct MethodServer<M> {
    router: Router,
    method: PhantomData<fn() -> M>,
}

impl Method for Rules {
    type Request = RulesRequest;
    type Response = RulesResponse;
    const SERVICE: &'static str = "thanos.Rules";
    const PATH: &'static str = "/thanos.Rules/Rules";
}

impl Method for Targets {
    type Request = TargetsRequest;
    type Response = TargetsResponse;
    const SERVICE: &'static str = "thanos.Targets";
    const PATH: &'static str = "/thanos.Targets/Targets";
}

impl Method for MetricMetadata {
    type Request = MetricMetadataRequest;
    type Response = MetricMetadataResponse;
    const SERVICE: &'static str = "thanos.Metadata";
    const PATH: &'static str = "/thanos.Metadata/MetricMetadata";
}

impl Method for Exemplars {
    type Request = ExemplarsRequest;
    type Response = ExemplarsResponse;
    const SERVICE: &'static str = "thanos.Exemplars";
    const PATH: &'static str = "/thanos.Exemplars/Exemplars";
}

impl Method for TsdbStatistics {
    type Request = TsdbStatisticsRequest;
    type Response = TsdbStatisticsResponse;
    const SERVICE: &'static str = "thanos.Status";
    const PATH: &'static str = "/thanos.Status/TSDBStatistics";
}

impl<M: Method> MethodServer<M> {
    /// Answers from `answers`.
    pub fn new(answers: Arc<impl Answers<M> + 'static>) -> Self {
        let answers: Arc<dyn Answers<M>> = answers;
        Self {
            router: Router::new()
                .route(M::PATH, post(serve::<M>))
                .with_state(answers),
            method: PhantomData,
        }
    }
}

impl<M: Method> NamedService for MethodServer<M> {
    const NAME: &'static str = M::SERVICE;
}

impl<M: Method> Service<http::Request<tonic::body::Body>> for MethodServer<M> {
    type Response = Response;
    type Error = Infallible;
    type Future = RouteFuture<Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        self.router.call(request.map(Body::new))
    }
}

impl<M> Clone for MethodServer<M> {
    fn clone(&self) -> Self {
        Self {
            router: self.router.clone(),
            method: PhantomData,
        }
    }
}

impl<M: Method> fmt::Debug for MethodServer<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MethodServer")
            .field("path", &M::PATH)
            .finish_non_exhaustive()
    }
}

async fn serve<M: Method>(
    State(answers): State<Arc<dyn Answers<M>>>,
    request: Request,
) -> Response {
    let answer = async |ctx, message| {
        let messages = answers.answer(ctx, message).await?;
        Ok(messages.map(|message| Frames::encode(&message?)).boxed())
    };
    handle(request, answer).await
}
