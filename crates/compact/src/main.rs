//! `rutile-compact`: the compactor.

use std::process::ExitCode;

rutile_server::use_jemalloc!();

fn main() -> ExitCode {
    rutile_server::run::<rutile_compact::CompactComponent>()
}
