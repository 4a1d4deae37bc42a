//! The regular expressions of one request: each is compiled once, and all together are bounded.
//!
//! One alone is harmless within its limit; some hundred such in a short query are not.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::{CapturingRegex, Regex};
use crate::{Error, ErrorKind, MatchOp, Matcher};

/// What the regular expressions of one request may take together, bytes: the classes of characters that they are
/// parsed to, and what they are compiled to. Go allows 128 MiB for each; patterns come from users.
pub const MAX_PATTERN_BYTES: usize = 16 << 20;

/// How many bytes of a pattern a message shows.
const SHOWN_BYTES: usize = 100;

/// Compiles the regular expressions of one request. Equal ones are the same.
#[derive(Debug, Default)]
pub struct Patterns {
    compiled: HashMap<String, Arc<Regex>, FixedState>,
    room: Room,
}

/// What may still be taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    left: usize,
}

impl Patterns {
    /// The regular expression of a pattern.
    ///
    /// # Errors
    ///
    /// As [`Regex::new`]; `Exhausted` if it does not fit beside the others.
    pub fn regex(&mut self, pattern: &str) -> crate::Result<Arc<Regex>> {
        if let Some(regex) = self.compiled.get(pattern) {
            return Ok(Arc::clone(regex));
        }
        let before = self.room;
        let regex = Regex::within(pattern, &mut self.room);
        let regex = Arc::new(regex.map_err(|error| refused(error, before, pattern))?);
        self.compiled.insert(pattern.to_owned(), Arc::clone(&regex));
        Ok(regex)
    }

    /// The same with groups. It is not kept.
    ///
    /// # Errors
    ///
    /// As [`CapturingRegex::new`]; `Exhausted` if it does not fit beside the others.
    pub fn capturing(&mut self, pattern: &str) -> crate::Result<CapturingRegex> {
        let before = self.room;
        let regex = CapturingRegex::within(pattern, &mut self.room);
        regex.map_err(|error| refused(error, before, pattern))
    }

    /// A matcher, as [`Matcher::new`] makes it.
    ///
    /// # Errors
    ///
    /// As [`Matcher::new`]; `Exhausted` if its regular expression does not fit beside the others.
    pub fn matcher(&mut self, op: MatchOp, name: &str, value: &str) -> crate::Result<Matcher> {
        match op {
            MatchOp::Equal | MatchOp::NotEqual => Matcher::new(op, name, value),
            MatchOp::Regex | MatchOp::NotRegex => {
                let regex = self.regex(value)?;
                Ok(Matcher::with_regex(op, name, value, regex))
            }
        }
    }

    /// What all of them took so far, bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        MAX_PATTERN_BYTES - self.room.left
    }
}

impl Default for Room {
    fn default() -> Self {
        Self {
            left: MAX_PATTERN_BYTES,
        }
    }
}

impl Room {
    pub(super) fn left(self) -> usize {
        self.left
    }

    /// Takes so much. False, and nothing is left, if it is too much.
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        let fits = bytes <= self.left;
        self.left = self.left.saturating_sub(bytes);
        fits
    }

    /// Takes all: what was refused must not be tried again with the rest of a request.
    pub(super) fn take_all(&mut self) {
        self.left = 0;
    }
}

/// Says what is too large: a pattern alone, or all of them.
fn refused(error: Error, before: Room, pattern: &str) -> Error {
    if error.kind() != ErrorKind::Exhausted || before.left == MAX_PATTERN_BYTES {
        return error;
    }
    let shown = pattern
        .get(..pattern.floor_char_boundary(SHOWN_BYTES))
        .unwrap_or_default();
    let more = if shown.len() < pattern.len() {
        "..."
    } else {
        ""
    };
    Error::too_large(format!(
        "the regular expressions of one request may take {MAX_PATTERN_BYTES} bytes together, compiled, and this one \
         does not fit beside the others: use fewer or simpler ones: `{shown}{more}`"
    ))
}
