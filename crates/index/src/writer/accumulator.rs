//! The postings of an index that is being written.
//!
//! For each label name the pairs (value, series) are collected as they come, eight bytes each.
//! What has come together is sorted and compressed into a run of two or three bytes a pair; runs
//! beyond the bound are given to a [`Spill`]. In the end the runs of a name are read side by side.
//! A label that one series has costs no more than any other pair.

use crate::varint::{put_uvarint, read_uvarint, read_uvarint32};
use crate::{Error, Result};

/// Pairs that are collected before they are sorted, 16 MiB; fewer with a small bound.
const OPEN_PAIRS: std::ops::RangeInclusive<usize> = 1 << 10..=2 << 20;
/// Read at a time of a run.
const READ: usize = 64 << 10;

/// Where compressed postings go that exceed the memory bound of an index writer.
pub trait Spill: std::fmt::Debug + Send {
    /// Keeps `bytes`, and gives the number they are found by.
    ///
    /// # Errors
    /// Whatever keeps the bytes from being kept, in words.
    fn write(&mut self, bytes: &[u8]) -> std::result::Result<u64, String>;

    /// Some of the bytes that `write` gave `number` for: from `offset`, up to `len`, fewer only at
    /// the end.
    ///
    /// # Errors
    /// Whatever keeps the bytes from being read, in words.
    fn read(
        &mut self,
        number: u64,
        offset: u64,
        len: usize,
    ) -> std::result::Result<Vec<u8>, String>;
}

/// Collects the series of each label, in increasing order.
#[derive(Debug)]
pub(super) struct Postings {
    all: All,
    /// By the reference of the name.
    names: Vec<Name>,
    /// The place in `names` of the last series' labels, in their order: mostly also of the next.
    hints: Vec<usize>,
    open_pairs: usize,
    open_limit: usize,
    /// Bytes of the runs in memory, and how many may be.
    run_bytes: usize,
    bound: usize,
    spill: Option<Box<dyn Spill>>,
}

/// The series of one label name.
#[derive(Debug)]
struct Name {
    name: u32,
    /// (value, series), in order of the series.
    open: Vec<u64>,
    runs: Vec<Run>,
}

/// Sorted pairs: for each value its distance from the last, the number of its series, and the
/// distances between these.
#[derive(Debug)]
enum Run {
    Memory(Vec<u8>),
    Spilled { number: u64, len: u64 },
}

/// All series, as distances.
#[derive(Debug, Default)]
struct All {
    last: u32,
    count: u32,
    distances: Vec<u8>,
}

/// All lists in file order: that of all series, then by name and value.
#[derive(Debug)]
pub(super) struct Lists {
    all: Option<All>,
    names: std::vec::IntoIter<Name>,
    name: u32,
    /// What is left of the runs of the present name, in the order in which they came.
    cursors: Vec<Cursor>,
    spill: Option<Box<dyn Spill>>,
}

/// A run that is read.
#[derive(Debug)]
struct Cursor {
    run: Run,
    /// Behind what `buffer` holds.
    offset: u64,
    buffer: Vec<u8>,
    at: usize,
    value: u32,
    /// Series of the present value; 0 before it is read.
    count: u32,
    ended: bool,
}

impl Default for Postings {
    fn default() -> Self {
        Self::new(usize::MAX, None)
    }
}

impl Postings {
    /// Runs beyond `bound` bytes go to `spill`.
    pub(super) fn new(bound: usize, spill: Option<Box<dyn Spill>>) -> Self {
        Self {
            all: All::default(),
            names: Vec::new(),
            hints: Vec::new(),
            open_pairs: 0,
            open_limit: (bound / 8).clamp(*OPEN_PAIRS.start(), *OPEN_PAIRS.end()),
            run_bytes: 0,
            bound,
            spill,
        }
    }

    /// Adds a series, whose reference is greater than all before.
    pub(super) fn add(&mut self, labels: &[(u32, u32)], reference: u32) -> Result<()> {
        self.all.push(reference);
        self.hints.resize(labels.len(), 0);
        for (i, &(name, value)) in labels.iter().enumerate() {
            let hint = self.hints.get(i).copied().unwrap_or_default();
            let at = match self.names.get(hint) {
                Some(found) if found.name == name => hint,
                _ => self.find(name),
            };
            if let Some(hint) = self.hints.get_mut(i) {
                *hint = at;
            }
            if let Some(found) = self.names.get_mut(at) {
                found
                    .open
                    .push((u64::from(value) << 32) | u64::from(reference));
            }
        }
        self.open_pairs += labels.len();
        if self.open_pairs >= self.open_limit {
            self.close_runs()?;
        }
        Ok(())
    }

    /// All lists in file order.
    pub(super) fn finish(mut self) -> Result<Lists> {
        self.close_runs()?;
        Ok(Lists {
            all: Some(self.all),
            names: self.names.into_iter(),
            name: 0,
            cursors: Vec::new(),
            spill: self.spill,
        })
    }

    fn find(&mut self, name: u32) -> usize {
        let found = self.names.binary_search_by_key(&name, |found| found.name);
        found.unwrap_or_else(|at| {
            // The hints behind it are off by one now, which the next series notices.
            let (open, runs) = (Vec::new(), Vec::new());
            self.names.insert(at, Name { name, open, runs });
            at
        })
    }

