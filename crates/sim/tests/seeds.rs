//! A few seeds of every profile, and that a seed means one trace.

use rutile_sim::{Profile, Scenario, run};

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
