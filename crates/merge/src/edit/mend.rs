//! Chunks of a series that do not lie one behind the other, as a writer with a fault leaves them.

use std::ops::RangeInclusive;

use crate::batch::Place;

/// The chunks of a series in as few layers as they need so that each begins after the one before it has ended: layers are
/// merged as the series of several blocks are. A chunk that is named twice comes once; those that lie outside of `times`, ms,
/// altogether are left out.
pub(crate) fn layers(places: &[Place], times: &RangeInclusive<i64>) -> Vec<Vec<Place>> {
    let within =
        |place: &&Place| place.max_time >= *times.start() && place.min_time <= *times.end();
    let mut sorted: Vec<Place> = places.iter().filter(within).copied().collect();
    sorted.sort_unstable_by_key(|place| (place.min_time, place.max_time, place.chunk_ref));
    sorted.dedup();
    let mut layers: Vec<Vec<Place>> = Vec::new();
    for place in sorted {
        let fits = |layer: &&mut Vec<Place>| {
            layer
                .last()
                .is_none_or(|last| last.max_time < place.min_time)
        };
        match layers.iter_mut().find(fits) {
            Some(layer) => layer.push(place),
            None => layers.push(vec![place]),
        }
    }
    layers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place((min_time, max_time, chunk_ref): (i64, i64, u64)) -> Place {
        Place {
            min_time,
            max_time,
            chunk_ref,
        }
    }

    #[test]
    fn chunks_are_put_in_order_and_those_that_overlap_apart() {
        let check = |chunks: &[(i64, i64, u64)], expected: &[&[u64]]| {
            let places: Vec<Place> = chunks.iter().copied().map(place).collect();
            let found = layers(&places, &(0..=100));
            let found: Vec<Vec<u64>> = { found.iter() }
                .map(|layer| layer.iter().map(|place| place.chunk_ref).collect())
                .collect();
            assert_eq!(found, expected, "{chunks:?}");
        };
        check(&[(0, 9, 1), (10, 19, 2)], &[&[1, 2]]);
        check(&[(10, 19, 2), (0, 9, 1)], &[&[1, 2]]);
        check(&[(0, 9, 1), (0, 9, 1), (10, 19, 2)], &[&[1, 2]]);
        check(&[(0, 9, 1), (0, 9, 7), (10, 19, 2)], &[&[1, 2], &[7]]);
        check(&[(0, 10, 1), (10, 19, 2), (15, 30, 3)], &[&[1, 3], &[2]]);
        check(&[(-20, -1, 1), (-5, 5, 2), (101, 110, 3)], &[&[2]]);
        check(&[], &[]);
    }
}