    /// Sorts and compresses what is open.
    fn close_runs(&mut self) -> Result<()> {
        self.open_pairs = 0;
        for name in &mut self.names {
            if name.open.is_empty() {
                continue;
            }
            name.open.sort_unstable();
            let run = compress(&name.open);
            // Names with many pairs keep their room: they will need it again.
            name.open.clear();
            self.run_bytes += run.len();
            name.runs.push(Run::Memory(run));
        }
        if self.run_bytes > self.bound {
            self.spill_runs()?;
        }
        Ok(())
    }

    fn spill_runs(&mut self) -> Result<()> {
        let Some(spill) = &mut self.spill else {
            return Ok(());
        };
        for run in self.names.iter_mut().flat_map(|name| &mut name.runs) {
            if let Run::Memory(bytes) = run {
                let number = spill.write(bytes).map_err(Error::Spill)?;
                let len = bytes.len() as u64;
                *run = Run::Spilled { number, len };
            }
        }
        self.run_bytes = 0;
        Ok(())
    }
}

/// Writes sorted pairs as a run.
fn compress(pairs: &[u64]) -> Vec<u8> {
    let mut out = Vec::with_capacity(pairs.len() * 2);
    let mut last_value = 0;
    for list in pairs.chunk_by(|a, b| a >> 32 == b >> 32) {
        let value = list.first().map_or(0, |first| first >> 32);
        put_uvarint(&mut out, value - last_value);
        put_uvarint(&mut out, list.len() as u64);
        last_value = value;
        let mut last = 0;
        for pair in list {
            let series = pair & u64::from(u32::MAX);
            put_uvarint(&mut out, series - last);
            last = series;
        }
    }
    out.shrink_to_fit();
    out
}

impl All {
    fn push(&mut self, reference: u32) {
        put_uvarint(&mut self.distances, u64::from(reference - self.last));
        self.last = reference;
        self.count += 1;
    }

    fn write(&self, out: &mut Vec<u32>) {
        let mut rest = self.distances.as_slice();
        let mut reference = 0;
        out.reserve(self.count as usize);
        while let Some(distance) = read_uvarint32(&mut rest) {
            reference += distance;
            out.push(reference);
        }
    }
}

impl Lists {
    /// The next list: its label, `None` for that of all series; its references go to `out`.
    pub(super) fn next(&mut self, out: &mut Vec<u32>) -> Result<Option<Option<(u32, u32)>>> {
        out.clear();
        if let Some(all) = self.all.take() {
            all.write(out);
            return Ok(Some(None));
        }
        while self.cursors.is_empty() {
            let Some(name) = self.names.next() else {
                return Ok(None);
            };
            self.name = name.name;
            self.cursors = name.runs.into_iter().map(Cursor::new).collect();
            self.advance()?;
        }
        let value = self.cursors.iter().map(|cursor| cursor.value).min();
        let value = value.unwrap_or_default();
        let spill = &mut self.spill;
        for cursor in &mut self.cursors {
            if cursor.value == value {
                cursor.series(spill, out)?;
            }
        }
        self.advance()?;
        Ok(Some(Some((self.name, value))))
    }

    /// Brings every cursor to a value, and drops those that have none.
    fn advance(&mut self) -> Result<()> {
        for cursor in &mut self.cursors {
            if cursor.count == 0 {
                cursor.head(&mut self.spill)?;
            }
        }
        self.cursors.retain(|cursor| !cursor.ended);
        Ok(())
    }
}

type MaybeSpill = Option<Box<dyn Spill>>;

impl Cursor {
    fn new(run: Run) -> Self {
        Self {
            run,
            offset: 0,
            buffer: Vec::new(),
            at: 0,
            value: 0,
            count: 0,
            ended: false,
        }
    }

    /// Reads the next value and the number of its series.
    fn head(&mut self, spill: &mut MaybeSpill) -> Result<()> {
        match self.number(spill)? {
            None => self.ended = true,
            Some(distance) => {
                self.value += distance;
                self.count = self.number(spill)?.unwrap_or_default();
            }
        }
        Ok(())
    }

    /// Adds the series of the present value.
    fn series(&mut self, spill: &mut MaybeSpill, out: &mut Vec<u32>) -> Result<()> {
        let mut series = 0;
        for _ in 0..std::mem::take(&mut self.count) {
            series += self.number(spill)?.unwrap_or_default();
            out.push(series);
        }
        Ok(())
    }

    /// The next number of the run; none at its end.
    #[inline]
    fn number(&mut self, spill: &mut MaybeSpill) -> Result<Option<u32>> {
        if self.bytes().len() < crate::varint::MAX_LEN {
            self.refill(spill)?;
        }
        let mut rest = self.bytes();
        let before = rest.len();
        let number = read_uvarint(&mut rest).and_then(|number| u32::try_from(number).ok());
        let used = before - rest.len();
        self.at += used;
        Ok(number)
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        let bytes = match &self.run {
            Run::Memory(bytes) => bytes,
            Run::Spilled { .. } => &self.buffer,
        };
        bytes.get(self.at..).unwrap_or_default()
    }

    fn refill(&mut self, spill: &mut MaybeSpill) -> Result<()> {
        let (Run::Spilled { number, len }, Some(spill)) = (&self.run, spill) else {
            return Ok(());
        };
        if self.offset < *len {
            let read = spill
                .read(*number, self.offset, READ)
                .map_err(Error::Spill)?;
            if read.is_empty() {
                return Err(Error::Spill("spilled postings are cut short".to_owned()));
            }
            self.offset += read.len() as u64;
            self.buffer.drain(..self.at);
            self.at = 0;
            self.buffer.extend_from_slice(&read);
        }
        Ok(())
    }
}
