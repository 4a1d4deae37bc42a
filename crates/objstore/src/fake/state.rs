//! What a faulty bucket remembers: its rules, the calls made, what writes replaced, its chance.

use bytes::Bytes;

use super::rule::{Fault, Rule};
use crate::{Attributes, Operation};

/// A call that was made, whether it succeeded or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// What was asked.
    pub operation: Operation,
    /// Of which key; for a listing the folder as asked for.
    pub key: String,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) rules: Vec<Rule>,
    pub(super) calls: Vec<Call>,
    pub(super) journal: Vec<Write>,
    seed: u64,
}

/// What a write replaced.
#[derive(Debug, Clone)]
pub(super) struct Write {
    pub(super) key: String,
    pub(super) before: Option<Version>,
}

#[derive(Debug, Clone)]
pub(super) struct Version {
    pub(super) body: Bytes,
    pub(super) attributes: Attributes,
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            rules: vec![],
            calls: vec![],
            journal: vec![],
            seed,
        }
    }

    /// Notes a call; gives what its rules do to it, the decisive fault last.
    pub(super) fn faults(&mut self, operation: Operation, key: &str) -> Vec<Fault> {
        self.calls.push(Call {
            operation,
            key: key.to_owned(),
        });
        let mut faults = Vec::new();
        for rule in &mut self.rules {
            let seed = &mut self.seed;
            let Some(fault) = rule.bite(operation, key, || draw(seed)) else {
                continue;
            };
            let decisive = !matches!(fault, Fault::Delay(_) | Fault::Pause(_));
            faults.push(fault);
            if decisive {
                break;
            }
        }
        faults
    }

    /// What an object was before its last `writes` writes; outer `None`: it had not so many.
    pub(super) fn version(&self, key: &str, writes: usize) -> Option<Option<Version>> {
        let of_key = self.journal.iter().rev().filter(|write| write.key == key);
        Some(of_key.take(writes).last()?.before.clone())
    }

    /// A number in [0, 1).
    pub(super) fn draw(&mut self) -> f64 {
        draw(&mut self.seed)
    }
}

/// A number in [0, 1) by splitmix64 (Steele, Lea, Flood 2014), for faults only.
fn draw(seed: &mut u64) -> f64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *seed;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}
