use super::*;
use crate::{BlockId, UploadTime};

const NOW: i64 = 1_767_250_000_000;

fn meta(cut_ms: i64, uploaded_ms: Option<i64>, source: Source) -> Meta {
    let mut meta = Meta::new(BlockId::from_parts(cut_ms.try_into().unwrap(), [0; 10]));
    meta.thanos.source = source;
    meta.thanos.upload_time = uploaded_ms.map(UploadTime::from_ms).unwrap_or_default();
    meta
}

fn delayed() -> Contract {
    Contract {
        consistency_delay_ms: 30 * MINUTE,
        ..Contract::default()
    }
}

#[test]
fn bc_04_age_counts_from_upload_then_object_then_ulid() {
    let hour_ago = NOW - HOUR;
    let cases = [
        // Cut long ago, uploaded just now: fresh, whatever the other times say.
        (
            meta(hour_ago, Some(NOW - MINUTE), Source::Sidecar),
            Some(hour_ago),
            true,
        ),
        (
            meta(hour_ago, None, Source::Sidecar),
            Some(NOW - MINUTE),
            true,
        ),
        (meta(NOW - MINUTE, None, Source::Sidecar), None, true),
        (
            meta(NOW - MINUTE, Some(hour_ago), Source::Sidecar),
            Some(NOW),
            false,
        ),
        (
            meta(NOW - MINUTE, None, Source::Sidecar),
            Some(hour_ago),
            false,
        ),
        (meta(hour_ago, None, Source::Sidecar), None, false),
    ];
    for (meta, modified, fresh) in cases {
        assert_eq!(
            delayed().is_fresh(&meta, modified, NOW),
            fresh,
            "{meta:?} {modified:?}"
        );
    }
    let edge = meta(0, Some(NOW - 30 * MINUTE), Source::Sidecar);
    assert!(!delayed().is_fresh(&edge, None, NOW));
    assert!(delayed().is_fresh(&edge, None, NOW - 1));
}

#[test]
fn bc_04_outputs_of_compactions_and_repairs_are_exempt() {
    for (source, fresh) in [
        (Source::Compactor, false),
        (Source::CompactorRepair, false),
        (Source::BucketRepair, false),
        (Source::BucketRewrite, true),
        (Source::BucketUpload, true),
        (Source::Receive, true),
        (Source::Unknown, true),
    ] {
        assert_eq!(
            delayed().is_fresh(&meta(NOW, Some(NOW), source), None, NOW),
            fresh
        );
    }
}

#[test]
fn p15_a_clock_that_is_ahead_hides_no_block() {
    let ahead = meta(NOW + 3 * HOUR, Some(NOW + 3 * HOUR), Source::Sidecar);
    assert!(
        !Contract::default().is_fresh(&ahead, None, NOW),
        "age is zero, and the delay is zero"
    );
    assert!(!Contract::default().is_fresh(&ahead, Some(NOW), NOW));
    // With a delay the bucket's own time counts, however far ahead the uploader's is.
    let far = meta(NOW, Some(NOW + 1000 * 24 * HOUR), Source::Sidecar);
    assert!(delayed().is_fresh(&far, Some(NOW), NOW + 29 * MINUTE));
    assert!(!delayed().is_fresh(&far, Some(NOW), NOW + 30 * MINUTE));
    assert_eq!(age_ms(NOW + 5, NOW), 0);
    assert_eq!(age_ms(i64::MIN, i64::MAX), i64::MAX);
}

#[test]
fn bc_18_a_mark_is_as_old_as_the_later_of_its_two_times() {
    let mark = DeletionMark::new(BlockId::default(), "", NOW - 10 * HOUR);
    let age = |modified| Contract::mark_age_ms(&mark, modified, NOW);
    assert_eq!(age(None), 10 * HOUR);
    assert_eq!(age(Some(NOW - HOUR)), HOUR, "the marker's clock was behind");
    assert_eq!(age(Some(NOW - 20 * HOUR)), 10 * HOUR);
    assert_eq!(age(Some(NOW + HOUR)), 0);
}

#[test]
fn bc_05_06_delays_are_exclusive() {
    let contract = Contract::default();
    assert!(!contract.may_ignore(24 * HOUR) && contract.may_ignore(24 * HOUR + 1));
    assert!(!contract.may_delete(48 * HOUR) && contract.may_delete(48 * HOUR + 1));
}

#[test]
fn bc_03_partial_age_needs_a_known_time() {
    let contract = Contract::default();
    assert!(!contract.partial_due(None, NOW));
    assert!(!contract.partial_due(Some(NOW - 48 * HOUR), NOW));
    assert!(contract.partial_due(Some(NOW - 48 * HOUR - 1), NOW));
    assert!(!contract.upload_expired(NOW - 24 * HOUR, NOW));
    assert!(contract.upload_expired(NOW - 24 * HOUR - 1, NOW));
}

#[test]
fn bc_09_defaults_are_safe() {
    assert_eq!(Contract::default().check(), []);
}

#[test]
fn bc_09_a_violation_names_inequality_values_and_cure() {
    let shown = |contract: Contract| {
        contract
            .check()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let ignore = Contract {
        ignore_delay_ms: 30 * MINUTE,
        ..Contract::default()
    };
    assert_eq!(
        shown(ignore),
        [
            "BC-9: ignore-deletion-marks-delay > sync interval + load time + cache lifetime does not hold \
          (30m > 15m + 15m + 0s): set --ignore-deletion-marks-delay to more than 30m, or sync more often: else a \
          replaced block is dropped before its successor can be loaded"
        ]
    );
    let delete = Contract {
        delete_delay_ms: 24 * HOUR + 20 * MINUTE,
        meta_cache_ttl_ms: 5 * MINUTE,
        ..Contract::default()
    };
    assert_eq!(
        shown(delete),
        [
            "BC-9: delete-delay > ignore-deletion-marks-delay + sync interval + cache lifetime does not hold \
          (1d20m > 1d + 15m + 5m): set the compactor's --delete-delay (and the same value here) to more than 1d20m, \
          or lower --ignore-deletion-marks-delay: else objects are deleted while queries use them"
        ]
    );
    let consistency = Contract {
        consistency_delay_ms: 25 * HOUR,
        ..Contract::default()
    };
    assert_eq!(consistency.check()[0].clause, InvariantId::Bc3);
    let barely = Contract {
        ignore_delay_ms: 30 * MINUTE + 1,
        ..Contract::default()
    };
    assert_eq!(barely.check(), []);
    let absurd = Contract {
        sync_interval_ms: i64::MAX,
        load_allowance_ms: i64::MAX,
        ..Contract::default()
    };
    assert_eq!(absurd.check().len(), 2);
}

#[test]
fn bc_17_a_view_is_good_until_deletion_could_overtake_it() {
    let contract = Contract::default();
    assert_eq!(
        contract.max_view_age_ms(),
        48 * HOUR - 24 * HOUR - 15 * MINUTE
    );
    let unsafe_delays = Contract {
        delete_delay_ms: 0,
        ..contract
    };
    assert_eq!(unsafe_delays.max_view_age_ms(), 30 * MINUTE);
}

#[test]
fn bc_18_clocks_may_differ_by_the_bound() {
    let contract = Contract::default();
    assert!(contract.clocks_agree(NOW, NOW + 10 * MINUTE));
    assert!(!contract.clocks_agree(NOW, NOW + 10 * MINUTE + 1));
    assert!(!contract.clocks_agree(NOW + 11 * MINUTE, NOW));
}
