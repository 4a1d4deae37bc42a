//! A bucket of real blocks that misbehaves on demand, with compactors on it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rutile_block::{
    BlockId, Contract, Mark, MarkKind, Meta, details, mark_key, meta_key, parse_key,
};
use rutile_compact::{CompactConfig, Compactor, Parts, Planner, Report, Retention};
use rutile_dedup::Function;
use rutile_disk::MemoryDisk;
use rutile_fetcher::{FetcherConfig, Scope};
use rutile_lifecycle::HashFunc;
use rutile_objstore::Bucket;
use rutile_objstore::fake::{FaultyBucket, MemoryBucket};
use rutile_runtime::{Clock, CpuPool, Ledger, ManualClock, SystemEntropy, TaskGroup};
use rutile_telemetry::Registry;
use rutile_testkit::golden;

use crate::reader::{Chunks, Reader, dumped};

pub(crate) const HOUR: i64 = 3_600_000;
pub(crate) const DAY: i64 = 24 * HOUR;
/// An hour after the golden buckets were made.
pub(crate) const NOW_MS: i64 = 1_795_367_802_000;

/// The two-hour blocks of golden/raw, in order of time.
pub(crate) const TWO_HOURS: [&str; 30] = [
    "01M820PD8CGVZHQSH6D0C2DRFD",
    "01M820PD9CZWF1R857D2JDBVZV",
    "01M820PDA6J0PRF2F91XFN1P8E",
    "01M820PDBNKPP8MNW1KWG77A2M",
    "01M820PDD273ECWRHKRCTQJ9XD",
    "01M820PDDV4M5KXCBP7FJ8JS22",
    "01M820PDEM18BHSAWZP2F180QK",
    "01M820PDFF7DEQBGA7QF908YBH",
    "01M820PDGAR1V1VWAZ2G99MHXT",
    "01M820PDH4YM8GKBFDK32PT1T0",
    "01M820PDHW83NK71Q0D7KFTHT8",
    "01M820PDJND3HPE0033VMHARXV",
    "01M820PDKFCWPHH71RHTQ9H4A5",
    "01M820PDM8A51X96XQ0686XTCV",
    "01M820PDN1645Y7XS1893D57Y0",
    "01M820PDNRKAEEQSFWC6YW55XD",
    "01M820PDPFE9NPJFRDYJ2V8N9Y",
    "01M820PDQ52N9ZDWMXEFBP7PVG",
    "01M820PDQWVY0PDCDXVEGCAV40",
    "01M820PDRKTHMH11FEN10C5P2W",
    "01M820PDS9T74HFZ04CT0VKM6D",
    "01M820PDSZAYJ0G19WEDD68FKQ",
    "01M820PDTNSBG4AM1X7K847VX1",
    "01M820PDVBR9GB19QRC2VSQK3S",
    "01M820PDW024FV3996VEDRW153",
    "01M820PDWN49C2EAMQ8KF5SZG6",
    "01M820PDXC2FK9EQKT0GRGMCSA",
    "01M820PDY3FR1T7JP9Q0CC679A",
    "01M820PDYWZG3SENBFJ0F29G26",
    "01M820PDZMK3SZGA9JJPRVBEKA",
];
/// What Thanos made of the first four of them.
pub(crate) const FIRST_EIGHT_HOURS: &str = "01M820Q9H47EQ2X5VQJFSM8WRP";

/// A bucket and a clock.
pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) memory: MemoryBucket,
    pub(crate) bucket: FaultyBucket,
}

/// A compactor process: its tasks end with it.
pub(crate) struct Process {
    pub(crate) compactor: Arc<Compactor>,
    pub(crate) registry: Registry,
    _tasks: TaskGroup,
}

