//! Several components in one process: what each would listen for is served by their host.

use std::net::SocketAddr;

use axum::Router;
use tokio::sync::watch;

/// Takes the routes of the components that it houses, instead of a listener for each. Clones share it.
///
/// gRPC stays a listener of each component: it is how they talk to each other.
#[derive(Debug, Clone, Default)]
pub struct Host {
    taken: watch::Sender<Vec<Taken>>,
}

/// A component at its host.
#[derive(Debug, Clone)]
pub(crate) struct Guest {
    host: Host,
    component: &'static str,
}

/// What a component has handed over so far.
#[derive(Debug, Default)]
struct Taken {
    component: &'static str,
    routes: Option<Router>,
    grpc: Option<SocketAddr>,
}

impl Host {
    /// A host without guests.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn guest(&self, component: &'static str) -> Guest {
        Guest {
            host: self.clone(),
            component,
        }
    }

    /// The address of a component's gRPC listener, once it is built.
    #[must_use]
    pub fn grpc_address(&self, component: &str) -> Option<SocketAddr> {
        let taken = self.taken.borrow();
        taken.iter().find(|of| of.component == component)?.grpc
    }

    /// The routes of a component, as soon as it serves them.
    pub async fn routes(&self, component: &str) -> Router {
        let routes = |taken: &Vec<Taken>| {
            let of = taken.iter().find(|of| of.component == component)?;
            of.routes.clone()
        };
        let mut taken = self.taken.subscribe();
        // The sender lives as long as this borrow, so waiting cannot fail.
        let found = taken.wait_for(|taken| routes(taken).is_some()).await;
        found
            .ok()
            .and_then(|taken| routes(&taken))
            .unwrap_or_default()
    }

    fn take(&self, component: &'static str, change: impl FnOnce(&mut Taken)) {
        self.taken.send_modify(|taken| {
            let known = taken.iter().position(|of| of.component == component);
            let at = known.unwrap_or_else(|| {
                taken.push(Taken {
                    component,
                    ..Taken::default()
                });
                taken.len() - 1
            });
            change(&mut taken[at]);
        });
    }
}

impl Guest {
    pub(crate) fn take_routes(&self, routes: Router) {
        self.host
            .take(self.component, |of| of.routes = Some(routes));
    }

    pub(crate) fn take_grpc(&self, address: SocketAddr) {
        self.host.take(self.component, |of| of.grpc = Some(address));
    }
}
