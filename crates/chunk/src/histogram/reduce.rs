//! Merging the buckets of a schema that is finer than what is supported.

use std::borrow::Cow;

use super::form::{Form, Parts};
use super::spans;

/// Finest exponential schema in use; chunks of future writers may have finer ones.
pub(crate) const MAX_SCHEMA: i32 = 8;

/// The same histogram in the buckets of [`MAX_SCHEMA`].
///
/// `None` if spans overlap or lie beyond what a span can name.
pub(crate) fn reduce<F: Form>(mut parts: Parts<'_, F>) -> Option<Parts<'_, F>> {
    let shift = parts.layout.schema - MAX_SCHEMA;
    for (origin, buckets) in parts.layout.spans.iter_mut().zip(&mut parts.buckets) {
        if origin.iter().skip(1).any(|span| span.offset < 0) {
            return None;
        }
        let mut targets: Vec<(i64, F::Bucket)> = Vec::new();
        for (index, count) in spans::indices(origin).zip(F::absolute(buckets)) {
            let target = ((index - 1) >> shift) + 1;
            match targets.last_mut() {
                Some((last, sum)) if *last == target => *sum = F::add(*sum, count),
                _ => targets.push((target, count)),
            }
        }
        *origin = Cow::Owned(spans::from_indices(
            targets.iter().map(|(index, _)| *index),
        )?);
        *buckets = Cow::Owned(F::relative(
            targets.into_iter().map(|(_, count)| count).collect(),
        ));
    }
    parts.layout.schema = MAX_SCHEMA;
    Some(parts)
}
