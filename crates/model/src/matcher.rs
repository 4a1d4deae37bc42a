//! Matchers: the test of one label's value, in the four forms of PromQL.

mod parse;

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::{Regex, labels::is_plain_name, quote::quote};

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`, the whole value
    Regex,
    /// `!~`
    NotRegex,
}

impl MatchOp {
    /// The operator as PromQL writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }

    /// Whether this is the negation of another operator.
    #[must_use]
    pub fn is_negative(self) -> bool {
        matches!(self, Self::NotEqual | Self::NotRegex)
    }

    /// The operator that accepts exactly what this one refuses.
    #[must_use]
    pub fn inverse(self) -> Self {
        match self {
            Self::Equal => Self::NotEqual,
            Self::NotEqual => Self::Equal,
            Self::Regex => Self::NotRegex,
            Self::NotRegex => Self::Regex,
        }
    }
}

impl fmt::Display for MatchOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A test of the value of one label. An absent label has the empty value.
///
/// Equal if operator, name and text are equal. Cheap to clone.
#[derive(Clone)]
pub struct Matcher {
    op: MatchOp,
    name: Arc<str>,
    value: Arc<str>,
    /// What the text accepts, whether or not `op` negates it.
    accepts: Accepts,
}

#[derive(Clone)]
enum Accepts {
    /// One value: kept as a list for [`Matcher::set_matches`].
    One(Arc<[String; 1]>),
    Pattern(Arc<Regex>),
}

impl Matcher {
    /// Makes a matcher. `value` is a regular expression (of Go's syntax, see [`Regex`]) for the
    /// two operators that take one.
    ///
    /// # Errors
    ///
    /// The regular expression is malformed or too large.
    pub fn new(
        op: MatchOp,
        name: impl Into<Arc<str>>,
        value: impl Into<Arc<str>>,
    ) -> crate::Result<Self> {
        let (name, value) = (name.into(), value.into());
        let accepts = match op {
            MatchOp::Equal | MatchOp::NotEqual => Accepts::One(Arc::new([value.as_ref().into()])),
            MatchOp::Regex | MatchOp::NotRegex => Accepts::Pattern(Arc::new(
                Regex::new(&value).map_err(|e| e.within(&format!("matcher {name}{op}")))?,
            )),
        };
        Ok(Self {
            op,
            name,
            value,
            accepts,
        })
    }

    /// A matcher of a pattern that is compiled already; `op` takes one.
    pub(crate) fn with_regex(op: MatchOp, name: &str, value: &str, regex: Arc<Regex>) -> Self {
        Self {
            op,
            name: name.into(),
            value: value.into(),
            accepts: Accepts::Pattern(regex),
        }
    }

    /// `name="value"`, which cannot fail.
    #[must_use]
    pub fn equal(name: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> Self {
        let value = value.into();
        let accepts = Accepts::One(Arc::new([value.as_ref().into()]));
        Self {
            op: MatchOp::Equal,
            name: name.into(),
            value,
            accepts,
        }
    }

    /// How values are compared.
    #[must_use]
    pub fn op(&self) -> MatchOp {
        self.op
    }

    /// Name of the label that is looked at.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text or regular expression, as given.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether `value` passes. Never fails, takes time linear in `value`.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        self.accepts(value) != self.op.is_negative()
    }

    /// Whether an absent label passes.
    #[must_use]
    pub fn matches_empty(&self) -> bool {
        self.matches("")
    }

    /// Whether every value passes, for certain: `=~".*"`.
    #[must_use]
    pub fn matches_all(&self) -> bool {
        match &self.accepts {
            Accepts::Pattern(regex) if !self.op.is_negative() => regex.accepts_all(),
            _ => false,
        }
    }

    /// Whether exactly the values other than the empty one pass, for certain: `=~".+"`, `!=""`.
    #[must_use]
    pub fn is_not_empty(&self) -> bool {
        match &self.accepts {
            Accepts::Pattern(regex) if self.op.is_negative() => {
                regex
                    .set_matches()
                    .is_some_and(|set| set.iter().all(String::is_empty))
                    && regex.is_match("")
            }
            Accepts::Pattern(regex) => regex.accepts_all_but_empty(),
            Accepts::One(one) => self.op.is_negative() && one[0].is_empty(),
        }
    }

    /// All values that pass, sorted and unique, if they are few: `="a"`, `=~"a|b|c[12]"`.
    ///
    /// `None` also for the negative operators: ask [`Matcher::inverse`] what they exclude.
    #[must_use]
    pub fn set_matches(&self) -> Option<&[String]> {
        match &self.accepts {
            _ if self.op.is_negative() => None,
            Accepts::One(one) => Some(one.as_slice()),
            Accepts::Pattern(regex) => regex.set_matches(),
        }
    }

    /// What every passing value starts with, often empty; always so for the negative operators.
    #[must_use]
    pub fn prefix(&self) -> &str {
        match &self.accepts {
            _ if self.op.is_negative() => "",
            Accepts::One(one) => &one[0],
            Accepts::Pattern(regex) => regex.prefix(),
        }
    }

    /// The matcher that passes exactly what this one does not. Does not compile anything.
    #[must_use]
    pub fn inverse(&self) -> Self {
        Self {
            op: self.op.inverse(),
            ..self.clone()
        }
    }

    fn accepts(&self, value: &str) -> bool {
        match &self.accepts {
            Accepts::One(one) => one[0] == value,
            Accepts::Pattern(regex) => regex.is_match(value),
        }
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (self.op, &self.name, &self.value) == (other.op, &other.name, &other.value)
    }
}

impl Eq for Matcher {}

impl Hash for Matcher {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.op, &self.name, &self.value).hash(state);
    }
}

/// `name=~"value"`, quoted as in Go; reads back with [`Matcher::parse`].
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_plain_name(&self.name) {
            f.write_str(&self.name)?;
        } else {
            f.write_str(&quote(&self.name))?;
        }
        write!(f, "{}{}", self.op, quote(&self.value))
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
