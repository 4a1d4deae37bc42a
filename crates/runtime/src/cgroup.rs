//! How much memory this process may use: the limit of its cgroup, else that of the machine.

use std::path::{Path, PathBuf};

/// Unlimited cgroups of version 1 show a number near `i64::MAX`; nothing real is this large.
const UNLIMITED: u64 = 1 << 62;

/// The memory that this process may use before the kernel ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryLimit {
    /// In bytes.
    pub bytes: u64,
    /// Where the figure comes from.
    pub source: MemoryLimitSource,
}

/// Where a [`MemoryLimit`] was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryLimitSource {
    /// The cgroup of the process or one above it (version 1 or 2).
    Cgroup,
    /// No cgroup limits it: the memory of the machine.
    Machine,
}

impl MemoryLimit {
    /// Reads the limit from `/proc` and `/sys`; `None` where there is neither.
    #[must_use]
    pub fn detect() -> Option<Self> {
        Self::detect_below(Path::new("/"))
    }

    /// `fraction` of the limit, in bytes; a fraction outside 0 to 1 is brought into it.
    #[must_use]
    pub fn fraction(&self, fraction: f64) -> u64 {
        // Rounding is of no concern here: 53 bits of mantissa are plenty for a share of memory.
        (self.bytes as f64 * fraction.clamp(0.0, 1.0)) as u64
    }

    fn detect_below(root: &Path) -> Option<Self> {
        let machine = machine_memory(root);
        match (cgroup_limit(root), machine) {
            (Some(bytes), None) => Some(Self {
                bytes,
                source: MemoryLimitSource::Cgroup,
            }),
            (Some(bytes), Some(total)) if bytes < total => Some(Self {
                bytes,
                source: MemoryLimitSource::Cgroup,
            }),
            (_, total) => total.map(|bytes| Self {
                bytes,
                source: MemoryLimitSource::Machine,
            }),
        }
    }
}

fn machine_memory(root: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The smallest limit among the cgroup of the process and those above it.
///
/// Inside a container the path of `/proc/self/cgroup` may not exist below the mount; then the walk
/// up ends at the mount itself, which is the container's own cgroup.
fn cgroup_limit(root: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    text.lines()
        .filter_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let (controllers, path) = (parts.next()?, parts.next()?);
            let (mount, file) = if controllers.is_empty() {
                ("sys/fs/cgroup", "memory.max")
            } else if controllers.split(',').any(|name| name == "memory") {
                ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
            } else {
                return None;
            };
            smallest_limit(&root.join(mount), path.trim_start_matches('/'), file)
        })
        .min()
}

fn smallest_limit(mount: &Path, path: &str, file: &str) -> Option<u64> {
    let mut folder = mount.join(path);
    let mut smallest = None;
    loop {
        let limit = read_limit(folder.join(file));
        smallest = [smallest, limit].into_iter().flatten().min();
        if folder == mount || !folder.pop() || !folder.starts_with(mount) {
            return smallest;
        }
    }
}

/// `None` for a file that is missing, and for `max`.
fn read_limit(file: PathBuf) -> Option<u64> {
    let bytes: u64 = std::fs::read_to_string(file).ok()?.trim().parse().ok()?;
    (bytes < UNLIMITED).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_of(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    fn detect(files: &[(&str, &str)]) -> Option<MemoryLimit> {
        MemoryLimit::detect_below(folder_of(files).path())
    }

    const MEMINFO: (&str, &str) = ("proc/meminfo", "MemTotal:        1000 kB\nMemFree: 1 kB\n");

    fn check(files: &[(&str, &str)], bytes: u64, source: MemoryLimitSource) {
        let mut all = vec![MEMINFO];
        all.extend_from_slice(files);
        assert_eq!(detect(&all), Some(MemoryLimit { bytes, source }));
    }

    #[test]
    fn the_smallest_limit_wins() {
        use MemoryLimitSource::{Cgroup, Machine};
        check(&[], 1_024_000, Machine);
        let v2 = ("proc/self/cgroup", "0::/pod/app\n");
        check(
            &[v2, ("sys/fs/cgroup/pod/app/memory.max", "5000\n")],
            5000,
            Cgroup,
        );
        check(
            &[v2, ("sys/fs/cgroup/pod/app/memory.max", "max\n")],
            1_024_000,
            Machine,
        );
        let inner = ("sys/fs/cgroup/pod/app/memory.max", "max\n");
        check(
            &[v2, inner, ("sys/fs/cgroup/pod/memory.max", "4000\n")],
            4000,
            Cgroup,
        );
        // A container sees its own cgroup at the mount, whatever its path is called outside.
        check(&[v2, ("sys/fs/cgroup/memory.max", "3000\n")], 3000, Cgroup);
        // More than the machine has is no limit.
        check(
            &[v2, ("sys/fs/cgroup/memory.max", "9000000\n")],
            1_024_000,
            Machine,
        );
        let v1 = (
            "proc/self/cgroup",
            "12:cpu,cpuacct:/x\n5:memory:/docker/1\n",
        );
        let file = "sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes";
        check(&[v1, (file, "2000\n")], 2000, Cgroup);
        check(&[v1, (file, "9223372036854771712\n")], 1_024_000, Machine);
    }

    #[test]
    fn nothing_to_read_is_none() {
        assert_eq!(detect(&[]), None);
        assert_eq!(detect(&[("proc/meminfo", "garbage")]), None);
    }

    #[test]
    fn fraction_is_clamped() {
        let limit = MemoryLimit {
            bytes: 1000,
            source: MemoryLimitSource::Machine,
        };
        assert_eq!(limit.fraction(0.8), 800);
        assert_eq!(limit.fraction(7.0), 1000);
        assert_eq!(limit.fraction(-1.0), 0);
    }
}