/// The settings that tests change.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) contract: Contract,
    pub(crate) planner: Planner,
    pub(crate) vertical: Option<Function>,
    pub(crate) replica_labels: Vec<String>,
    pub(crate) retention: Retention,
    pub(crate) concurrency: usize,
    pub(crate) scope: Scope,
    pub(crate) lease: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            contract: Contract {
                consistency_delay_ms: 30 * 60_000,
                ..Contract::default()
            },
            planner: Planner::new(Planner::MAX_LEVEL, 64 << 30),
            vertical: None,
            replica_labels: Vec::new(),
            retention: Retention::default(),
            concurrency: 1,
            scope: Scope::default(),
            lease: None,
        }
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(ManualClock::new(NOW_MS));
        let memory = MemoryBucket::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let bucket = FaultyBucket::new(Arc::new(memory.clone()));
        Self {
            clock,
            memory,
            bucket,
        }
    }

    /// A world with these golden blocks.
    pub(crate) fn with(blocks: &[&str]) -> Self {
        let world = Self::new();
        blocks.iter().for_each(|block| world.add(block));
        world
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.now_ms()
    }

    /// A new process.
    pub(crate) fn start(&self, settings: Settings) -> Process {
        self.start_on(Arc::new(self.bucket.clone()), settings)
    }

    pub(crate) fn start_on(&self, bucket: Arc<dyn Bucket>, settings: Settings) -> Process {
        start(bucket, Arc::clone(&self.clock) as Arc<dyn Clock>, settings)
    }

    /// One iteration of a new process; nothing may fail.
    pub(crate) async fn iterate(&self) -> Report {
        let report = self.start(Settings::default()).compactor.iterate().await;
        assert!(report.errors.is_empty(), "{:?}", report.errors);
        report
    }

    /// Puts a golden block into the bucket as it was before it was marked.
    pub(crate) fn add(&self, block: &str) {
        self.add_changed(block, |_| {});
    }

    /// The same with other metadata.
    pub(crate) fn add_changed(&self, block: &str, change: impl FnOnce(&mut Meta)) {
        self.add_as(block, id(block), change);
    }

    /// The same under another name.
    pub(crate) fn add_as(&self, block: &str, name: BlockId, change: impl FnOnce(&mut Meta)) {
        let uploaded = NOW_MS - HOUR;
        for (path, body) in objects(block) {
            self.memory.insert(format!("{name}/{path}"), body, uploaded);
        }
        let recorded = self.memory.body(&meta_key(name)).unwrap();
        let mut meta = Meta::parse(id(block), &recorded).unwrap();
        meta.id = name;
        change(&mut meta);
        self.memory.insert(meta_key(name), meta.to_json(), uploaded);
    }

    pub(crate) fn meta(&self, id: BlockId) -> Meta {
        Meta::parse(id, &self.memory.body(&meta_key(id)).unwrap()).unwrap()
    }

    pub(crate) fn mark(&self, block: &str, details: &str) {
        let mark = Mark::new(MarkKind::Deletion, id(block), "", details, self.now());
        let key = mark_key(id(block), MarkKind::Deletion);
        self.memory.insert(key, mark.to_json(), self.now());
    }

    /// Marks blocks as a compactor does that has replaced them.
    pub(crate) fn mark_compacted(&self, blocks: &[&str]) {
        blocks
            .iter()
            .for_each(|block| self.mark(block, details::COMPACTED));
    }

    /// The mark of a block.
    pub(crate) fn marked(&self, id: BlockId, kind: MarkKind) -> Option<Mark> {
        let body = self.memory.body(&mark_key(id, kind))?;
        Some(Mark::parse(kind, id, &body).unwrap())
    }

    /// The committed blocks without a deletion mark.
    pub(crate) fn live(&self) -> BTreeSet<BlockId> {
        let mut blocks = self.blocks();
        blocks.retain(|id| self.marked(*id, MarkKind::Deletion).is_none());
        blocks
    }

    /// All committed blocks.
    pub(crate) fn blocks(&self) -> BTreeSet<BlockId> {
        let ids = self.memory.keys().into_iter();
        let ids = ids.filter_map(|key| parse_key(&key).map(|(id, _)| id));
        ids.filter(|id| self.memory.body(&meta_key(*id)).is_some())
            .collect()
    }

    /// The live blocks that compactions made.
    pub(crate) fn outputs(&self) -> Vec<Meta> {
        let live = self.live().into_iter().map(|id| self.meta(id));
        live.filter(|meta| meta.compaction.level > 1).collect()
    }

    /// Everything that a store gateway started now answers with.
    pub(crate) async fn read(&self) -> Chunks {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let reader = Reader::new(Arc::new(self.memory.clone()), clock);
        reader.everything().await
    }

    /// All samples of these blocks, and no others, must be readable now.
    pub(crate) async fn check_readable(&self, blocks: &[&str], context: &str) {
        let read = self.read().await;
        let expected = dumped(blocks.iter().copied());
        assert_eq!(read.len(), expected.len(), "{context}: series");
        assert!(read == expected, "{context}: chunks");
    }
}

pub(crate) fn start(bucket: Arc<dyn Bucket>, clock: Arc<dyn Clock>, settings: Settings) -> Process {
    let (tasks, registry) = (TaskGroup::new("compact"), Registry::new());
    let parts = Parts {
        bucket,
        disk: Arc::new(MemoryDisk::new()),
        clock,
        entropy: Arc::new(SystemEntropy),
        cpu: CpuPool::new(2),
        files: CpuPool::new(2),
        ledger: Ledger::new(256 << 20),
        tasks: tasks.spawner(),
        registry: registry.clone(),
    };
    let config = CompactConfig {
        fetcher: FetcherConfig::default(),
        scope: settings.scope,
        contract: settings.contract,
        planner: settings.planner,
        vertical: settings.vertical,
        replica_labels: settings.replica_labels,
        retention: settings.retention,
        concurrency: settings.concurrency,
        downsample_concurrency: 1,
        hash: HashFunc::None,
        lease: settings.lease,
    };
    Process {
        compactor: Arc::new(Compactor::build(parts, config).unwrap()),
        registry,
        _tasks: tasks,
    }
}

impl Process {
    /// The value of a metric, with its labels as they are shown.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let page = self.registry.render();
        let value = page
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        match value {
            Some(value) => value.parse().unwrap(),
            None => panic!("{series} in {page}"),
        }
    }
}

pub(crate) fn id(block: &str) -> BlockId {
    block.parse().unwrap()
}

/// The objects of a golden block below its folder, without the mark.
pub(crate) fn objects(block: &str) -> Vec<(String, Vec<u8>)> {
    let folders = ["raw", "long", "ha/input"].map(|bucket| golden().join(bucket).join(block));
    let folder = folders.into_iter().find(|folder| folder.is_dir()).unwrap();
    let mut found = Vec::new();
    for inner in ["", "chunks"] {
        for entry in std::fs::read_dir(folder.join(inner)).unwrap() {
            let path = entry.unwrap().path();
            let name = path
                .strip_prefix(&folder)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            if path.is_file() && name != "deletion-mark.json" {
                found.push((name, std::fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}
