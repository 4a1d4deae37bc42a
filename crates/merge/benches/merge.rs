//! Merges the blocks of a bucket folder into one, and says how long that took.
//!
//! `cargo bench -p rutile-merge -- <bucket folder>`: the output is left in the folder.
#![expect(clippy::print_stdout, reason = "it is what it is for")]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use rutile_block::{BlockId, Contract, Meta};
use rutile_disk::{AsyncDisk, OsDisk};
use rutile_lifecycle::{HashFunc, Lifecycle};
use rutile_merge::{Concatenate, MergePlan, Merger, Progress};
use rutile_objstore::{Bucket, FilesystemBucket};
use rutile_runtime::{Clock as _, CpuPool, Ledger, SystemClock, SystemEntropy, TaskGroup};
use rutile_telemetry::Registry;
use tokio::time::Instant;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[tokio::main]
async fn main() {
    let folder = std::env::args().skip(1).find(|arg| !arg.starts_with("--"));
    let Some(folder) = folder.map(PathBuf::from) else {
        println!("no bucket folder given");
        return;
    };
    let metas: Vec<Meta> = rutile_testkit::block_dirs(&folder)
        .iter()
        .map(|dir| {
            let name = dir.file_name().and_then(|name| name.to_str());
            let id = name
                .and_then(BlockId::parse_dir_name)
                .expect("a block's folder");
            let json = fs::read(dir.join("meta.json")).expect("meta.json");
            Meta::parse(id, &json).expect("metadata")
        })
        .collect();
    let bucket: Arc<dyn Bucket> = Arc::new(FilesystemBucket::new(&folder).expect("a folder"));
    let group = TaskGroup::new("bench");
    let pool = CpuPool::for_this_machine();
    let clock = Arc::new(SystemClock);
    let registry = Registry::new();
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let disk = Arc::new(OsDisk::open(scratch.path()).expect("a scratch folder"));
    let lifecycle = Lifecycle::new(Arc::clone(&bucket), clock, Contract::default(), &registry);
    let merger = Merger {
        bucket,
        lifecycle,
        pool: pool.clone(),
        spawner: group.spawner(),
        ledger: Ledger::new(1 << 30),
        scratch: AsyncDisk::new(disk, pool),
        hash: HashFunc::None,
    };
    let plan = MergePlan {
        inputs: &metas,
        output: BlockId::generate(SystemClock.now_ms(), &SystemEntropy),
        downsample_to: None,
        function: Arc::new(Concatenate),
        extensions: None,
    };
    let progress = Arc::new(Progress::default());
    let started = Instant::now();
    let merged = merger.merge(plan, &progress).await;
    let took = started.elapsed().as_secs_f64();
    println!("{merged:?}\n{:?}", progress.snapshot());
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM"));
    println!("{took:.3} s, {}", peak.unwrap_or_default());
}
