//! A counter that is known at every moment, and replicas that scrape it.

use rutile_model::Samples;
use rutile_model::sample::STALE_NAN;

use crate::replica::MAX_TOLERANCE_MS;
use crate::{Function, Run, select};

/// What may happen in a case.
pub(super) struct Shape {
    pub(super) replicas: usize,
    pub(super) resets: bool,
    /// By how much later than its time a value may be read, as percents of the interval; 0: as
    /// the model allows.
    pub(super) delay_percent: i64,
    pub(super) late_starts: bool,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            replicas: 2,
            resets: true,
            delay_percent: 0,
            late_starts: true,
        }
    }
}

/// A counter grows.
pub(super) struct Event {
    pub(super) time: i64,
    by: f64,
}

pub(super) struct World {
    pub(super) interval: i64,
    pub(super) resets: Vec<i64>,
    events: Vec<Event>,
}

impl World {
    fn new(random: &mut Random, resets: bool) -> Self {
        let interval = random.one_of(&[1000, 5000, 15_000, 30_000, 60_000]);
        let end = interval * random.between(20, 200);
        let mut world = Self {
            interval,
            resets: Vec::new(),
            events: Vec::new(),
        };
        let mut time = 0;
        while time < end {
            time += 1 + random.between(0, interval / 2);
            world.events.push(Event {
                time,
                by: random.between(0, 20) as f64,
            });
        }
        let lifetime = random.one_of(&[4, 20, 60]);
        let mut time = 0;
        while resets && time < end {
            time += 2 * interval + random.between(0, lifetime * interval);
            world.resets.push(time);
        }
        world
    }

    fn value(&self, time: i64) -> f64 {
        let before = self.resets.partition_point(|&reset| reset <= time);
        let since = before.checked_sub(1).map_or(i64::MIN, |i| self.resets[i]);
        self.added(since, time, |_| true)
    }

    /// What was added after one time, up to another.
    pub(super) fn added(&self, after: i64, until: i64, which: impl Fn(&Event) -> bool) -> f64 {
        let first = self.events.partition_point(|event| event.time <= after);
        let end = self.events.partition_point(|event| event.time <= until);
        let events = self.events.get(first..end).unwrap_or_default();
        events.iter().filter(|e| which(e)).map(|e| e.by).sum()
    }

    pub(super) fn was_reset(&self, after: i64, until: i64) -> bool {
        self.resets
            .iter()
            .any(|&reset| after < reset && reset <= until)
    }
}

pub(super) struct Replica {
    pub(super) samples: Samples,
    /// When each value was read; none of a marker of staleness.
    pub(super) read: Vec<Option<i64>>,
}

/// A chosen sample: replica, place, when it was read, value.
pub(super) type Pick = (usize, usize, i64, f64);

pub(super) struct Case {
    pub(super) world: World,
    pub(super) replicas: Vec<Replica>,
    pub(super) outages: usize,
}

