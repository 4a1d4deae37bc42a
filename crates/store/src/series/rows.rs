//! Turns the labels of one block's series into rows of numbers: external labels woven in, replica
//! labels left out.

use rutile_blockio::Result;
use rutile_index::{Header, SeriesEntry};
use rutile_model::Labels;

use super::label_numbers::{BlockNumbers, LabelNumbers, common_start};

/// How many names are remembered at a time.
const FATES: usize = 64;

/// What to do with a label, by its name. Small and plain, for it is looked up for every label of every series.
#[derive(Debug, Clone, Copy)]
struct Fate {
    /// The symbol of the name; an empty place has one that belongs elsewhere.
    name: u32,
    /// It goes out behind so many external labels.
    before: u32,
    /// Or not at all: an external label of the same name replaces it, or it is a replica label.
    is_dropped: bool,
}

/// An external label that goes out.
#[derive(Debug)]
struct External {
    name: Box<str>,
    number: u32,
}

/// Makes the rows of one block.
#[derive(Debug)]
pub(crate) struct Rows {
    numbers: BlockNumbers,
    external: Vec<External>,
    /// Labels that go out in no series.
    drop: Vec<String>,
    /// By the low bits of the name's symbol.
    fates: Box<[Fate; FATES]>,
    /// Where the labels of the last row end.
    ends: Vec<End>,
}

/// The end of a label, in its entry and in its row.
#[derive(Debug, Clone, Copy)]
struct End {
    /// Bytes of the entry's labels up to here.
    bytes: u32,
    /// Numbers of the row up to here.
    numbers: u32,
    /// External labels among them.
    written: u32,
}

/// The row before one, and its entry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Previous<'a> {
    pub(crate) entry: SeriesEntry<'a>,
    /// Where the row starts.
    pub(crate) start: usize,
}

impl Rows {
    /// Rows with the `external` labels, without those in `drop`.
    ///
    /// # Errors
    /// When there is no memory for the strings.
    pub(crate) fn new(numbers: BlockNumbers, external: &Labels, drop: Vec<String>) -> Result<Self> {
        let kept = external
            .iter()
            .filter(|(name, _)| !drop.iter().any(|other| other == name));
        let number =
            |name: &str, value: &str| numbers.numbers().number(name.as_bytes(), value.as_bytes());
        let external = kept
            .map(|(name, value)| {
                Ok(External {
                    name: name.into(),
                    number: number(name, value)?,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            numbers,
            external,
            drop,
            fates: Box::new(std::array::from_fn(Fate::nowhere)),
            ends: Vec::new(),
        })
    }

    /// The header of the block's index.
    pub(crate) fn header(&self) -> &Header {
        self.numbers.header()
    }

    /// The labels behind the numbers.
    pub(crate) fn numbers(&self) -> &LabelNumbers {
        self.numbers.numbers()
    }

    /// Whether some label of the block is left out or replaced, which may shuffle its series.
    pub(crate) fn shuffles(&self) -> bool {
        self.numbers
            .header()
            .label_names()
            .any(|name| self.is_dropped(name.as_bytes()))
    }

    fn is_dropped(&self, name: &[u8]) -> bool {
        self.external
            .iter()
            .any(|external| external.name.as_bytes() == name)
            || self.drop.iter().any(|dropped| dropped.as_bytes() == name)
    }

    /// Appends the row of `entry`. Returns how many numbers at its end are external labels: if there
    /// are any, a longer label set may come later that sorts before this one.
    ///
    /// `previous` is what was pushed last: what both start with, often half of all labels, is copied.
    #[inline]
    pub(crate) fn push(
        &mut self,
        entry: &SeriesEntry<'_>,
        previous: Option<Previous<'_>>,
        out: &mut Vec<u32>,
    ) -> Result<usize> {
        let start = out.len();
        let mut last = End {
            bytes: 0,
            numbers: 0,
            written: 0,
        };
        let alike = previous.map_or(0, |previous| {
            let common = common_start(previous.entry.label_bytes(), entry.label_bytes());
            self.ends
                .iter()
                .take_while(|end| end.bytes as usize <= common)
                .count()
        });
        self.ends.truncate(alike);
        if let (Some(end), Some(previous)) = (self.ends.last(), previous) {
            last = *end;
            out.extend_from_within(previous.start..previous.start + last.numbers as usize);
        }
        let mut written = last.written;
        let mut labels = entry.labels_from(alike as u32, last.bytes as usize);
        let whole = last.bytes as usize + labels.rest_len();
        while let Some(symbols) = labels.next() {
            let (name, value) = symbols.map_err(|source| self.numbers.damaged(source))?;
            let fate = self.fate(name)?;
            if !fate.is_dropped {
                while written < fate.before {
                    out.push(self.external[written as usize].number);
                    written += 1;
                }
                out.push(self.numbers.number(name, value)?);
            }
            self.ends.push(End {
                bytes: (whole - labels.rest_len()) as u32,
                numbers: (out.len() - start) as u32,
                written,
            });
        }
        let own = out.len();
        let external = self.external.get(written as usize..).unwrap_or_default();
        out.extend(external.iter().map(|external| external.number));
        Ok(out.len() - own)
    }

    #[inline]
    fn fate(&mut self, name: u32) -> Result<Fate> {
        let fate = self.fates[name as usize % FATES];
        if fate.name == name {
            return Ok(fate);
        }
        self.decide(name)
    }

    #[cold]
    fn decide(&mut self, name: u32) -> Result<Fate> {
        let text = self.numbers.symbol(name)?;
        let before = self
            .external
            .iter()
            .filter(|other| other.name.as_bytes() < text);
        let fate = Fate {
            name,
            before: before.count() as u32,
            is_dropped: self.is_dropped(text),
        };
        self.fates[name as usize % FATES] = fate;
        Ok(fate)
    }
}

impl Fate {
    /// What stands in an empty place.
    fn nowhere(slot: usize) -> Self {
        Self {
            name: slot as u32 ^ 1,
            before: 0,
            is_dropped: true,
        }
    }
}
