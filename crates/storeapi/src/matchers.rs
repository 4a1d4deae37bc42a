//! Matchers of a request, compiled and split from external labels.

use rutile_model::{Labels, MatchOp, Matcher, Patterns};
use rutile_proto::thanos::{LabelMatcher, label_matcher::Type};

use rutile_runtime::CpuPool;

use crate::{Error, Result};

/// Compiles the matchers of a request.
///
/// # Errors
/// `Invalid` for an unknown type or a malformed regular expression; `Exhausted` if regular expressions are too large,
/// each or together.
pub fn compile_matchers(matchers: &[LabelMatcher]) -> Result<Vec<Matcher>> {
    let mut patterns = Patterns::default();
    let compiled = matchers.iter();
    compiled
        .map(|matcher| compile(matcher, &mut patterns))
        .collect()
}

/// The same beside the async threads, if there are regular expressions: those may take a tenth of a second.
///
/// # Errors
/// As of [`compile_matchers`].
pub async fn compile_matchers_apart(
    cpu: &CpuPool,
    matchers: &[LabelMatcher],
) -> Result<Vec<Matcher>> {
    let is_plain = |matcher: &LabelMatcher| {
        let plain = [Type::Eq, Type::Neq].map(i32::from);
        plain.contains(&matcher.r#type)
    };
    if matchers.iter().all(is_plain) {
        return compile_matchers(matchers);
    }
    let matchers = matchers.to_vec();
    cpu.run(move || compile_matchers(&matchers)).await
}

fn compile(matcher: &LabelMatcher, patterns: &mut Patterns) -> Result<Matcher> {
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
    patterns
        .matcher(op, &matcher.name, &matcher.value)
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

#[cfg(test)]
mod tests {
    use rutile_model::ErrorKind;

    use super::*;

    fn matcher(value: String) -> LabelMatcher {
        LabelMatcher {
            r#type: Type::Re.into(),
            name: "a".to_owned(),
            value,
        }
    }

    #[tokio::test]
    async fn regular_expressions_are_bounded_together() {
        let large = |i: usize| matcher(format!("x{i}\\pL{{60}}y"));
        let cpu = CpuPool::new(1);
        let few: Vec<_> = (0..2).map(large).collect();
        let compiled = compile_matchers_apart(&cpu, &few).await.unwrap();
        assert_eq!(compiled, compile_matchers(&few).unwrap());
        let many: Vec<_> = (0..200).map(large).collect();
        let error = compile_matchers_apart(&cpu, &many).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exhausted);
    }
}
