//! Every sample of all replicas, one for each time.
//!
//! Source: Prometheus 3.9, `storage/merge.go`, `chainSampleIterator`. Which replica wins a tie is an
//! accident of its heap, and differs from sample to sample; since values may differ, the heap is Go's,
//! step by step.

use crate::heap::Heap;
use crate::runs::Run;
use crate::series::Series;

pub(crate) fn select<S: Series + ?Sized>(replicas: &[&S]) -> Vec<Run> {
    let times: Vec<&[i64]> = replicas.iter().map(|replica| replica.times()).collect();
    let mut chain = Chain::new(&times);
    let mut runs = Vec::with_capacity(times.iter().map(|times| times.len()).sum());
    while let Some(run) = chain.next() {
        run.push_to(&mut runs);
    }
    runs
}

struct Chain<'a> {
    times: &'a [&'a [i64]],
    /// Of each replica, the sample that is read next.
    next: Vec<usize>,
    /// The replica that is being read; the heap has the others.
    present: usize,
    /// By the time of the sample at which a replica stands.
    heap: Heap<i64>,
    last_time: i64,
    started: bool,
}

impl<'a> Chain<'a> {
    fn new(times: &'a [&'a [i64]]) -> Self {
        let mut chain = Self {
            times,
            next: vec![0; times.len()],
            present: 0,
            heap: Heap::default(),
            last_time: i64::MIN,
            started: false,
        };
        for replica in 1..times.len() {
            if let Some(time) = chain.read(replica) {
                chain.heap.push(time, replica);
            }
        }
        chain
    }

    fn read(&mut self, replica: usize) -> Option<i64> {
        let next = self.next.get_mut(replica)?;
        let time = *self.times.get(replica)?.get(*next)?;
        *next += 1;
        Some(time)
    }

    #[inline]
    fn next(&mut self) -> Option<Run> {
        let mut changed = !self.started;
        self.started = true;
        loop {
            if let Some(time) = self.read(self.present) {
                if time == self.last_time {
                    continue;
                }
                if self.heap.first().is_none_or(|first| time < first) {
                    return Some(self.take(time, changed));
                }
                self.heap.push(time, self.present);
            }
            let (time, replica) = self.heap.pop()?;
            self.present = replica;
            changed = true;
            if time != self.last_time {
                return Some(self.take(time, changed));
            }
        }
    }

    fn take(&mut self, time: i64, forgets: bool) -> Run {
        self.last_time = time;
        let at = self.next[self.present] - 1;
        Run {
            forgets,
            ..Run::one(self.present, at)
        }
    }
}
