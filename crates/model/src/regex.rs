//! Regular expressions of Go's syntax, matched against a whole value.

use regex_automata::{Anchored, Input, meta};

use crate::Error;

/// A compiled regular expression.
#[derive(Debug)]
pub struct Regex {
    engine: meta::Regex,
    set: Option<Vec<String>>,
}

impl Regex {
    /// Compiles `pattern`, which is matched as `^(?s:pattern)$`.
    ///
    /// # Errors
    ///
    /// The pattern is malformed or too large.
    pub fn new(pattern: &str) -> crate::Result<Self> {
        let engine =
            meta::Regex::new(&format!("^(?s:{pattern})$")).map_err(|e| match e.size_limit() {
                Some(_) => Error::too_large(e.to_string()),
                None => Error::invalid(e.to_string()),
            })?;
        Ok(Self { engine, set: None })
    }

    /// Whether the whole of `value` matches.
    #[must_use]
    pub fn is_match(&self, value: &str) -> bool {
        self.engine
            .is_match(Input::new(value).anchored(Anchored::Yes))
    }

    /// All values that match, sorted and unique, if they are few.
    #[must_use]
    pub fn set_matches(&self) -> Option<&[String]> {
        self.set.as_deref()
    }

    /// What every matching value starts with; often empty.
    #[must_use]
    pub fn prefix(&self) -> &str {
        ""
    }

    /// Whether every value matches, for certain.
    #[must_use]
    pub fn accepts_all(&self) -> bool {
        false
    }

    /// Whether exactly the values other than the empty one match, for certain.
    #[must_use]
    pub fn accepts_all_but_empty(&self) -> bool {
        false
    }
}
