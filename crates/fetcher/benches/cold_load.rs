//! Loading the metadata and marks of 10,000 blocks, each with its own label set, from a filesystem
//! bucket: cold, warm from the cache on disk, and once more in the same process. In milliseconds.
#![expect(clippy::print_stdout, reason = "its output is the result")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use rutile_block::{BlockId, Meta, UploadTime};
use rutile_disk::{AsyncDisk, OsDisk};
use rutile_fetcher::{Fetcher, FetcherConfig, ListStrategy, Parts};
use rutile_model::Labels;
use rutile_objstore::FilesystemBucket;
use rutile_runtime::{CpuPool, SystemClock};
use rutile_telemetry::Registry;
use tokio::time::Instant;

const MANY: u64 = 10_000;
const CREATED_MS: u64 = 1_767_250_000_000;

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let bucket = folder.path().join("bucket");
    make_bucket(&bucket)?;
    for strategy in [ListStrategy::Concurrent, ListStrategy::Recursive] {
        let data = folder.path().join(format!("{strategy:?}"));
        let cold = fetcher(&bucket, &data, strategy)?;
        measure(&cold, strategy, "cold").await?;
        measure(&cold, strategy, "again").await?;
        let start = Instant::now();
        cold.save_cache().await?;
        println!(
            "fetcher\t{:.0} ms\t{strategy:?}\tsave the cache",
            start.elapsed().as_secs_f64() * 1000.0
        );
        measure(&fetcher(&bucket, &data, strategy)?, strategy, "warm").await?;
    }
    Ok(())
}

async fn measure(
    fetcher: &Fetcher,
    strategy: ListStrategy,
    name: &str,
) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let view = fetcher.fetch().await?;
    println!(
        "fetcher\t{:.0} ms\t{strategy:?}\t{name}\t{} blocks",
        start.elapsed().as_secs_f64() * 1000.0,
        view.blocks.len()
    );
    Ok(())
}

fn fetcher(bucket: &Path, data: &Path, strategy: ListStrategy) -> Result<Fetcher, Box<dyn Error>> {
    let disk = AsyncDisk::new(Arc::new(OsDisk::open(data)?), CpuPool::for_this_machine());
    let parts = Parts {
        bucket: Arc::new(FilesystemBucket::new(bucket)?),
        clock: Arc::new(SystemClock),
        disk: Some(disk),
    };
    let config = FetcherConfig {
        strategy,
        ..FetcherConfig::default()
    };
    Ok(Fetcher::new(parts, config, &Registry::new())?)
}

fn make_bucket(bucket: &Path) -> Result<(), Box<dyn Error>> {
    for n in 0..MANY {
        let id = BlockId::from_parts(CREATED_MS + n, [7; 10]);
        let mut meta = Meta::new(id);
        meta.thanos.labels =
            Labels::from([("cluster", format!("c{n}").as_str()), ("replica", "a")]);
        meta.thanos.upload_time = UploadTime::from_ms(1_767_250_000_000);
        let folder = bucket.join(id.to_string());
        std::fs::create_dir_all(folder.join("chunks"))?;
        std::fs::write(folder.join("chunks/000001"), [0; 64])?;
        std::fs::write(folder.join("index"), [0; 64])?;
        std::fs::write(folder.join("meta.json"), meta.to_json())?;
    }
    Ok(())
}
