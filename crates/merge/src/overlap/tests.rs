//! What the recorded replicas do not have: mixed types, aggregates, damage, and one replica at a time.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rutile_chunk::{Chunk as Content, Encoding, HistogramAppender, Int, Value, XorAppender};
use rutile_dedup::dedup;
use rutile_model::{Histogram, Samples};

use super::*;
use crate::batch::Chunk;
use crate::rewrite::put_frame;

/// The chunks of a replica.
#[derive(Default)]
struct Replica {
    bytes: Vec<u8>,
    chunks: Vec<Chunk>,
}

impl Replica {
    fn put(&mut self, min_time: i64, max_time: i64, encoding: Encoding, data: &[u8]) {
        let content = Content { encoding, data };
        let chunk = put_frame(&mut self.bytes, min_time, max_time, content);
        self.chunks.push(chunk.unwrap());
    }

    /// Chunks of up to ten floats.
    fn floats(samples: &[(i64, f64)]) -> Self {
        let mut replica = Self::default();
        for chunk in samples.chunks(10) {
            let mut appender = XorAppender::new();
            for (t, value) in chunk {
                appender.append(*t, *value).unwrap();
            }
            let (first, last) = (chunk[0].0, chunk[chunk.len() - 1].0);
            replica.put(first, last, Encoding::Xor, appender.bytes());
        }
        replica
    }

    fn histograms(times: &[i64]) -> Self {
        let mut appender = HistogramAppender::<Int>::new();
        for t in times {
            let appended = appender.append(*t, &Histogram::default(), None);
            drop(appended.unwrap());
        }
        let mut replica = Self::default();
        let (first, last) = (times[0], times[times.len() - 1]);
        replica.put(first, last, Encoding::Histogram, appender.bytes());
        replica
    }
}

/// What was put out: all samples, and how many chunks passed undecoded.
#[derive(Default)]
struct Out<'a> {
    pieces: Vec<Piece<'a>>,
    samples: Vec<(i64, Value)>,
    passed: usize,
}

impl ChunkSink for Out<'_> {
    fn pass(&mut self, piece: usize) {
        self.pass_some(piece, 0..self.pieces[piece].len());
    }

    fn pass_some(&mut self, piece: usize, chunks: std::ops::Range<usize>) {
        self.passed += chunks.len();
        let taken = self.pieces[piece].chunks().skip(chunks.start);
        for (min_time, max_time, chunk) in taken.take(chunks.len()).collect::<Vec<_>>() {
            self.put(min_time, max_time, chunk);
        }
    }

    fn put(&mut self, min_time: i64, max_time: i64, chunk: Content<'_>) {
        let before = self.samples.len();
        for sample in chunk.iter().unwrap() {
            let sample = sample.unwrap();
            self.samples.push((sample.time_ms, sample.value));
        }
        assert_eq!(self.samples[before].0, min_time);
        assert_eq!(self.samples[self.samples.len() - 1].0, max_time);
    }
}

fn merge(function: Function, replicas: &[Replica]) -> Result<(Vec<(i64, Value)>, usize), Refusal> {
    let pieces: Vec<Piece<'_>> = { replicas.iter().enumerate() }
        .map(|(input, replica)| Piece {
            input,
            chunks: &replica.chunks,
            bytes: &replica.bytes,
        })
        .collect();
    let mut out = Out {
        pieces: pieces.clone(),
        ..Out::default()
    };
    Overlapping::new(function).merge(&pieces, &mut out)?;
    assert!(out.samples.is_sorted_by(|a, b| a.0 < b.0), "out of order");
    Ok((out.samples, out.passed))
}

fn times(samples: &[(i64, Value)]) -> Vec<i64> {
    samples.iter().map(|(t, _)| *t).collect()
}

#[test]
fn samples_of_another_type_are_not_lost() {
    let replicas = || {
        let floats = [(0, 1.0), (30_000, 2.0), (300_000, 3.0)];
        [
            Replica::floats(&floats),
            Replica::histograms(&[15_000, 120_000, 200_000]),
        ]
    };
    let (all, _) = merge(Function::Chain, &replicas()).unwrap();
    assert_eq!(times(&all), [0, 15_000, 30_000, 120_000, 200_000, 300_000]);
    let is_float: Vec<bool> = all
        .iter()
        .map(|(_, value)| matches!(value, Value::Float(_)))
        .collect();
    assert_eq!(is_float, [true, false, true, false, false, true]);
    // Those of the first type alone would leave a gap of 270 s.
    let (some, _) = merge(Function::Penalty, &replicas()).unwrap();
    assert!(times(&some).contains(&120_000), "{some:?}");
}

