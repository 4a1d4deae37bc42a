//! How far the merges under way have come: as metrics, and as a line on a terminal.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rutile_block::BlockId;
use rutile_merge::{Progress, ProgressSnapshot};
use rutile_telemetry::Registry;
use tokio::time::Instant;

/// How often the line on the terminal is written anew.
const REFRESH: Duration = Duration::from_millis(500);

/// The merges under way.
#[derive(Debug, Default)]
pub(crate) struct Tracker(Mutex<BTreeMap<BlockId, Running>>);

#[derive(Debug)]
struct Running {
    progress: Arc<Progress>,
    started: Instant,
}

/// A merge that is shown until this is dropped.
#[derive(Debug)]
pub(crate) struct Shown {
    tracker: Arc<Tracker>,
    output: BlockId,
    pub(crate) progress: Arc<Progress>,
}

/// All merges under way, summed up.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Summary {
    merges: usize,
    counters: ProgressSnapshot,
    /// Bytes that are read, both of inputs and of outputs, in a second.
    rate: f64,
    /// Until the last one ends, at that rate; none until the sizes are known.
    seconds_left: Option<f64>,
}

impl Tracker {
    /// A tracker that is shown in the metrics.
    pub(crate) fn new(registry: &Registry) -> Arc<Self> {
        let this = Arc::new(Self::default());
        let gauge = |name: &str, help: &str, read: fn(&Summary) -> f64| {
            let this = Arc::clone(&this);
            registry.gauge_fn(name, help, move || read(&this.summary()));
        };
        gauge("rutile_compact_merges_running", "Merges under way.", |s| {
            s.merges as f64
        });
        gauge(
            "rutile_compact_merge_total_bytes",
            "Bytes of the inputs of the merges under way.",
            |s| s.counters.total_bytes as f64,
        );
        gauge(
            "rutile_compact_merge_read_bytes",
            "Bytes that the merges under way have read of their inputs.",
            |s| s.counters.read_bytes as f64,
        );
        gauge(
            "rutile_compact_merge_written_bytes",
            "Bytes that the merges under way have written.",
            |s| s.counters.written_bytes as f64,
        );
        gauge(
            "rutile_compact_merge_verified_bytes",
            "Bytes that the merges under way have read back of their outputs.",
            |s| s.counters.verified_bytes as f64,
        );
        gauge(
            "rutile_compact_merge_series",
            "Series that the merges under way have merged.",
            |s| s.counters.series as f64,
        );
        gauge(
            "rutile_compact_merge_bytes_per_second",
            "Bytes that the merges under way read in a second.",
            |s| s.rate,
        );
        gauge(
            "rutile_compact_merge_seconds_left",
            "Time until the merges under way end, as far as can be told; 0 when there are none.",
            |s| s.seconds_left.unwrap_or(0.0),
        );
        this
    }

    /// A merge begins.
    pub(crate) fn begin(self: &Arc<Self>, output: BlockId) -> Shown {
        let progress = Arc::new(Progress::default());
        let running = Running {
            progress: Arc::clone(&progress),
            started: Instant::now(),
        };
        self.0.lock().insert(output, running);
        Shown {
            tracker: Arc::clone(self),
            output,
            progress,
        }
    }

    fn summary(&self) -> Summary {
        let running = self.0.lock();
        let merges = running.values();
        let all = merges.map(|one| (one.progress.snapshot(), one.started.elapsed()));
        Summary::of(all)
    }

    /// Writes the line until it is dropped, if standard error is a terminal.
    pub(crate) async fn show(self: Arc<Self>) {
        if !std::io::stderr().is_terminal() {
            return;
        }
        let mut shown = false;
        loop {
            tokio::time::sleep(REFRESH).await;
            let summary = self.summary();
            let line = match summary.merges {
                0 if !shown => continue,
                0 => String::new(),
                _ => summary.to_string(),
            };
            shown = summary.merges > 0;
            // Back to the start of the line, and all of it erased. A terminal that is gone is no
            // reason to end.
            write!(std::io::stderr(), "\r\x1b[K{line}").ok();
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.tracker.0.lock().remove(&self.output);
    }
}

impl Summary {
    fn of(merges: impl Iterator<Item = (ProgressSnapshot, Duration)>) -> Self {
        let mut all = Self::default();
        for (one, elapsed) in merges {
            let sum = &mut all.counters;
            sum.total_bytes += one.total_bytes;
            sum.read_bytes += one.read_bytes;
            sum.written_bytes += one.written_bytes;
            sum.verified_bytes += one.verified_bytes;
            sum.total_series += one.total_series;
            sum.series += one.series;
            sum.chunks += one.chunks;
            all.merges += 1;
            let seconds = elapsed.as_secs_f64();
            if seconds > 0.0 {
                all.rate += (one.read_bytes + one.verified_bytes) as f64 / seconds;
            }
            if let Some(done) = one.fraction().filter(|done| *done > 0.0) {
                let left = seconds * (1.0 - done) / done;
                all.seconds_left = Some(all.seconds_left.unwrap_or(0.0).max(left));
            }
        }
        all
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MIB: f64 = 1_048_576.0;
        let ProgressSnapshot {
            total_bytes,
            read_bytes,
            total_series,
            series,
            ..
        } = self.counters;
        let percent = self.counters.fraction().unwrap_or(0.0) * 100.0;
        write!(
            f,
            "{} merging: {percent:.0} %, {:.0} of {:.0} MiB, {series} of {total_series} series, {:.0} MiB/s",
            self.merges,
            read_bytes as f64 / MIB,
            total_bytes as f64 / MIB,
            self.rate / MIB
        )?;
        match self.seconds_left {
            Some(left) => write!(f, ", {left:.0} s left"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(total: u64, read: u64) -> ProgressSnapshot {
        ProgressSnapshot {
            total_bytes: total << 20,
            read_bytes: read << 20,
            written_bytes: read << 20,
            total_series: 100,
            series: read,
            ..ProgressSnapshot::default()
        }
    }

    #[test]
    fn merges_are_summed_up_for_people() {
        let of = |merges: &[(u64, u64, u64)]| {
            let merges = merges.iter();
            let merges =
                merges.map(|(all, read, s)| (snapshot(*all, *read), Duration::from_secs(*s)));
            Summary::of(merges).to_string()
        };
        assert_eq!(
            of(&[(100, 50, 10)]),
            "1 merging: 25 %, 50 of 100 MiB, 50 of 100 series, 5 MiB/s, 30 s left"
        );
        assert_eq!(
            of(&[(100, 50, 10), (100, 10, 10)]),
            "2 merging: 15 %, 60 of 200 MiB, 60 of 200 series, 6 MiB/s, 190 s left"
        );
        assert_eq!(
            of(&[(0, 0, 0)]),
            "1 merging: 0 %, 0 of 0 MiB, 0 of 100 series, 0 MiB/s"
        );
    }

    #[test]
    fn a_merge_is_shown_while_it_runs() {
        let registry = Registry::new();
        let tracker = Tracker::new(&registry);
        let shown = tracker.begin(BlockId::default());
        assert!(
            registry
                .render()
                .contains("rutile_compact_merges_running 1")
        );
        drop(shown);
        assert!(
            registry
                .render()
                .contains("rutile_compact_merges_running 0")
        );
    }
}
