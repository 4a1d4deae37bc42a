//! The flags of the querier: names, defaults and meaning are Thanos's.

mod endpoints;
mod features;
mod query;
mod web;

use clap::Args;
use rutile_server::{Failure, GrpcArgs, HttpArgs, PathOrContent, RequestLogging, config_flag};

pub(crate) use endpoints::EndpointArgs;
pub(crate) use features::FeatureArgs;
pub(crate) use query::QueryFlags;
pub(crate) use web::{TenancyArgs, WebArgs};

/// All flags of `rutile-query` but those that every component has.
#[derive(Debug, Clone, Args)]
pub struct QueryArgs {
    #[command(flatten)]
    pub(crate) http: HttpArgs,
    #[command(flatten)]
    pub(crate) grpc: GrpcArgs,
    #[command(flatten)]
    pub(crate) endpoints: EndpointArgs,
    #[command(flatten)]
    pub(crate) query: QueryFlags,
    #[command(flatten)]
    pub(crate) features: FeatureArgs,
    #[command(flatten)]
    pub(crate) web: WebArgs,
    #[command(flatten)]
    pub(crate) tenancy: TenancyArgs,
    #[command(flatten)]
    pub(crate) request_logging: PathOrContent<RequestLogging>,
}

config_flag!(
    /// Which stores are asked.
    Selector, "selector.relabel-config",
    "relabelling (keep, drop, hashmod) of the label sets of stores: a store without a set left is not asked"
);
config_flag!(
    /// Endpoints, with how to connect to them.
    EndpointSd, "endpoint.sd-config", "endpoints, and how to connect to them; a file is read again when it changes"
);

fn invalid(message: impl Into<String>) -> Failure {
    Failure::usage(message)
}

/// The first flag of these that is set is refused.
fn refuse(set: &[(&str, bool)]) -> Result<(), Failure> {
    match set.iter().find(|(_, is_set)| *is_set) {
        Some((flag, _)) => Err(Failure::unsupported_flag(flag)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
