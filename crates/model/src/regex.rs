//! Regular expressions with exactly Go's syntax and meaning, matched against a whole value.
//!
//! A pattern means what Prometheus makes of it: `^(?s:pattern)$` in Go. It is parsed by a parser
//! of Go's syntax; what it accepts is then tested in the cheapest way that gives the same answer:
//! a set of values, prefix, infix and suffix of a pattern such as `a.*b.*`, and only otherwise an
//! automaton, which takes time linear in the value and memory within fixed limits. The page
//! `docs/formats/regex.md` says how this was compared with Go.

mod captures;
mod glob;
mod patterns;
mod plan;
mod set;
mod syntax;

use plan::Plan;
use regex_automata::{meta, nfa::thompson::WhichCaptures};
use regex_syntax::hir::{Hir, Look};

use crate::Error;

pub use captures::{CapturingRegex, Match, Template};
use patterns::Room;
pub use patterns::{MAX_PATTERN_BYTES, Patterns};
pub(crate) use syntax::printable;
use syntax::{Code, Flags, Refusal, SyntaxError};

/// What one thread may take for the states that it has visited; past it they are forgotten.
const STATE_CACHE_SIZE: usize = 1 << 20;

/// What an automaton counts for beside its program: the states that it visits, usually.
const STATES_SIZE: usize = 64 << 10;

/// A compiled regular expression.
#[derive(Debug)]
pub struct Regex {
    plan: Plan,
}

impl Regex {
    /// Compiles `pattern`.
    ///
    /// # Errors
    ///
    /// The pattern is not of Go's syntax (Go's message, and where), or its program is too large.
    pub fn new(pattern: &str) -> crate::Result<Self> {
        Self::within(pattern, &mut Room::default())
    }

    fn within(pattern: &str, room: &mut Room) -> crate::Result<Self> {
        let parsed = syntax::parse(pattern, Flags::PERL_DOT_NL, false, room)?;
        let hir = plan::without_anchors(&parsed.hir);
        let Some(plan) = plan::without_engine(&hir, pattern.len(), room.left()) else {
            let engine = engine(pattern, hir.clone(), WhichCaptures::Implicit, room)?;
            let plan = Plan::engine(&hir, engine);
            return Ok(Self { plan });
        };
        if !room.take(plan.bytes()) {
            return Err(too_large(pattern));
        }
        Ok(Self { plan })
    }

    /// Whether the whole of `value` matches.
    #[must_use]
    pub fn is_match(&self, value: &str) -> bool {
        self.plan.is_match(value)
    }

    /// All values that match, sorted and unique, if they are few: at most 256, or as many as a
    /// plain list of alternatives has.
    #[must_use]
    pub fn set_matches(&self) -> Option<&[String]> {
        self.plan.set()
    }

    /// What every matching value starts with; often empty.
    #[must_use]
    pub fn prefix(&self) -> &str {
        self.plan.prefix()
    }

    /// Whether every value matches, for certain.
    #[must_use]
    pub fn accepts_all(&self) -> bool {
        matches!(self.plan, Plan::All)
    }

    /// Whether exactly the values other than the empty one match, for certain.
    #[must_use]
    pub fn accepts_all_but_empty(&self) -> bool {
        matches!(self.plan, Plan::NotEmpty)
    }

    /// Whether values are tested without running an automaton.
    #[must_use]
    pub fn is_fast(&self) -> bool {
        !matches!(self.plan, Plan::Engine(_))
    }
}

impl From<SyntaxError> for Error {
    fn from(error: SyntaxError) -> Self {
        if error.is_too_large() {
            return Self::too_large(error.to_string());
        }
        Self::invalid(error.to_string())
    }
}

/// Builds the automaton of `hir` between the two ends of a value.
fn engine(
    pattern: &str,
    hir: Hir,
    captures: WhichCaptures,
    room: &mut Room,
) -> crate::Result<meta::Regex> {
    let anchored = Hir::concat(vec![Hir::look(Look::Start), hir, Hir::look(Look::End)]);
    let config = meta::Config::new()
        .which_captures(captures)
        .nfa_size_limit(Some(room.left()))
        .hybrid_cache_capacity(STATE_CACHE_SIZE);
    let built = meta::Builder::new()
        .configure(config)
        .build_from_hir(&anchored);
    let built = built.map_err(|error| {
        room.take_all();
        if error.size_limit().is_some() {
            return too_large(pattern);
        }
        Error::invalid(format!(
            "regular expression cannot be compiled: {error}: `{pattern}`"
        ))
    })?;
    // It may be more than is left, for there are several programs of the size that is limited.
    room.take(built.memory_usage() + STATES_SIZE);
    Ok(built)
}

fn too_large(pattern: &str) -> Error {
    Refusal::new(Code::TooLarge, pattern)
        .into_error(pattern)
        .into()
}

#[cfg(test)]
mod tests;
