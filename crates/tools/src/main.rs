//! `rutile-tools`: look at a bucket, mark and upload blocks, ask a StoreAPI server.

use std::process::ExitCode;

fn main() -> ExitCode {
    rutile_tools::main()
}
