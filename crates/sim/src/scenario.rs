//! What a seed stands for: which processes there are, with which settings, and what is left out of
//! it to find a smaller one.

use rutile_block::Contract;
use rutile_compact::Retention;
use rutile_runtime::{Entropy, SeededEntropy};

use crate::erasure::Erasure;
use crate::profile::{Fault, Profile};
use crate::replicas::Replicas;
use crate::world::EPOCH_MS;

pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const HOUR: i64 = 60 * MINUTE;
/// Time between two looks of a reader.
pub(crate) const SYNC_MS: i64 = 5 * MINUTE;
/// Time between two iterations of a compactor.
pub(crate) const ITERATION_MS: i64 = 8 * MINUTE;
/// Length of the leases of compactors that share work.
pub(crate) const LEASE_MS: i64 = MINUTE;
/// How far behind answers of the bucket may be, and how late a write may arrive.
pub(crate) const LAG_MS: i64 = 90_000;
/// How long faults are injected.
pub(crate) const CHAOS_MS: i64 = 150 * MINUTE;
/// How long everything has then to come to rest.
pub(crate) const CALM_MS: i64 = 240 * MINUTE;
/// The length of a block, as heads write them, where nothing is downsampled.
pub(crate) const BLOCK_MS: i64 = 2 * HOUR;
/// Lengths of blocks where something is: four fill two days, which is enough for five minutes; four or three fill
/// two weeks, which is enough for an hour, and each alone is enough for five minutes.
const LONG_BLOCKS_MS: [i64; 3] = [12 * HOUR, 84 * HOUR, 112 * HOUR];
/// The longest window of a compaction.
const TWO_WEEKS_MS: i64 = 14 * 24 * HOUR;

/// The delays of Thanos's defaults, some fifty times shorter, in the same relations.
pub(crate) const CONTRACT: Contract = Contract {
    consistency_delay_ms: 2 * MINUTE,
    ignore_delay_ms: 15 * MINUTE,
    delete_delay_ms: 60 * MINUTE,
    sync_interval_ms: SYNC_MS,
    load_allowance_ms: 5 * MINUTE,
    partial_age_ms: 60 * MINUTE,
    meta_cache_ttl_ms: 2 * MINUTE,
    clock_bound_ms: 5 * MINUTE,
};

/// The delete delay of a compactor that waits longer than the others.
pub(crate) const LONGEST_DELETE_DELAY_MS: i64 = 75 * MINUTE;

/// How two store gateways share the blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// By the hash of the ULID; in the middle of the faults they change places.
    Shards,
    /// By time, so that blocks lie on both sides of the border.
    Times,
}

/// A run: a seed, a profile, and what is left out.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Decides everything below and all chance.
    pub seed: u64,
    /// How the bucket behaves.
    pub profile: Profile,
    /// Streams of blocks, one uploader each.
    pub groups: usize,
    /// Blocks of each stream.
    pub blocks: usize,
    /// Compactor processes.
    pub compactors: usize,
    /// Whether they share work through leases.
    pub leases: bool,
    /// Store gateways.
    pub readers: usize,
    /// Whether a person marks and unmarks blocks.
    pub person: bool,
    /// Whether each stream has a second uploader, as in a restart that overlaps.
    pub twins: bool,
    /// Whether the first uploader is Thanos's.
    pub thanos_sidecar: bool,
    /// Whether a store gateway of Thanos reads the bucket too.
    pub thanos_store: bool,
    /// Whether a compactor of Thanos takes turns with ours.
    pub thanos_compactor: bool,
    /// Whether the streams have the same labels: two Prometheus that were set up alike.
    pub same_labels: bool,
    /// How two streams that are replicas are merged, if they are.
    pub replicas: Option<Replicas>,
    /// What somebody rewrites blocks without, if anybody does.
    pub erasure: Option<Erasure>,
    /// Whether all is copied to a second bucket, and back now and then.
    pub replicates: bool,
    /// Whether one block of the first stream has an index that cannot be read.
    pub bad_block: bool,
    /// Whether readers have a caching bucket.
    pub caching: bool,
    /// How two store gateways share the blocks, if they do.
    pub split: Option<Split>,
    /// Whether local disks fail now and then for want of space.
    pub full_disks: bool,
    /// Whether folders have marker objects.
    pub directory_markers: bool,
    /// When nearly every request is throttled, ms from the start.
    pub storm: Option<(i64, i64)>,
    /// The length of a block, as heads write them, ms.
    pub block_ms: i64,
    /// How long what is kept, and whether it is downsampled.
    pub retention: Retention,
    /// Whether listings tell sizes and times.
    pub listed_attributes: bool,
    /// Whether blocks are found by one deep listing.
    pub recursive: bool,
    /// When faults stop, ms from the start.
    pub chaos_ms: i64,
    /// Faults that are not injected.
    pub without: Vec<Fault>,
}

