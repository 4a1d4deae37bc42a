//! Union, intersection and difference of many sorted lists.

use super::SortedRefs;

/// All references that are in at least one list.
///
/// The lists are laid end to end and sorted by a merge sort that finds the runs they already form:
/// n log k comparisons, and none beyond the first pass where lists follow each other.
#[must_use]
pub fn union<L: SortedRefs>(lists: &[L]) -> Vec<u32> {
    let mut all = Vec::with_capacity(lists.iter().map(SortedRefs::count).sum());
    for list in lists {
        list.append_to(0..list.count(), &mut all);
    }
    if lists.len() > 1 {
        #[allow(
            clippy::stable_sort_primitive,
            reason = "the stable sort merges existing runs"
        )]
        all.sort();
        all.dedup();
    }
    all
}

/// All references that are in every list; none if there is no list.
///
/// Starts from the smallest and searches the others by galloping: the cost is the length of the
/// smallest list times the logarithm of the gaps.
#[must_use]
pub fn intersect<L: SortedRefs>(lists: &[L]) -> Vec<u32> {
    let mut by_count: Vec<&L> = lists.iter().collect();
    by_count.sort_by_key(|list| list.count());
    let Some((smallest, others)) = by_count.split_first() else {
        return Vec::new();
    };
    let mut found = Vec::with_capacity(smallest.count());
    smallest.append_to(0..smallest.count(), &mut found);
    for list in others {
        let mut at = 0;
        found.retain(|&wanted| {
            at = list.seek(at, wanted);
            at < list.count() && list.at(at) == wanted
        });
    }
    found
}

/// The references of `base` that are in none of `drop`. Ranges of `base` between two dropped
/// references are copied as a whole.
#[must_use]
pub fn without<B: SortedRefs, L: SortedRefs>(base: &B, drop: &[L]) -> Vec<u32> {
    let mut kept = Vec::with_capacity(base.count());
    base.append_to(0..base.count(), &mut kept);
    for list in drop {
        if list.count() > kept.len() {
            let mut at = 0;
            kept.retain(|&candidate| {
                at = list.seek(at, candidate);
                at >= list.count() || list.at(at) != candidate
            });
        } else {
            remove(&mut kept, list);
        }
    }
    kept
}

/// Removes a list that is shorter than `kept`: gallops in `kept`, moves what lies between.
fn remove<L: SortedRefs>(kept: &mut Vec<u32>, list: &L) {
    let (mut read, mut write) = (0, 0);
    for i in 0..list.count() {
        let dropped = list.at(i);
        let next = kept.seek(read, dropped);
        kept.copy_within(read..next, write);
        write += next - read;
        read = next;
        if kept.get(read) == Some(&dropped) {
            read += 1;
        }
    }
    let end = kept.len();
    kept.copy_within(read..end, write);
    kept.truncate(write + (end - read));
}
