//! A bucket of real blocks that misbehaves on demand, with a store gateway before it.

use std::collections::BTreeMap;
use std::sync::Arc;

use rutile_block::{BlockId, Mark, MarkKind, Meta, details, mark_key, meta_key};
use rutile_disk::{Disk, MemoryDisk};
use rutile_objstore::fake::{FaultyBucket, MemoryBucket};
use rutile_proto::thanos::{SeriesRequest, SeriesResponse, series_response};
use rutile_runtime::{Clock, ManualClock};
use rutile_store::Synced;
use rutile_storeapi::{Result, StoreApi};
use rutile_testkit::{digest, dumps, golden, label_text};

use crate::support::{Fixture, NOW_MS, Settings, files, matcher, series};

pub(crate) const HOUR: i64 = 3_600_000;

/// The blocks of the first 8 hours, 2 hours each.
pub(crate) const SOURCES: [&str; 4] = [
    "01M820PD8CGVZHQSH6D0C2DRFD",
    "01M820PD9CZWF1R857D2JDBVZV",
    "01M820PDA6J0PRF2F91XFN1P8E",
    "01M820PDBNKPP8MNW1KWG77A2M",
];
/// What a compaction made of [`SOURCES`].
pub(crate) const COMPACTED: &str = "01M820Q9H47EQ2X5VQJFSM8WRP";
/// The blocks of the next 8 hours.
pub(crate) const MORE_SOURCES: [&str; 4] = [
    "01M820PDD273ECWRHKRCTQJ9XD",
    "01M820PDDV4M5KXCBP7FJ8JS22",
    "01M820PDEM18BHSAWZP2F180QK",
    "01M820PDFF7DEQBGA7QF908YBH",
];
/// What a compaction made of [`MORE_SOURCES`].
pub(crate) const MORE_COMPACTED: &str = "01M820Q9J6N3Q7FDGYG9AHCPFW";

pub(crate) struct World {
    pub(crate) memory: MemoryBucket,
    pub(crate) bucket: FaultyBucket,
    pub(crate) disk: Arc<MemoryDisk>,
    pub(crate) fixture: Fixture,
}

/// The chunks of every series, without the external labels: first and last time, digest.
pub(crate) type Chunks = BTreeMap<String, Vec<(i64, i64, String)>>;

/// What a Series call for everything brought.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) chunks: Chunks,
    pub(crate) warnings: Vec<String>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Settings::default())
    }

    pub(crate) fn with(settings: Settings) -> Self {
        let memory = MemoryBucket::new(Arc::new(ManualClock::new(NOW_MS)));
        let bucket = FaultyBucket::new(Arc::new(memory.clone()));
        let disk = Arc::new(MemoryDisk::new());
        let settings = Settings {
            disk: Arc::clone(&disk) as Arc<dyn Disk>,
            ..settings
        };
        Self {
            fixture: Fixture::new(Arc::new(bucket.clone()), settings),
            memory,
            bucket,
            disk,
        }
    }

    /// A new process on the same bucket and the same disk, at the same time.
    pub(crate) fn restart(&mut self) {
        let settings = Settings {
            disk: Arc::clone(&self.disk) as Arc<dyn Disk>,
            now_ms: self.now(),
            ..Settings::default()
        };
        self.fixture = Fixture::new(Arc::new(self.bucket.clone()), settings);
    }

    pub(crate) fn now(&self) -> i64 {
        self.fixture.clock.now_ms()
    }

    /// Puts a golden block into the bucket, without the mark that it has there.
    pub(crate) fn add(&self, block: &str) {
        for (path, body) in objects(block) {
            self.memory
                .insert(format!("{block}/{path}"), body, self.now());
        }
    }

    pub(crate) fn add_all(&self, blocks: &[&str]) {
        blocks.iter().for_each(|block| self.add(block));
    }

    pub(crate) fn mark(&self, block: &str, details: &str) {
        let block = id(block);
        let mark = Mark::new(MarkKind::Deletion, block, "", details, self.now());
        let key = mark_key(block, MarkKind::Deletion);
        self.memory.insert(key, mark.to_json(), self.now());
    }

    /// Marks blocks as the compactor does when it has replaced them.
    pub(crate) fn mark_compacted(&self, blocks: &[&str]) {
        for block in blocks {
            self.mark(block, details::COMPACTED);
        }
    }

    /// Removes all objects of a block.
    pub(crate) fn remove(&self, block: &str) {
        for key in self.memory.keys() {
            if key.starts_with(block) {
                self.memory.remove(&key);
            }
        }
    }

    /// Lets a block pass for one of five minutes that was made of another one.
    pub(crate) fn downsampled(&self, block: &str, source: BlockId) {
        self.change(block, |meta| {
            meta.thanos.downsample.resolution = 300_000;
            meta.compaction.sources = vec![source];
        });
    }

    /// Changes the metadata of a block.
    pub(crate) fn change(&self, block: &str, change: impl FnOnce(&mut Meta)) {
        let key = meta_key(id(block));
        let mut meta = Meta::parse(id(block), &self.memory.body(&key).unwrap()).unwrap();
        change(&mut meta);
        self.memory.insert(key, meta.to_json(), self.now());
    }

    pub(crate) async fn sync(&self) -> Synced {
        self.fixture.store.syncer.sync().await.unwrap()
    }

    /// Everything that is served.
    pub(crate) async fn answer(&self) -> Answer {
        answer_of(self.fixture.series(everything()).await.unwrap())
    }

    /// The error of a call for everything.
    pub(crate) async fn refusal(&self) -> rutile_storeapi::Error {
        match self.fixture.series(everything()).await {
            Ok(messages) => panic!("answered with {} messages", messages.len()),
            Err(error) => error,
        }
    }

    /// Asserts that these blocks, and no others, are answered from, without warnings.
    pub(crate) async fn check(&self, blocks: &[&str], context: &str) {
        let answer = self.answer().await;
        assert_eq!(answer.warnings, Vec::<String>::new(), "{context}");
        check_chunks(&answer.chunks, blocks, context);
    }
}