impl Scenario {
    /// The scenario of a seed.
    #[must_use]
    pub fn new(seed: u64, profile: Profile) -> Self {
        let entropy = SeededEntropy::new(seed ^ 0x5eed);
        let pick = |from: u64, to: u64| from + entropy.next_u64() % (to - from + 1);
        let chance = |percent: u64| pick(0, 99) < percent;
        // Two of Thanos's compactors on one bucket, or faults that it does not stand, break it.
        let thanos_compactor = profile == Profile::Strong && chance(20);
        let storm_ms = pick(0, CHAOS_MS as u64 / 2) as i64;
        let mut scenario = Self {
            seed,
            profile,
            groups: pick(1, 2) as usize,
            blocks: pick(5, 9) as usize,
            compactors: if thanos_compactor {
                1
            } else {
                pick(1, 2) as usize
            },
            leases: false,
            readers: pick(1, 2) as usize,
            person: !thanos_compactor && chance(50),
            twins: chance(25),
            thanos_sidecar: chance(20),
            thanos_store: chance(25),
            thanos_compactor,
            same_labels: chance(8),
            replicas: None,
            erasure: None,
            replicates: false,
            bad_block: chance(8),
            caching: chance(20),
            full_disks: chance(20),
            directory_markers: chance(15),
            storm: chance(15).then(|| (storm_ms, storm_ms + pick(5, 60) as i64 * MINUTE)),
            block_ms: BLOCK_MS,
            // Thanos plans with blocks that retention marked: what is erased comes back (P12).
            retention: Retention {
                raw: (chance(25) && !thanos_compactor).then(|| pick(4, 30) as i64 * HOUR),
                ..Retention::default()
            },
            listed_attributes: chance(75),
            recursive: chance(60),
            split: None,
            chaos_ms: CHAOS_MS,
            without: Vec::new(),
        };
        if chance(12) {
            scenario.readers = 2;
            scenario.split = Some([Split::Shards, Split::Times][pick(0, 1) as usize]);
        }
        if chance(30) && !thanos_compactor {
            scenario.downsample(&entropy);
        }
        if chance(50) && !thanos_compactor {
            scenario.leases = true;
            scenario.compactors = pick(2, 3) as usize;
        }
        let apart = !thanos_compactor && !scenario.retention.downsampling && !scenario.same_labels;
        if chance(25) && apart {
            scenario.groups = 2;
            scenario.replicas = Some(Replicas::new(&entropy));
        }
        // Downsampled blocks stay as they are when the block is rewritten that they were made of.
        if chance(40) && !thanos_compactor && !scenario.retention.downsampling {
            let (first_ms, block_ms) = (scenario.first_block_ms(), scenario.block_ms);
            scenario.erasure = Some(Erasure::new(&entropy, first_ms, block_ms));
            scenario.replicates = chance(40);
        }
        scenario
    }

    /// Makes the blocks so long that something is to be downsampled, and lets what they become end at different times.
    fn downsample(&mut self, entropy: &SeededEntropy) {
        let pick = |from: u64, to: u64| from + entropy.next_u64() % (to - from + 1);
        self.block_ms = LONG_BLOCKS_MS[pick(0, 2) as usize];
        self.retention.downsampling = true;
        // They would overlap at every resolution, and what has not been downsampled yet would be out of sight.
        self.same_labels = false;
        // Some ends lie within the run, others before it: then raw samples outlived their retention while nobody looked.
        let kept_ms = |number: u64| {
            let end = self.first_block_ms() + number as i64 * self.block_ms;
            EPOCH_MS - end + pick(0, CHAOS_MS as u64) as i64
        };
        let raw = pick(0, self.blocks as u64);
        let five_minutes = pick(0, raw);
        self.retention = Retention {
            raw: (pick(0, 99) < 70).then(|| kept_ms(raw)),
            five_minutes: (pick(0, 99) < 40).then(|| kept_ms(five_minutes)),
            one_hour: (pick(0, 99) < 15).then(|| kept_ms(pick(0, five_minutes))),
            downsampling: true,
        };
    }

    /// When the first block of every stream begins: the windows of all compactions do too.
    pub(crate) fn first_block_ms(&self) -> i64 {
        match self.retention.downsampling {
            true => EPOCH_MS - EPOCH_MS % TWO_WEEKS_MS - 3 * TWO_WEEKS_MS,
            false => EPOCH_MS - EPOCH_MS % (4 * BLOCK_MS) - 8 * BLOCK_MS,
        }
    }

    /// Up to which level compactors merge.
    pub(crate) fn max_level(&self) -> usize {
        if self.retention.downsampling { 4 } else { 2 }
    }

    /// Smaller scenarios, the boldest first.
    #[must_use]
    pub fn smaller(&self) -> Vec<Self> {
        let mut all = Vec::new();
        let mut add = |change: &dyn Fn(&mut Self)| {
            let mut next = self.clone();
            change(&mut next);
            if format!("{next:?}") != format!("{self:?}") {
                all.push(next);
            }
        };
        add(&|s| s.groups = 1);
        add(&|s| s.compactors = s.compactors.min(1));
        add(&|s| s.compactors = s.compactors.min(2));
        add(&|s| s.leases = false);
        add(&|s| (s.readers, s.split) = (s.readers.min(1), None));
        add(&|s| (s.readers, s.split) = (0, None));
        add(&|s| s.person = false);
        add(&|s| s.twins = false);
        add(&|s| s.thanos_sidecar = false);
        add(&|s| s.thanos_store = false);
        add(&|s| s.thanos_compactor = false);
        add(&|s| s.same_labels = false);
        add(&|s| s.replicas = None);
        add(&|s| s.erasure = None);
        add(&|s| s.replicates = false);
        add(&|s| {
            let replicas = s.replicas.as_mut();
            replicas
                .into_iter()
                .for_each(|replicas| replicas.known_ms = Replicas::ALWAYS);
        });
        add(&|s| s.bad_block = false);
        add(&|s| s.caching = false);
        add(&|s| s.split = None);
        add(&|s| s.full_disks = false);
        add(&|s| s.directory_markers = false);
        add(&|s| s.storm = None);
        add(&|s| s.retention.raw = None);
        add(&|s| s.retention.five_minutes = None);
        add(&|s| s.retention.one_hour = None);
        add(&|s| s.blocks = s.blocks.min(5));
        add(&|s| s.chaos_ms /= 2);
        for fault in Fault::ALL {
            add(&|s| {
                if !s.without.contains(&fault) {
                    s.without.push(fault);
                }
            });
        }
        all
    }
}
