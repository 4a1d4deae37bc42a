//! The smallest component: it serves probes, metrics, and gRPC health and reflection.
//!
//! It shows how the parts fit together, and the tests of the process run it.

use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use clap::Args;
use rutile_model::ErrorKind;
use rutile_server::{
    Component, Context, Failure, GrpcArgs, GrpcServer, GrpcServices, HttpArgs, HttpServer,
    PathOrContent, RequestLogging,
};

rutile_server::use_jemalloc!();

#[derive(Debug, Args)]
struct MinimalArgs {
    #[command(flatten)]
    http: HttpArgs,
    #[command(flatten)]
    grpc: GrpcArgs,
    #[command(flatten)]
    request_logging: PathOrContent<RequestLogging>,
    /// Fail with this message after the start
    #[arg(long, default_value = "")]
    fail: String,
}

struct Minimal {
    http: HttpServer,
    grpc: GrpcServer,
    fail: String,
}

impl Component for Minimal {
    const NAME: &'static str = "minimal";
    const PROGRAM: &'static str = "rutile-minimal";
    const ABOUT: &'static str = "Does nothing, well.";
    type Args = MinimalArgs;

    async fn build(args: MinimalArgs, context: &Context) -> Result<Self, Failure> {
        let log = args.request_logging.request_log()?;
        let http = HttpServer::bind(&args.http, context).await?;
        let grpc = GrpcServer::bind(&args.grpc, context).await?;
        Ok(Self {
            http: http.log_requests(&log, context),
            grpc: grpc.log_requests(&log),
            fail: args.fail,
        })
    }

    async fn run(self, context: Context) -> Result<(), Failure> {
        let shutdown = || context.shutdown.clone();
        let http = context
            .tasks
            .spawn("http", self.http.serve(routes(), shutdown()));
        let grpc = self.grpc.serve(GrpcServices::new(), shutdown());
        let grpc = context.tasks.spawn("grpc", grpc);
        if !self.fail.is_empty() {
            return Err(Failure::message(ErrorKind::Unavailable, self.fail));
        }
        context.probe.set_ready();
        let lost = |error| Failure::new(ErrorKind::Internal, &error);
        http.await.map_err(lost)?;
        grpc.await.map_err(lost)??;
        Ok(())
    }

    fn drain_limit(args: &MinimalArgs) -> Duration {
        args.http
            .http_grace_period
            .to_std()
            .max(args.grpc.grpc_grace_period.to_std())
    }
}

/// Routes that never answer.
fn routes() -> Router {
    Router::new()
        .route("/hang", get(hang))
        .route("/busy", get(busy))
}

/// Takes a thread for itself, as nothing should.
async fn busy() {
    tracing::warn!("busy for good");
    loop {
        std::thread::park();
    }
}

async fn hang() {
    tracing::warn!("hanging until the client gives up");
    std::future::pending::<()>().await;
}

fn main() -> ExitCode {
    rutile_server::run::<Minimal>()
}
