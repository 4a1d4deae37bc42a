//! The gRPC health service, which follows readiness.

use std::pin::Pin;

use futures::{Stream, StreamExt};
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::probe::Probe;

/// Knows one service, the whole server, whose name is empty, as in the reference.
#[derive(Debug)]
pub(crate) struct HealthService {
    probe: Probe,
}

impl HealthService {
    pub(crate) fn new(probe: Probe) -> Self {
        Self { probe }
    }
}

#[tonic::async_trait]
impl Health for HealthService {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if request.get_ref().service.is_empty() {
            Ok(Response::new(response(serving(self.probe.is_ready()))))
        } else {
            Err(Status::not_found("unknown service"))
        }
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let stream: Self::WatchStream = if request.get_ref().service.is_empty() {
            let readiness = self.probe.readiness();
            Box::pin(readiness.map(|ready| Ok(response(serving(ready)))))
        } else {
            // The service may appear later, says the protocol; here it never does.
            let unknown = Ok(response(ServingStatus::ServiceUnknown));
            Box::pin(futures::stream::once(async { unknown }).chain(futures::stream::pending()))
        };
        Ok(Response::new(stream))
    }
}

fn serving(ready: bool) -> ServingStatus {
    if ready {
        ServingStatus::Serving
    } else {
        ServingStatus::NotServing
    }
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status.into(),
    }
}
