//! Arithmetic of bucket spans: which buckets they name, and moving counts between layouts.

use rutile_model::Span;

/// Index of every bucket that `spans` name, in order. Offsets are relative to the end of the span
/// before.
pub(crate) fn indices(spans: &[Span]) -> impl Iterator<Item = i64> {
    let mut next = 0_i64;
    spans.iter().flat_map(move |span| {
        let start = next + i64::from(span.offset);
        next = start + i64::from(span.length);
        start..next
    })
}

/// The spans that name these buckets, as few as possible. `indices` grow; `None` if one of them or
/// a gap between them does not fit into a span.
pub(crate) fn from_indices(indices: impl Iterator<Item = i64>) -> Option<Vec<Span>> {
    let mut spans: Vec<Span> = Vec::new();
    let mut next = 0;
    for index in indices {
        match spans.last_mut() {
            Some(span) if index == next => span.length += 1,
            _ => spans.push(Span {
                offset: i32::try_from(index - next).ok()?,
                length: 1,
            }),
        }
        next = index + 1;
    }
    Some(spans)
}

/// Whether all of `inner`'s buckets are in `outer` too.
pub(crate) fn covers(outer: &[Span], inner: &[Span]) -> bool {
    let mut outer = indices(outer);
    indices(inner).all(|index| outer.by_ref().find(|&o| o >= index) == Some(index))
}

/// All buckets of either.
pub(crate) fn union(a: &[Span], b: &[Span]) -> Option<Vec<Span>> {
    let (mut a, mut b) = (indices(a).peekable(), indices(b).peekable());
    from_indices(std::iter::from_fn(move || match (a.peek(), b.peek()) {
        (Some(x), Some(y)) if x == y => {
            a.next();
            b.next()
        }
        (Some(x), Some(y)) if x > y => b.next(),
        (Some(_), _) => a.next(),
        (None, _) => b.next(),
    }))
}

/// Moves absolute counts from the buckets of `from` to those of `to`, which covers it; the others
/// are `T::default()`.
pub(crate) fn widen<T: Copy + Default>(from: &[Span], counts: &[T], to: &[Span]) -> Vec<T> {
    let mut old = indices(from).zip(counts).peekable();
    indices(to)
        .map(|index| {
            old.next_if(|(i, _)| *i == index)
                .map_or_else(T::default, |(_, count)| *count)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(list: &[(i32, u32)]) -> Vec<Span> {
        list.iter()
            .map(|&(offset, length)| Span { offset, length })
            .collect()
    }

    #[test]
    fn buckets_are_merged_and_counts_follow_them() {
        let a = spans(&[(0, 2), (2, 1), (0, 0), (3, 2)]);
        assert_eq!(indices(&a).collect::<Vec<_>>(), [0, 1, 4, 8, 9]);
        let b = spans(&[(-1, 1), (2, 3)]);
        assert_eq!(indices(&b).collect::<Vec<_>>(), [-1, 2, 3, 4]);
        let both = union(&a, &b).unwrap();
        assert_eq!(both, spans(&[(-1, 6), (3, 2)]));
        assert_eq!(widen(&b, &[5, 6, 7, 8], &both), [5, 0, 0, 6, 7, 8, 0, 0]);
        assert!(covers(&both, &a) && covers(&both, &b) && covers(&a, &[]));
        assert!(!covers(&a, &b) && !covers(&[], &b));
    }
}
