//! Which shard of a sharded query a series belongs to.

use rutile_proto::thanos::ShardInfo;
use xxhash_rust::xxh64::Xxh64;

/// Stands after each name and each value that is hashed.
const SEPARATOR: &[u8] = &[0xff];

/// Whether a series with these labels (sorted, as they are answered) belongs to the shard.
///
/// The hash is xxhash64 over the labels named in `shard.labels`, or over all others unless
/// `shard.by`. Fewer than one shard means that the query is not sharded.
#[must_use]
pub fn shard_matches<'a>(
    shard: &ShardInfo,
    labels: impl Iterator<Item = (&'a [u8], &'a [u8])>,
) -> bool {
    let Some(total) = u64::try_from(shard.total_shards)
        .ok()
        .filter(|total| *total > 0)
    else {
        return true;
    };
    let mut hasher = Xxh64::new(0);
    for (name, value) in labels {
        let listed = shard.labels.iter().any(|label| label.as_bytes() == name);
        if listed == shard.by {
            hasher.update(name);
            hasher.update(SEPARATOR);
            hasher.update(value);
            hasher.update(SEPARATOR);
        }
    }
    u64::try_from(shard.shard_index).is_ok_and(|index| hasher.digest() % total == index)
}

#[cfg(test)]
mod tests {
    use xxhash_rust::xxh64::xxh64;

    use super::*;

    const LABELS: [(&str, &str); 3] = [("__name__", "up"), ("job", "node"), ("pod", "a")];

    fn shard(index: i64, total: i64, by: bool, labels: &[&str]) -> ShardInfo {
        let labels = labels.iter().map(|&label| label.into()).collect();
        ShardInfo {
            shard_index: index,
            total_shards: total,
            by,
            labels,
        }
    }

    fn matches(shard: &ShardInfo) -> bool {
        shard_matches(
            shard,
            LABELS
                .iter()
                .map(|(name, value)| (name.as_bytes(), value.as_bytes())),
        )
    }

    #[test]
    fn hashes_the_grouping_labels() {
        let check = |by, labels: &[&str], hashed: &[u8]| {
            let expected = i64::try_from(xxh64(hashed, 0) % 7).unwrap();
            for index in 0..7 {
                let found = matches(&shard(index, 7, by, labels));
                assert_eq!(found, index == expected, "shard {index} by {by} {labels:?}");
            }
        };
        check(
            true,
            &["pod", "job", "absent"],
            b"job\xffnode\xffpod\xffa\xff",
        );
        check(false, &["pod", "job"], b"__name__\xffup\xff");
        check(false, &[], b"__name__\xffup\xffjob\xffnode\xffpod\xffa\xff");
        check(true, &[], b"");
    }

    #[test]
    fn no_shards_and_wrong_shards() {
        assert!(matches(&shard(0, 0, true, &[])));
        assert!(matches(&shard(5, -1, true, &[])));
        assert!(!matches(&shard(-1, 7, true, &[])));
        assert!(!matches(&shard(7, 7, true, &[])));
    }
}
