//! What a command that goes on listens for: probes, metrics, profiles.

use anyhow::{Result, anyhow};
use axum::Router;
use rutile_runtime::{Ledger, TaskGroup};
use rutile_server::{Context, HttpArgs, HttpServer};
use rutile_telemetry::{Registry, register_process};

/// Serves them as long as `tasks` live. What the command registers here is among its metrics.
///
/// # Errors
/// What is wrong with the flags; that somebody else has the address.
pub(super) async fn listen(
    args: &HttpArgs,
    component: &'static str,
    ledger: Ledger,
    tasks: &TaskGroup,
) -> Result<Registry> {
    let context = Context::new(component, ledger, tasks);
    register_process(&context.registry);
    let server = HttpServer::bind(args, &context);
    let server = server.await.map_err(|failure| anyhow!("{failure}"))?;
    let serving = server.serve(Router::new(), context.shutdown.clone());
    let serving = async move {
        serving.await;
    };
    drop(context.tasks.spawn("http", serving));
    context.probe.set_ready();
    Ok(context.registry)
}
