//! Where the CPU time of this process goes, as a profile that `go tool pprof` reads.
//!
//! One profile at a time: the timer behind it belongs to the process.

mod pprof;
mod sampler;
mod symbols;

use std::time::Duration;

use rutile_runtime::{Clock, CpuPool};
use tokio::time::Instant;

use self::pprof::Taken;
pub(crate) use self::sampler::CannotSample;
use self::sampler::Sampling;

/// Samples for `duration` and returns the profile in pprof's format, compressed. Dropped, it stops.
pub(crate) async fn record(
    duration: Duration,
    clock: &dyn Clock,
    pool: &CpuPool,
) -> Result<Vec<u8>, CannotSample> {
    let started_ms = clock.now_ms();
    let sampling = Sampling::start()?;
    let began = Instant::now();
    tokio::time::sleep(duration).await;
    let duration = began.elapsed();
    // Looking symbols up takes seconds in a large binary.
    let encode = move || {
        let samples = sampling.finish();
        let taken = Taken {
            samples,
            started_ms,
            duration,
        };
        let profile = taken.encode();
        symbols::forget();
        profile
    };
    Ok(pool.run(encode).await)
}
