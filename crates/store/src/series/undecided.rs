//! Matchers that the postings of a block left undecided, applied to its series.

use std::sync::Arc;

use foldhash::{HashMap, HashMapExt};
use rutile_index::{Header, Result, SeriesEntry};
use rutile_model::Matcher;

/// Values of a matcher that are remembered at a time.
const MAX_VERDICTS: usize = 64 * 1024;

/// Says of a series whether it matches after all.
#[derive(Debug)]
pub(crate) struct Undecided {
    header: Arc<Header>,
    matchers: Vec<OneMatcher>,
}

#[derive(Debug)]
struct OneMatcher {
    matcher: Matcher,
    /// The symbol of its label name, if the block has it.
    name: Option<u32>,
    /// What it said of values, by their symbols.
    verdicts: HashMap<u32, bool>,
}

impl Undecided {
    pub(crate) fn new(header: Arc<Header>, matchers: &[Matcher]) -> Self {
        let matchers = matchers.iter().map(|matcher| OneMatcher {
            matcher: matcher.clone(),
            name: header.lookup_symbol(matcher.name()),
            verdicts: HashMap::new(),
        });
        {
            let matchers = matchers.collect();
            Self { header, matchers }
        }
    }

    /// Whether all of them accept the series.
    pub(crate) fn accept(&mut self, entry: &SeriesEntry<'_>) -> Result<bool> {
        for matcher in &mut self.matchers {
            let accepted = match value_of(entry, matcher.name)? {
                None => matcher.matcher.matches_empty(),
                Some(symbol) => matcher.accepts(symbol, &self.header)?,
            };
            if !accepted {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The symbol of a label's value, if the series has the label.
pub(crate) fn value_of(entry: &SeriesEntry<'_>, wanted: Option<u32>) -> Result<Option<u32>> {
    for label in entry.labels() {
        let (name, value) = label?;
        if Some(name) == wanted {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

impl OneMatcher {
    fn accepts(&mut self, symbol: u32, header: &Header) -> Result<bool> {
        if let Some(verdict) = self.verdicts.get(&symbol) {
            return Ok(*verdict);
        }
        if self.verdicts.len() >= MAX_VERDICTS {
            self.verdicts.clear();
        }
        let verdict = self.matcher.matches(header.symbols().get_str(symbol)?);
        self.verdicts.insert(symbol, verdict);
        Ok(verdict)
    }
}
