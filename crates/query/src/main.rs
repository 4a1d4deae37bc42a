//! `rutile-query`: the querier.

use std::process::ExitCode;

rutile_server::use_jemalloc!();

fn main() -> ExitCode {
    rutile_server::run::<rutile_query::QueryComponent>()
}
