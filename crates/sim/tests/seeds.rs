//! A few seeds of every profile, and that a seed means one trace.

use rutile_sim::{Profile, Scenario, run};
use xxhash_rust::xxh64::xxh64;

#[test]
fn the_same_seed_gives_the_same_trace_byte_for_byte() {
    for profile in Profile::ALL {
        let scenario = Scenario {
            chaos_ms: 30 * 60_000,
            ..Scenario::new(7, profile)
        };
        let (first, second) = (run(&scenario), run(&scenario));
        assert!(first.trace.lines().count() > 100, "{profile}");
        assert!(first.trace == second.trace, "{profile}: the traces differ");
        assert_eq!(first.counts, second.counts, "{profile}");
        let other = Scenario {
            seed: 8,
            ..scenario
        };
        assert!(run(&other).trace != first.trace, "{profile}");
    }
}

/// What a seed meant on the machine that recorded it. A change of what is asked of a bucket changes these numbers, and
/// is recorded with `RECORD_TRACES=1 cargo test -p rutile-sim --test seeds`; nothing else may.
#[test]
fn a_seed_gives_the_trace_that_another_machine_recorded() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/traces.txt");
    let mut traces = String::new();
    for profile in Profile::ALL {
        for seed in [101, 102] {
            let trace = run(&Scenario::new(seed, profile)).trace;
            let digest = xxh64(trace.as_bytes(), 0);
            traces += &format!("{profile} {seed} {} {digest:016x}\n", trace.len());
        }
    }
    if std::env::var_os("RECORD_TRACES").is_some() {
        std::fs::write(file, &traces).expect("the recorded traces can be written");
    }
    let recorded = std::fs::read_to_string(file).expect("there are recorded traces");
    assert_eq!(
        traces, recorded,
        "profile, seed, bytes and hash of the trace"
    );
}

#[test]
fn bc_10_bc_14_few_seeds_of_a_consistent_bucket() {
    for seed in 1..=4 {
        let outcome = run(&Scenario::new(seed, Profile::Strong));
        if let Some(violation) = outcome.violation {
            panic!("seed {seed}: {}: {}", violation.clause, violation.what);
        }
        assert!(
            outcome.counts.answers > 10,
            "seed {seed}: readers were asked"
        );
    }
}

/// Seeds that found what has been mended since.
#[test]
fn seeds_that_once_failed() {
    let seeds = [
        // A clock that jumps back hid blocks that were served.
        (1, Profile::Eventual),
        (3, Profile::Hostile),
        // A listing that lagged made an uploader take back a block that its twin was told is safe;
        // an output whose inputs were deleted for its sake was taken for tainted.
        (13, Profile::Eventual),
        (13, Profile::Hostile),
        // A clock jumped between the comparison with the bucket's and the look at an age.
        (824, Profile::Eventual),
        (385, Profile::Hostile),
        // What was marked for the sake of a tainted or erased block stayed for ever, read by nobody.
        (48, Profile::Strong),
        (10, Profile::Eventual),
        // A mark was replaced while the deletion that it had allowed was under way.
        (6737, Profile::Strong),
        // A commit that was reported as failed landed late, with what retention had marked meanwhile.
        (4979, Profile::S3Like),
        // A clock was set right between a look and an answer, and before a mark of retention.
        (6547, Profile::Eventual),
        (3861, Profile::Hostile),
        // A person spoilt the mark of a tainted block, which was not written again.
        (165_988_222, Profile::Eventual),
        // What nobody could read was marked, and never deleted.
        (192, Profile::Hostile),
        // A cleaner stood still between its look at the rest of an upload and its deletion.
        (7985, Profile::Hostile),
        // An upload began between a cleaner's look and its deletion.
        (195_524_347, Profile::Hostile),
    ];
    for (seed, profile) in seeds {
        if let Some(violation) = run(&Scenario::new(seed, profile)).violation {
            panic!(
                "seed {seed} of {profile}: {}: {}",
                violation.clause, violation.what
            );
        }
    }
}

/// Seeds that broke a clause once. What a seed means changes with every request that is added or left
/// out, so each mistake has a test of its own beside the code too; these cost little.
const FOUND: [(Profile, u64); 32] = [
    (Profile::S3Like, 1_359),
    (Profile::S3Like, 3_303),
    (Profile::S3Like, 7_021),
    (Profile::S3Like, 7_024),
    (Profile::Eventual, 671),
    (Profile::Eventual, 4_099),
    (Profile::Hostile, 697),
    (Profile::Strong, 733),
    (Profile::Strong, 9_296),
    (Profile::Strong, 10_904),
    (Profile::S3Like, 50_361),
    (Profile::Eventual, 20_010),
    (Profile::Eventual, 30_495),
    (Profile::Hostile, 30_563),
    (Profile::Hostile, 30_578),
    (Profile::Strong, 5_093),
    (Profile::Strong, 45_092_590),
    (Profile::Strong, 170_150_654),
    (Profile::S3Like, 8_923),
    (Profile::S3Like, 9_223),
    (Profile::S3Like, 15_772_651),
    (Profile::S3Like, 92_321_042),
    (Profile::S3Like, 170_150_246),
    (Profile::S3Like, 170_150_534),
    (Profile::Eventual, 1_131),
    (Profile::Eventual, 3_255),
    (Profile::Eventual, 28_506_619),
    (Profile::Hostile, 1_131),
    (Profile::Hostile, 5_006),
    (Profile::Hostile, 6_443),
    (Profile::Hostile, 92_320_903),
    (Profile::Hostile, 92_320_913),
];

#[test]
fn seeds_that_broke_a_clause_once_hold() {
    for (profile, seed) in FOUND {
        let outcome = run(&Scenario::new(seed, profile));
        if let Some(violation) = outcome.violation {
            panic!("{profile} {seed}: {}: {}", violation.clause, violation.what);
        }
    }
}
