//! The functions by name, as `--deduplication.func` takes them.

use std::fmt;
use std::str::FromStr;

/// How replicas become one series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Function {
    /// Thanos's default: the earlier next sample, while the other replica has to wait for twice the
    /// last gap. Source: Thanos 0.43, `pkg/dedup/iter.go`, `dedupSeriesIterator`.
    #[default]
    Penalty,
    /// Every sample of all replicas, one for each time. Source: Prometheus 3.9, `storage/merge.go`,
    /// `chainSampleIterator`.
    Chain,
    /// One replica for as long as it has no gap while another one has samples; right for counters.
    Replica,
}

/// A name that is none of a function.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown deduplication function {0:?}: use penalty, chain or replica")]
pub struct UnknownFunction(String);

impl Function {
    /// All of them, the default first.
    pub const ALL: [Self; 3] = [Self::Penalty, Self::Chain, Self::Replica];

    /// The name in the flag.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Penalty => "penalty",
            Self::Chain => "chain",
            Self::Replica => "replica",
        }
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Function {
    type Err = UnknownFunction;

    fn from_str(text: &str) -> Result<Self, UnknownFunction> {
        let found = Self::ALL.into_iter().find(|f| f.name() == text);
        found.ok_or_else(|| UnknownFunction(text.to_owned()))
    }
}

/// Whether what a PromQL function is given is a counter, as far as deduplication is concerned: for
/// `rate`, `increase`, `irate` and `resets`, not for the extended ones (Thanos, `isCounter`).
#[must_use]
pub fn is_counter_function(name: &str) -> bool {
    matches!(name, "rate" | "increase" | "irate" | "resets")
}
