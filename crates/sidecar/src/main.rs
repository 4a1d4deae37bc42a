//! `rutile-sidecar`: the component beside a Prometheus.

use std::process::ExitCode;

rutile_server::use_jemalloc!();

fn main() -> ExitCode {
    rutile_server::run::<rutile_sidecar::SidecarComponent>()
}