#[test]
fn equal_chunks_are_there_once_and_undecoded() {
    let samples: Vec<(i64, f64)> = (0..30).map(|i| (i * 15_000, i as f64)).collect();
    for function in Function::ALL {
        let replicas = [Replica::floats(&samples), Replica::floats(&samples)];
        let (merged, passed) = merge(function, &replicas).unwrap();
        assert_eq!(merged.len(), 30, "{function}");
        assert_eq!(passed, 3, "{function}");
    }
}

#[test]
fn a_replica_without_gaps_passes_undecoded() {
    let whole: Vec<(i64, f64)> = (0..60).map(|i| (i * 15_000, i as f64)).collect();
    let mut holed: Vec<(i64, f64)> = whole.iter().map(|(t, v)| (t + 4_000, *v)).collect();
    holed.drain(20..40);
    let replicas = [Replica::floats(&whole), Replica::floats(&holed)];
    let (merged, passed) = merge(Function::Replica, &replicas).unwrap();
    assert_eq!(times(&merged), times_of(&whole));
    assert_eq!(passed, 6);
}

fn times_of(samples: &[(i64, f64)]) -> Vec<i64> {
    samples.iter().map(|(t, _)| *t).collect()
}

#[test]
fn aggregates_that_overlap_are_refused() {
    let mut replica = Replica::default();
    replica.put(0, 600_000, Encoding::Aggregate, &[0; 5]);
    let mut other = Replica::default();
    other.put(300_000, 900_000, Encoding::Aggregate, &[0; 5]);
    let replicas = [replica, other];
    let refusal = Refusal::Overlap {
        first: 0,
        second: 1,
    };
    for function in Function::ALL {
        assert_eq!(merge(function, &replicas), Err(refusal.clone()));
    }
}

#[test]
fn damage_names_its_input() {
    let good = Replica::floats(&[(0, 1.0), (15_000, 2.0)]);
    let mut beyond = Replica::default();
    let mut appender = XorAppender::new();
    appender.append(1_000, 1.0).unwrap();
    appender.append(90_000, 2.0).unwrap();
    beyond.put(1_000, 16_000, Encoding::Xor, appender.bytes());
    let mut torn = Replica::default();
    torn.put(1_000, 16_000, Encoding::Xor, &[0, 9, 1]);
    for bad in [beyond, torn] {
        let replicas = [Replica::floats(&[(0, 1.0), (15_000, 2.0)]), bad];
        for function in Function::ALL {
            let merged = merge(function, &replicas);
            let named = matches!(&merged, Err(Refusal::Damaged { input: 1, .. }));
            assert!(named, "{function}: {merged:?}");
        }
    }
    assert!(merge(Function::Chain, &[good]).is_ok());
}

/// A counter that grows by one each second, as a replica reads it: a little after the time that it
/// writes down. Those in `missed` are not there.
fn scraped(offset: i64, delays: &[i64], missed: &[bool]) -> Vec<(i64, f64)> {
    let scrapes = delays.iter().zip(missed).enumerate();
    let present = scrapes.filter(|(_, (_, missed))| !**missed);
    present
        .map(|(i, (delay, _))| {
            let t = offset + 15_000 * i as i64;
            (t, ((t + delay) / 1000) as f64)
        })
        .collect()
}

proptest! {
    /// The promise of `replica`, repeated for chunks: what comes out of replicas of a counter never
    /// falls, is made of samples that are there, and is what a query would choose.
    #[test]
    fn a_counter_never_falls(
        a in prop::collection::vec((0..1_800_i64, prop::bool::weighted(0.2)), 40..60),
        b in prop::collection::vec((0..1_800_i64, prop::bool::weighted(0.2)), 40..60),
        offset in 0..15_000_i64,
    ) {
        let replica = |offset, scrapes: &[(i64, bool)]| {
            let (delays, missed): (Vec<i64>, Vec<bool>) = scrapes.iter().copied().unzip();
            scraped(offset, &delays, &missed)
        };
        let (a, b) = (replica(0, &a), replica(offset, &b));
        prop_assume!(!a.is_empty() && !b.is_empty());
        let replicas = [Replica::floats(&a), Replica::floats(&b)];
        let (merged, _) = merge(Function::Replica, &replicas).unwrap();
        let known: BTreeMap<(i64, u64), ()> =
            a.iter().chain(&b).map(|(t, v)| ((*t, v.to_bits()), ())).collect();
        let mut before = f64::MIN;
        for (t, value) in &merged {
            let Value::Float(value) = value else { panic!("{value:?}") };
            prop_assert!(known.contains_key(&(*t, value.to_bits())));
            prop_assert!(*value >= before, "{before} then {value} at {t}");
            before = *value;
        }
        let columns = [&a, &b].map(|samples| {
            let mut columns = Samples::default();
            samples.iter().for_each(|(t, v)| columns.push_float(*t, *v));
            columns
        });
        let queried = dedup(Function::Replica, columns.into(), false);
        prop_assert_eq!(times(&merged), queried.times);
    }
}