/// Asserts that the answer holds the chunks of these blocks, each once.
pub(crate) fn check_chunks(chunks: &Chunks, blocks: &[&str], context: &str) {
    for (labels, chunks) in chunks {
        let apart = chunks.windows(2).all(|pair| pair[0].1 < pair[1].0);
        assert!(apart, "{context}: a sample twice in {labels}");
    }
    assert_eq!(chunks.len(), expected(blocks).len(), "{context}: series");
    assert!(*chunks == expected(blocks), "{context}: chunks");
}

/// The chunks of raw blocks as their dumps have them.
pub(crate) fn expected(blocks: &[&str]) -> Chunks {
    let mut all = Chunks::new();
    for block in blocks {
        for chunk in dumps::chunks(block) {
            let entry = (chunk.min_time, chunk.max_time, chunk.digest);
            all.entry(chunk.labels).or_default().push(entry);
        }
    }
    all.values_mut().for_each(|chunks| chunks.sort());
    all
}

pub(crate) fn id(block: &str) -> BlockId {
    block.parse().unwrap()
}

/// The objects of a golden block below its folder, without the mark.
pub(crate) fn objects(block: &str) -> Vec<(String, Vec<u8>)> {
    let mut found = files(&golden().join("raw").join(block));
    found.retain(|(key, _)| key != "deletion-mark.json");
    let read = |(key, path): (String, _)| (key, std::fs::read(path).unwrap());
    found.into_iter().map(read).collect()
}

/// A request for all raw series with their chunks.
pub(crate) fn everything() -> SeriesRequest {
    SeriesRequest {
        min_time: i64::MIN,
        max_time: i64::MAX,
        matchers: vec![matcher("__name__", "!=", "")],
        aggregates: vec![0],
        ..SeriesRequest::default()
    }
}

pub(crate) async fn answer(store: &dyn StoreApi) -> Result<Answer> {
    series(store, everything()).await.map(answer_of)
}

pub(crate) fn answer_of(messages: Vec<SeriesResponse>) -> Answer {
    let mut answer = Answer::default();
    for message in messages {
        let series = match message.result {
            Some(series_response::Result::Series(series)) => series,
            Some(series_response::Result::Warning(warning)) => {
                answer.warnings.push(warning);
                continue;
            }
            other => panic!("not asked for: {other:?}"),
        };
        let own = series.labels.iter();
        let own = own.filter(|label| !["cluster", "replica"].contains(&label.name.as_str()));
        let labels = label_text(own.map(|label| (label.name.as_str(), label.value.as_str())));
        let chunks = series.chunks.iter().map(|chunk| {
            let data = &chunk.raw.as_ref().unwrap().data;
            (chunk.min_time, chunk.max_time, digest(data))
        });
        let before = answer.chunks.insert(labels, chunks.collect());
        assert_eq!(before, None, "a series is sent once");
    }
    answer
}
