//! Matchers as the wire has them.

use rutile_model::{MatchOp, Matcher};
use rutile_proto::thanos::{LabelMatcher, label_matcher::Type};

/// Matchers as the wire has them.
pub(crate) fn to_wire(matchers: &[Matcher]) -> Vec<LabelMatcher> {
    let one = |matcher: &Matcher| {
        let kind = match matcher.op() {
            MatchOp::Equal => Type::Eq,
            MatchOp::NotEqual => Type::Neq,
            MatchOp::Regex => Type::Re,
            MatchOp::NotRegex => Type::Nre,
        };
        LabelMatcher {
            r#type: kind.into(),
            name: matcher.name().to_owned(),
            value: matcher.value().to_owned(),
        }
    };
    matchers.iter().map(one).collect()
}
