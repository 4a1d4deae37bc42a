//! Every sample of all replicas, one for each time.
//!
//! Source: Prometheus 3.9, `storage/merge.go`, `chainSampleIterator`. Which replica wins a tie is an
//! accident of its heap, and differs from sample to sample; since values may differ, the heap is Go's
//! `container/heap`, step by step.

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
    heap: Heap,
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
                chain.heap.push(Head { time, replica });
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
                if self.heap.first().is_none_or(|first| time < first.time) {
                    return Some(self.take(time, changed));
                }
                let replica = self.present;
                self.heap.push(Head { time, replica });
            }
            let head = self.heap.pop()?;
            self.present = head.replica;
            changed = true;
            if head.time != self.last_time {
                return Some(self.take(head.time, changed));
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

/// The sample at which a replica stands.
#[derive(Debug, Clone, Copy)]
struct Head {
    time: i64,
    replica: usize,
}

/// Go's `container/heap`, by time alone.
#[derive(Debug, Default)]
struct Heap(Vec<Head>);

impl Heap {
    fn first(&self) -> Option<&Head> {
        self.0.first()
    }

    fn push(&mut self, head: Head) {
        self.0.push(head);
        let mut child = self.0.len() - 1;
        while child > 0 {
            let parent = (child - 1) / 2;
            if self.0[child].time >= self.0[parent].time {
                break;
            }
            self.0.swap(child, parent);
            child = parent;
        }
    }

    fn pop(&mut self) -> Option<Head> {
        let len = self.0.len().checked_sub(1)?;
        self.0.swap(0, len);
        let mut parent = 0;
        loop {
            let (left, right) = (2 * parent + 1, 2 * parent + 2);
            if left >= len {
                break;
            }
            let right_is_less = right < len && self.0[right].time < self.0[left].time;
            let child = if right_is_less { right } else { left };
            if self.0[child].time >= self.0[parent].time {
                break;
            }
            self.0.swap(child, parent);
            parent = child;
        }
        self.0.pop()
    }
}
