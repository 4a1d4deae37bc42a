//! A bucket in memory with what merges its blocks.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rutile_block::{BlockId, Contract, Meta, file_key};
use rutile_disk::{AsyncDisk, MemoryDisk};
use rutile_lifecycle::{HashFunc, Lifecycle};
use rutile_merge::{Concatenate, Error, MergeFunction, MergePlan, Merged, Merger, Progress};
use rutile_objstore::BucketReader as _;
use rutile_objstore::fake::{FaultyBucket, MemoryBucket};
use rutile_runtime::{CpuPool, Ledger, ManualClock, TaskGroup};
use rutile_telemetry::Registry;

/// When every test begins.
pub(crate) const START: i64 = 1_767_250_000_000;

pub(crate) struct World {
    pub(crate) memory: MemoryBucket,
    pub(crate) bucket: FaultyBucket,
    pub(crate) merger: Merger,
    pub(crate) progress: Arc<Progress>,
    pub(crate) tasks: TaskGroup,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_memory(1 << 30)
    }

    /// With so many bytes in the ledger.
    pub(crate) fn with_memory(limit: u64) -> Self {
        let clock = Arc::new(ManualClock::new(START));
        let memory = MemoryBucket::new(clock.clone());
        let bucket = FaultyBucket::new(Arc::new(memory.clone()));
        let tasks = TaskGroup::new("test");
        let pool = CpuPool::new(2);
        let writer = Arc::new(bucket.clone());
        let lifecycle = Lifecycle::new(writer, clock, Contract::default(), &Registry::new());
        let merger = Merger {
            bucket: Arc::new(bucket.clone()),
            lifecycle,
            pool: pool.clone(),
            spawner: tasks.spawner(),
            ledger: Ledger::new(limit),
            scratch: AsyncDisk::new(Arc::new(MemoryDisk::new()), pool),
            hash: HashFunc::None,
        };
        Self {
            memory,
            bucket,
            merger,
            progress: Arc::default(),
            tasks,
        }
    }

    /// Brings a block folder into the bucket.
    pub(crate) fn add_dir(&self, dir: &Path) -> Meta {
        let id: BlockId = dir.file_name().unwrap().to_str().unwrap().parse().unwrap();
        let mut files = vec!["index".to_owned(), "meta.json".to_owned()];
        for segment in fs::read_dir(dir.join("chunks")).unwrap() {
            let name = segment.unwrap().file_name().into_string().unwrap();
            files.push(format!("chunks/{name}"));
        }
        for path in files {
            let body = fs::read(dir.join(&path)).unwrap();
            self.put(id, &path, body);
        }
        Meta::parse(id, &fs::read(dir.join("meta.json")).unwrap()).unwrap()
    }

    pub(crate) fn put(&self, id: BlockId, path: &str, body: impl Into<bytes::Bytes>) {
        self.memory.insert(file_key(id, path), body.into(), START);
    }

    pub(crate) async fn merge(&self, inputs: &[Meta], output: BlockId) -> Result<Merged, Error> {
        self.make(inputs, output, None).await
    }

    /// Merges, or downsamples.
    pub(crate) async fn make(
        &self,
        inputs: &[Meta],
        output: BlockId,
        downsample_to: Option<i64>,
    ) -> Result<Merged, Error> {
        let plan = MergePlan {
            inputs,
            output,
            downsample_to,
            function: Arc::new(Concatenate),
            extensions: None,
        };
        self.merger.merge(plan, &self.progress).await
    }

    pub(crate) async fn merge_by(
        &self,
        function: impl MergeFunction,
        inputs: &[Meta],
        output: BlockId,
    ) -> Result<Merged, Error> {
        let plan = MergePlan {
            inputs,
            output,
            downsample_to: None,
            function: Arc::new(function),
            extensions: None,
        };
        self.merger.merge(plan, &self.progress).await
    }

    pub(crate) async fn merge_block(&self, inputs: &[Meta], output: BlockId) -> Meta {
        match self.merge(inputs, output).await.unwrap() {
            Merged::Block(meta) => *meta,
            Merged::Empty => panic!("nothing was left of {} blocks", inputs.len()),
        }
    }

    pub(crate) async fn object(&self, id: BlockId, path: &str) -> bytes::Bytes {
        self.memory
            .get(&file_key(id, path), u64::MAX)
            .await
            .unwrap()
    }
}

/// The `n`th output.
pub(crate) fn id(n: u64) -> BlockId {
    BlockId::generate(START, &rutile_runtime::SeededEntropy::new(n))
}
