//! Prometheus reads every block that is written, and reads in it what it reads in its sources.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rutile_block::Meta;
use rutile_dedup::Function;
use rutile_objstore::FilesystemBucket;
use rutile_runtime::{Clock, ManualClock};
use rutile_testkit::prometheus::{promtool_analyze, promtool_dump, samples};
use rutile_testkit::{block_dirs, copy_bucket, golden};
use tempfile::TempDir;

use crate::world::{NOW_MS, Settings, TWO_HOURS, start};

fn meta(block: &Path) -> Meta {
    let id = block
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    Meta::parse(id, &std::fs::read(block.join("meta.json")).unwrap()).unwrap()
}

/// A bucket of these blocks, compacted.
async fn compacted(blocks: impl IntoIterator<Item = PathBuf>, mut settings: Settings) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for block in blocks {
        let copy = folder.path().join(block.file_name().unwrap());
        copy_bucket(&block, &copy);
        let _unmarked = std::fs::remove_file(copy.join("deletion-mark.json")).is_err();
    }
    let bucket = Arc::new(FilesystemBucket::new(folder.path()).unwrap());
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(NOW_MS));
    settings.contract.consistency_delay_ms = 0;
    let process = start(bucket, clock, settings);
    let report = process.compactor.iterate().await;
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_reads_what_is_made_of_replicas() {
    for function in Function::ALL {
        let settings = Settings {
            vertical: Some(function),
            replica_labels: vec!["replica".to_owned()],
            ..Settings::default()
        };
        let inputs = block_dirs(&golden().join("ha/input"));
        let folder = compacted(inputs, settings).await;
        let mut written = 0;
        for output in block_dirs(folder.path()) {
            let meta = meta(&output);
            if meta.compaction.level == 1 {
                continue;
            }
            written += 1;
            let analyzed = promtool_analyze(&output);
            let series = format!("Series: {}\n", meta.stats.num_series);
            assert!(analyzed.contains(&series), "{function}: {analyzed}");
            let of_sources: BTreeSet<String> = { meta.compaction.sources.iter() }
                .flat_map(|source| promtool_dump(&[folder.path().join(source.to_string())]))
                .collect();
            let lines = promtool_dump(std::slice::from_ref(&output));
            assert_eq!(lines.len() as u64, meta.stats.num_float_samples);
            let invented = lines.iter().find(|line| !of_sources.contains(*line));
            assert_eq!(invented, None, "{function}: of no source");
        }
        assert_eq!(written, 7, "{function}: six of 2 h, one of 8 h");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_reads_what_is_written() {
    let blocks = TWO_HOURS.map(|block| golden().join("raw").join(block));
    let folder = compacted(blocks, Settings::default()).await;
    let mut written = 0;
    for output in block_dirs(folder.path()) {
        let meta = meta(&output);
        if meta.compaction.level == 1 {
            continue;
        }
        written += 1;
        let parents = meta.compaction.parents.iter();
        let parents: Vec<PathBuf> = parents
            .map(|parent| folder.path().join(parent.id.to_string()))
            .collect();
        let analyzed = promtool_analyze(&output);
        let series = format!("Series: {}\n", meta.stats.num_series);
        assert!(analyzed.contains(&series), "{analyzed}");
        let lines = promtool_dump(std::slice::from_ref(&output));
        assert_eq!(lines.len() as u64, meta.stats.num_float_samples);
        assert!(
            lines == promtool_dump(&parents),
            "{}: promtool's dump",
            meta.id
        );
        let samples_of_output = samples(std::slice::from_ref(&output));
        assert_eq!(samples_of_output.len() as u64, meta.stats.num_series);
        assert_eq!(samples_of_output, samples(&parents), "{}", meta.id);
    }
    assert!(written >= 7, "{written}: 8 h blocks, and one of 2 d");
}
