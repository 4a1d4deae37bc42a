//! Randomness as an input.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::Rng;

/// The step of the SplitMix64 sequence (Steele, Lea, Flood: "Fast splittable pseudorandom number
/// generators", 2014).
const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// A source of random numbers.
pub trait Entropy: Send + Sync + fmt::Debug {
    /// The next 64 random bits.
    fn next_u64(&self) -> u64;

    /// Fills `out` with random bytes.
    fn fill(&self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            let bytes = self.next_u64().to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
    }
}

/// The random numbers of the machine, fit for identifiers.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn next_u64(&self) -> u64 {
        rand::rng().next_u64()
    }

    fn fill(&self, out: &mut [u8]) {
        rand::rng().fill_bytes(out);
    }
}

/// A reproducible sequence (SplitMix64): the same seed gives the same numbers for ever, also
/// across versions of this program. Not fit for secrets.
#[derive(Debug)]
pub struct SeededEntropy(AtomicU64);

impl SeededEntropy {
    /// The sequence of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Entropy for SeededEntropy {
    fn next_u64(&self) -> u64 {
        let state = self.0.fetch_add(GOLDEN_GAMMA, Ordering::SeqCst);
        let mut z = state.wrapping_add(GOLDEN_GAMMA);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeded_sequence_is_the_published_one() {
        let entropy = SeededEntropy::new(1_234_567);
        let got: Vec<u64> = (0..3).map(|_| entropy.next_u64()).collect();
        assert_eq!(
            got,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn fill_covers_a_tail() {
        let entropy = SeededEntropy::new(7);
        let mut out = [0_u8; 11];
        entropy.fill(&mut out);
        let again = SeededEntropy::new(7);
        let (first, second) = (
            again.next_u64().to_le_bytes(),
            again.next_u64().to_le_bytes(),
        );
        assert_eq!(out[..8], first);
        assert_eq!(out[8..], second[..3]);
    }

    #[test]
    fn system_entropy_differs() {
        let (mut a, mut b) = ([0_u8; 16], [0_u8; 16]);
        SystemEntropy.fill(&mut a);
        SystemEntropy.fill(&mut b);
        assert_ne!(a, b);
    }
}
