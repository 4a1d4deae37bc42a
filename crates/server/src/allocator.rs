//! The allocator of the binaries, and what it knows.
//!
//! A binary says `rutile_server::use_jemalloc!();` once, at the top of its `main.rs`. Allocations
//! are sampled (one in about 512 KiB, as Go does), so that `/debug/pprof/heap` has an answer at any
//! time; memory that was freed goes back to the system within seconds.

use rutile_telemetry::Registry;
use tikv_jemalloc_ctl::{epoch, stats};

/// Makes jemalloc the allocator of a binary, with heap profiles switched on.
#[macro_export]
macro_rules! use_jemalloc {
    () => {
        #[global_allocator]
        static ALLOCATOR: $crate::__tikv_jemallocator::Jemalloc =
            $crate::__tikv_jemallocator::Jemalloc;

        #[allow(
            non_upper_case_globals,
            unsafe_code,
            reason = "jemalloc reads this symbol"
        )]
        #[unsafe(export_name = "malloc_conf")]
        pub static malloc_conf: &[u8] =
            b"prof:true,prof_active:true,lg_prof_sample:19,background_thread:true,\
dirty_decay_ms:2000,muzzy_decay_ms:0\0";
    };
}

/// Adds what dashboards read under Go's names and jemalloc has an honest equivalent of.
///
/// `go_memstats_alloc_bytes` and `go_memstats_heap_alloc_bytes` are the bytes that the program
/// holds allocated, `go_memstats_heap_inuse_bytes` the pages that they lie in,
/// `go_memstats_heap_sys_bytes` what was taken from the system and not given back.
pub(crate) fn register(registry: &Registry) {
    let allocated = || read(stats::allocated::read);
    let help = "Number of bytes allocated and still in use.";
    registry.gauge_fn("go_memstats_alloc_bytes", help, allocated);
    let help = "Number of heap bytes allocated and still in use.";
    registry.gauge_fn("go_memstats_heap_alloc_bytes", help, allocated);
    let help = "Number of heap bytes that are in use.";
    registry.gauge_fn("go_memstats_heap_inuse_bytes", help, || {
        read(stats::active::read)
    });
    let help = "Number of heap bytes obtained from system.";
    registry.gauge_fn("go_memstats_heap_sys_bytes", help, || {
        read(stats::mapped::read)
    });
}

/// Figures are those of the last epoch, so begin a new one.
fn read(figure: impl Fn() -> Result<usize, tikv_jemalloc_ctl::Error>) -> f64 {
    epoch::advance()
        .and_then(|_| figure())
        .map_or(f64::NAN, |bytes| bytes as f64)
}

/// The heap profile in pprof's format, compressed.
pub(crate) async fn heap_profile() -> Result<Vec<u8>, String> {
    let Some(control) = jemalloc_pprof::PROF_CTL.as_ref() else {
        return Err("this binary does not sample its allocations".to_owned());
    };
    let mut control = control.lock().await;
    if !control.activated() {
        return Err("sampling of allocations is switched off".to_owned());
    }
    control.dump_pprof().map_err(|error| format!("{error:#}"))
}
