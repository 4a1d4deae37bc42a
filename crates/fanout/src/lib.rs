//! The endpoint set of a querier, and the proxies that ask all in it as if they were one: its stores,
//! and those who know of rules, targets, metadata, exemplars or statistics.
//!
//! Owns which endpoints are known, healthy and worth asking, and what the failure of one of them
//! means for an answer: under partial response a warning that names it, else an error. Promises that
//! what one store does, or does not do, never takes from what the others answer, and that nothing is
//! left out without a word. Never evaluates anything, and never stores what passes.

mod calls;
mod chain;
mod endpoints;
mod fanout;
mod labels;
mod metadata;
mod metrics;
mod patience;
mod proxies;
mod select;
mod series;
mod stores;

pub use calls::{Call, ClientMetrics, Method};
pub use endpoints::{ConnectionLabel, Endpoint, EndpointStatus, Endpoints, EndpointsConfig};
pub use fanout::{Fanout, FanoutConfig, Retrieval};
pub use metadata::{Metadata, Tsdb};
pub use metrics::{endpoint_dns_metrics, group_dns_metrics};
pub use proxies::{Merged, Proxies, ProxiesConfig, of_all_tenants};
pub use stores::{Absent, Known, Store, Stores};
