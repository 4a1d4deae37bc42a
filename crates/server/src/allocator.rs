//! The allocator of the binaries, and what it knows.
//!
//! A binary says `rutile_server::use_jemalloc!();` once, at the top of its `main.rs`. Allocations
//! are sampled (one in about 2 MiB: the 512 KiB of Go took two hundredths of the time of a Series call), so that
//! `/debug/pprof/heap` has an answer at any time; memory that was freed goes back to the system within seconds, or at
//! once when the process has more than it may. There is one arena for each processor instead of four: what one thread
//! frees, the next takes. With four, a compaction touched twice as many new pages. Long allocations begin with a page, as
//! reads and writes past the page cache ask for.

use std::ptr::null_mut;
use std::time::Duration;

use rutile_runtime::{Spawner, Task};
use rutile_telemetry::Registry;
use tikv_jemalloc_ctl::{epoch, stats};

/// How often it is looked at how much the process has.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Makes jemalloc the allocator of a binary, with heap profiles switched on.
#[macro_export]
macro_rules! use_jemalloc {
    () => {
        #[global_allocator]
        static ALLOCATOR: $crate::__tikv_jemallocator::Jemalloc =
            $crate::__tikv_jemallocator::Jemalloc;

        #[allow(
            non_upper_case_globals,
            unreachable_pub,
            unsafe_code,
            reason = "jemalloc reads this symbol"
        )]
        #[unsafe(export_name = "malloc_conf")]
        pub static malloc_conf: &[u8] =
            b"prof:true,prof_active:true,lg_prof_sample:21,background_thread:true,narenas_ratio:1,\
cache_oblivious:false,dirty_decay_ms:2000,muzzy_decay_ms:0\0";
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

/// Gives freed memory back at once whenever the process has more than `limit` bytes. What queries that failed have freed
/// would else stand beside what others allocate next: the double of the limit, for seconds. Ends with the task.
pub(crate) fn keep_within(limit: u64, tasks: &Spawner) -> Task<()> {
    let looking = async move {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        loop {
            looks.tick().await;
            if read(stats::resident::read) > limit as f64 {
                give_back();
            }
        }
    };
    tasks.spawn("allocator", looking).abort_on_drop()
}

/// Returns all pages that hold nothing to the system.
#[allow(unsafe_code, reason = "a call of C without a wrapper")]
fn give_back() {
    // SAFETY: the name ends with a zero, and the call neither reads nor writes through the other pointers. 4096 stands for
    // all arenas (MALLCTL_ARENAS_ALL).
    let failed = unsafe {
        tikv_jemalloc_sys::mallctl(
            c"arena.4096.purge".as_ptr(),
            null_mut(),
            null_mut(),
            null_mut(),
            0,
        )
    };
    if failed != 0 {
        tracing::debug!(failed, "jemalloc gives nothing back");
    }
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

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt as _;

    use rustix::param::page_size;

    use super::*;

    crate::use_jemalloc!();

    /// Looks at the very pages, for other tests of this process allocate meanwhile.
    #[tokio::test]
    async fn what_was_freed_goes_back() {
        // Too many pieces for the caches of a thread, and none of zeros: those would not be written to.
        let held: Vec<Vec<u8>> = (0..4096).map(|i| vec![i as u8 | 1; 32 << 10]).collect();
        let pieces: Vec<usize> = held.iter().map(|piece| piece.as_ptr().addr()).collect();
        assert_eq!(in_memory(&pieces), pieces.len());
        drop(held);
        let mut left = pieces.len();
        for _ in 0..10 {
            give_back();
            left = in_memory(&pieces);
            if left < pieces.len() / 10 {
                return;
            }
            // A thread of jemalloc that gives something back at this moment is left to it. The end of this loop comes
            // long before pages go by themselves.
            tokio::time::sleep(LOOK_EVERY / 10).await;
        }
        panic!("{left} of {}", pieces.len());
    }

    /// How many of the addresses lie in pages that are in memory (proc_pid_pagemap(5): bit 63).
    fn in_memory(addresses: &[usize]) -> usize {
        let map = File::open("/proc/self/pagemap").unwrap();
        let present = |address: &&usize| {
            let mut entry = [0; 8];
            let at = (**address / page_size()) * entry.len();
            map.read_exact_at(&mut entry, at as u64).unwrap();
            u64::from_ne_bytes(entry) >> 63 == 1
        };
        addresses.iter().filter(present).count()
    }
}
