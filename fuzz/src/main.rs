//! One fuzzer for all decoders: `RUTILE_FUZZ_TARGET` says which; without it they are listed.
//!
//! A decoder must neither panic nor allocate much more than its input is long. `alloc` sees to the
//! second: a single allocation that is too long ends the process as a crash does.

#![no_main]

mod alloc;
mod targets;

use std::sync::OnceLock;

use targets::{TARGETS, Target};

static TARGET: OnceLock<&'static Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(
    init: {
        let name = std::env::var("RUTILE_FUZZ_TARGET").unwrap_or_default();
        let Some(target) = TARGETS.iter().find(|target| target.name == name) else {
            for target in TARGETS {
                println!("{}", target.name);
            }
            // Not an exit code of libFuzzer when somebody mistyped a name.
            std::process::exit(if name.is_empty() { 0 } else { 2 });
        };
        TARGET.get_or_init(|| target);
    },
    |data: &[u8]| {
        if let Some(target) = TARGET.get() {
            alloc::limited(data.len(), target.fixed, || (target.run)(data));
        }
    }
);
