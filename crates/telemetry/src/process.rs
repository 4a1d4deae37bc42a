//! What every process shows: `thanos_build_info` and `process_*`.

use std::fs;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge, Opts};

use crate::registry::Registry;

/// Clock ticks per second in `/proc`: fixed by the kernel's interface on every Linux of today.
const TICKS_PER_SECOND: f64 = 100.0;

/// What this program was built from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuildInfo {
    /// Version of the workspace.
    pub version: &'static str,
    /// Commit, from the environment variable `RUTILE_REVISION` at build time.
    pub revision: &'static str,
    /// Branch, from the environment variable `RUTILE_BRANCH` at build time.
    pub branch: &'static str,
    /// Version of the compiler.
    pub compiler: &'static str,
}

impl BuildInfo {
    /// Of this build.
    pub const CURRENT: Self = Self {
        version: env!("CARGO_PKG_VERSION"),
        revision: match option_env!("RUTILE_REVISION") {
            Some(revision) => revision,
            None => "unknown",
        },
        branch: match option_env!("RUTILE_BRANCH") {
            Some(branch) => branch,
            None => "unknown",
        },
        compiler: concat!("rust", env!("CARGO_PKG_RUST_VERSION")),
    };

    /// The processor's name as Go spells it, which is what dashboards know.
    #[must_use]
    pub fn go_arch() -> &'static str {
        match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        }
    }
}

/// Adds `thanos_build_info` and the `process_*` metrics of Prometheus' client libraries.
pub fn register_process(registry: &Registry) {
    let build = BuildInfo::CURRENT;
    let labels = [
        "branch",
        "goarch",
        "goos",
        "goversion",
        "revision",
        "tags",
        "version",
    ];
    let help = "A metric with a constant '1' value, labelled with what the program was built from.";
    registry
        .gauge_vec("thanos_build_info", help, &labels)
        .with_label_values(&[
            build.branch,
            BuildInfo::go_arch(),
            std::env::consts::OS,
            build.compiler,
            build.revision,
            "unknown",
            build.version,
        ])
        .set(1.0);
    if let Ok(process) = Process::new() {
        registry.register(Box::new(process));
    }
}

/// Reads `/proc/self` at every scrape. What cannot be read keeps its last value.
struct Process {
    cpu_seconds: Counter,
    gauges: Vec<(Figure, Gauge)>,
    start_seconds: Gauge,
}

#[derive(Debug, Clone, Copy)]
enum Figure {
    OpenFds,
    MaxFds,
    VirtualBytes,
    ResidentBytes,
    Threads,
}

const FIGURES: [(Figure, &str, &str); 5] = [
    (
        Figure::OpenFds,
        "process_open_fds",
        "Number of open file descriptors.",
    ),
    (
        Figure::MaxFds,
        "process_max_fds",
        "Maximum number of open file descriptors.",
    ),
    (
        Figure::VirtualBytes,
        "process_virtual_memory_bytes",
        "Virtual memory size in bytes.",
    ),
    (
        Figure::ResidentBytes,
        "process_resident_memory_bytes",
        "Resident memory size in bytes.",
    ),
    (
        Figure::Threads,
        "process_threads",
        "Number of OS threads in the process.",
    ),
];

impl Process {
    fn new() -> prometheus::Result<Self> {
        let cpu_help = "Total user and system CPU time spent in seconds.";
        let start_help = "Start time of the process since unix epoch in seconds.";
        let mut gauges = Vec::new();
        for (figure, name, help) in FIGURES {
            gauges.push((figure, Gauge::with_opts(Opts::new(name, help))?));
        }
        Ok(Self {
            cpu_seconds: Counter::with_opts(Opts::new("process_cpu_seconds_total", cpu_help))?,
            start_seconds: Gauge::with_opts(Opts::new("process_start_time_seconds", start_help))?,
            gauges,
        })
    }

    fn update(&self) {
        if let Some(stat) = fs::read_to_string("/proc/self/stat")
            .ok()
            .and_then(|s| Stat::parse(&s))
        {
            let more = stat.cpu_seconds - self.cpu_seconds.get();
            if more > 0.0 {
                self.cpu_seconds.inc_by(more);
            }
            if let Some(boot) = boot_seconds() {
                self.start_seconds.set(boot + stat.start_seconds_after_boot);
            }
        }
        for (figure, gauge) in &self.gauges {
            if let Some(value) = figure.read() {
                gauge.set(value);
            }
        }
    }
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        let gauges = self
            .gauges
            .iter()
            .map(|(_, gauge)| gauge)
            .chain([&self.start_seconds]);
        gauges
            .flat_map(Collector::desc)
            .chain(self.cpu_seconds.desc())
            .collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.update();
        let gauges = self
            .gauges
            .iter()
            .map(|(_, gauge)| gauge)
            .chain([&self.start_seconds]);
        gauges
            .flat_map(Collector::collect)
            .chain(self.cpu_seconds.collect())
            .collect()
    }
}

impl Figure {
    fn read(self) -> Option<f64> {
        match self {
            Self::OpenFds => Some(fs::read_dir("/proc/self/fd").ok()?.count() as f64),
            Self::MaxFds => {
                let limits = fs::read_to_string("/proc/self/limits").ok()?;
                let line = limits
                    .lines()
                    .find_map(|line| line.strip_prefix("Max open files"))?;
                line.split_whitespace().next()?.parse().ok()
            }
            Self::VirtualBytes => Some(status("VmSize:")? * 1024.0),
            Self::ResidentBytes => Some(status("VmRSS:")? * 1024.0),
            Self::Threads => status("Threads:"),
        }
    }
}

/// A number of `/proc/self/status`.
fn status(field: &str) -> Option<f64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

fn boot_seconds() -> Option<f64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()
}

/// The fields of `/proc/self/stat` that are of use (proc_pid_stat(5)).
#[derive(Debug, PartialEq)]
struct Stat {
    cpu_seconds: f64,
    start_seconds_after_boot: f64,
}

impl Stat {
    /// The name of the program stands in parentheses and may hold anything, so count from the last
    /// one: after it come field 3 and on.
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
        Some(Self {
            cpu_seconds: (ticks(14)? + ticks(15)?) / TICKS_PER_SECOND,
            start_seconds_after_boot: ticks(22)? / TICKS_PER_SECOND,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_after_any_name() {
        let text = "7 (a b) c) S 1 1 1 0 -1 4194560 1 2 3 4 250 50 0 0 20 0 4 0 12300 1 2 3";
        let stat = Stat {
            cpu_seconds: 3.0,
            start_seconds_after_boot: 123.0,
        };
        assert_eq!(Stat::parse(text), Some(stat));
        assert_eq!(Stat::parse("garbage"), None);
        assert_eq!(Stat::parse("7 (x) S 1"), None);
    }

    #[test]
    fn shows_this_process() {
        let registry = Registry::new();
        register_process(&registry);
        let text = registry.render();
        let value = |name: &str| -> f64 {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .expect(name);
            line.trim().parse().expect(name)
        };
        assert!(value("process_resident_memory_bytes ") > 1e6);
        assert!(value("process_open_fds ") >= 3.0);
        assert!(value("process_max_fds ") >= value("process_open_fds "));
        assert!(value("process_threads ") >= 1.0);
        assert!(value("process_start_time_seconds ") > 1.7e9);
        assert!(value("process_cpu_seconds_total ") >= 0.0);
        assert!(text.contains("thanos_build_info{branch=\""));
        assert!(text.contains(&format!("version=\"{}\"}} 1", BuildInfo::CURRENT.version)));
    }
}