impl Case {
    pub(super) fn new(seed: u64, shape: &Shape) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1);
        let world = World::new(&mut random, shape.resets);
        let mut case = Self {
            world,
            replicas: Vec::new(),
            outages: 0,
        };
        for _ in 0..shape.replicas {
            let replica = case.scrape(&mut random, shape);
            case.replicas.push(replica);
        }
        case
    }

    fn scrape(&mut self, random: &mut Random, shape: &Shape) -> Replica {
        let interval = self.world.interval;
        let end = self.world.events.last().map_or(0, |event| event.time);
        let jitter = interval * random.one_of(&[0, 1, 8]) / 100;
        let delay = match shape.delay_percent {
            0 => (interval / 10).min(MAX_TOLERANCE_MS),
            percent => interval * percent / 100,
        };
        let lost = random.one_of(&[0, 2, 20]);
        let marks = random.between(0, 1) == 1;
        let mut outages = Vec::new();
        for _ in 0..random.between(0, 3) {
            let start = random.between(0, end);
            outages.push(start..start + random.between(0, 30 * interval));
        }
        if shape.late_starts && random.between(0, 4) == 0 {
            outages.push(0..random.between(0, end));
        }
        self.outages += outages.len();
        let mut replica = Replica {
            samples: Samples::default(),
            read: Vec::new(),
        };
        let mut scheduled = random.between(jitter + 1, jitter + interval);
        while scheduled < end {
            let time = scheduled + random.between(-jitter, jitter);
            let failed = outages.iter().any(|outage| outage.contains(&time));
            if failed || random.between(0, 99) < lost {
                if marks && matches!(replica.read.last(), Some(Some(_))) {
                    replica.samples.push_float(time, STALE_NAN);
                    replica.read.push(None);
                }
            } else {
                let read = time + random.between(0, delay);
                // One after the other.
                let read = read.max(replica.read.iter().flatten().last().map_or(read, |r| r + 1));
                replica.samples.push_float(time, self.world.value(read));
                replica.read.push(Some(read));
            }
            scheduled += interval;
        }
        replica
    }

    /// Whether two samples of one replica around a time, without a reset in between, tell of it.
    /// Of a reset they do if they fall. Only those count of whose replica and times `which` is true.
    pub(super) fn saw(&self, time: i64, which: impl Fn(usize, i64) -> bool) -> bool {
        (0..self.replicas.len()).any(|replica| {
            let Some((before, after)) = self.around(replica, time) else {
                return false;
            };
            let Replica { samples, read } = &self.replicas[replica];
            let read = |at: usize| read[at].unwrap_or(i64::MAX);
            !self.world.was_reset(read(before), read(after))
                && which(replica, samples.times[before])
                && which(replica, samples.times[after])
        })
    }

    /// Whether two samples of one replica around a reset fall. If another reset lies between them too, as in an outage,
    /// they do not tell which one it was.
    pub(super) fn saw_reset(&self, time: i64) -> bool {
        (0..self.replicas.len()).any(|replica| {
            let Some((before, after)) = self.around(replica, time) else {
                return false;
            };
            let Replica { samples, read } = &self.replicas[replica];
            let between =
                |reset: &&i64| read[before] < Some(**reset) && Some(**reset) <= read[after];
            samples.floats[after] < samples.floats[before]
                && self.world.resets.iter().filter(between).count() == 1
        })
    }

    /// The samples of a replica that were read before a time, and at it or after.
    fn around(&self, replica: usize, time: i64) -> Option<(usize, usize)> {
        let read = &self.replicas[replica].read;
        let after = read.iter().position(|r| r.is_some_and(|r| r >= time))?;
        let before = (0..after).rev().find(|&at| read[at].is_some())?;
        Some((before, after))
    }

    /// What `replica` chooses, without markers of staleness.
    pub(super) fn picks(&self) -> Vec<Pick> {
        let series: Vec<_> = self.replicas.iter().map(|r| &r.samples).collect();
        self.real(&select(Function::Replica, &series, true))
    }

    pub(super) fn real(&self, runs: &[Run]) -> Vec<Pick> {
        let all = runs
            .iter()
            .flat_map(|run| run.range().map(|at| (run.replica, at)));
        all.filter_map(|(i, at)| {
            let replica = &self.replicas[i];
            Some((i, at, replica.read[at]?, replica.samples.floats[at]))
        })
        .collect()
    }

    pub(super) fn time(&self, pick: &Pick) -> i64 {
        self.replicas[pick.0].samples.times[pick.1]
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Both inclusive.
    fn between(&mut self, least: i64, most: i64) -> i64 {
        let range = u64::try_from(most - least).expect("least <= most") + 1;
        least + i64::try_from(self.next() % range).expect("it is small")
    }

    fn one_of(&mut self, choices: &[i64]) -> i64 {
        let most = i64::try_from(choices.len()).expect("few") - 1;
        choices[usize::try_from(self.between(0, most)).expect("positive")]
    }
}
