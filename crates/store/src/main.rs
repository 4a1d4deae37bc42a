//! `rutile-store`: the store gateway.

use std::process::ExitCode;

rutile_server::use_jemalloc!();

fn main() -> ExitCode {
    rutile_server::run::<rutile_store::StoreComponent>()
}
