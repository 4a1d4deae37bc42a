//! Matchers of a request, compiled and split from external labels.

use rutile_model::{Labels, MatchOp, Matcher};
use rutile_proto::thanos::{LabelMatcher, label_matcher::Type};

use crate::{Error, Result};

/// Compiles the matchers of a request.
///
/// # Errors
/// `Invalid` for an unknown type or a malformed regular expression.
pub fn compile_matchers(matchers: &[LabelMatcher]) -> Result<Vec<Matcher>> {
    matchers.iter().map(compile).collect()
}

fn compile(matcher: &LabelMatcher) -> Result<Matcher> {
    let op = match Type::try_from(matcher.r#type) {
        Ok(Type::Eq) => MatchOp::Equal,
        Ok(Type::Neq) => MatchOp::NotEqual,
        Ok(Type::Re) => MatchOp::Regex,
        Ok(Type::Nre) => MatchOp::NotRegex,
        Err(_) => {
            let message = format!(
                "matcher type {} of label {:?} is unknown",
                matcher.r#type, matcher.name
            );
            return Err(Error::invalid(message));
        }
    };
    Matcher::new(op, matcher.name.as_str(), matcher.value.as_str())
        .map_err(|error| Error::new(error.kind(), "cannot compile a matcher").with_source(error))
}

/// The matchers that remain for series which all have these external labels, or `None` if an
/// external label does not match and so no series can.
#[must_use]
pub fn without_external(matchers: Vec<Matcher>, external: &Labels) -> Option<Vec<Matcher>> {
    let mut remaining = Vec::with_capacity(matchers.len());
    for matcher in matchers {
        match external.get(matcher.name()) {
            Some(value) if !matcher.matches(value) => return None,
            Some(_) => {}
            None => remaining.push(matcher),
        }
    }
    Some(remaining)
}
