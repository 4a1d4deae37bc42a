//! How long an entry probably is, when only its start is known.

use std::sync::atomic::{AtomicU32, Ordering};

/// A running estimate. It starts at what the block's metadata or the setting say, and follows the
/// longest entry that was seen, so that most reads fetch enough and little too much.
#[derive(Debug)]
pub(crate) struct Estimate {
    initial: u32,
    /// A damaged length must not make every later read as long.
    most: u32,
    longest: AtomicU32,
}

impl Estimate {
    /// `stated` is the longest entry of the block as its metadata have it (0: not stated), `cap`
    /// the setting, `gap` what a request costs in bytes: reading an eighth of that in vain is
    /// cheaper than asking twice.
    pub(crate) fn new(stated: u64, cap: u64, gap: u64) -> Self {
        let wanted = if stated > 0 { stated } else { gap / 8 };
        let initial = u32::try_from(wanted.min(cap).max(64)).unwrap_or(u32::MAX);
        let most = u32::try_from(cap.saturating_mul(4)).unwrap_or(u32::MAX);
        Self {
            initial,
            most,
            longest: AtomicU32::new(0),
        }
    }

    /// Bytes to read for an entry of unknown length.
    pub(crate) fn bytes(&self) -> u64 {
        u64::from(self.longest.load(Ordering::Relaxed).max(self.initial))
    }

    /// An entry turned out to be longer than estimated.
    pub(crate) fn learn(&self, len: u64) {
        let len = u32::try_from(len).unwrap_or(u32::MAX).min(self.most);
        self.longest.fetch_max(len, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_starts_with_what_is_known_and_learns() {
        assert_eq!(Estimate::new(300, 64 << 10, 512 << 10).bytes(), 300);
        assert_eq!(Estimate::new(0, 64 << 10, 512 << 10).bytes(), 64 << 10);
        assert_eq!(Estimate::new(0, 64 << 10, 16 << 10).bytes(), 2 << 10);
        assert_eq!(Estimate::new(1 << 40, 16_000, 16 << 10).bytes(), 16_000);
        let estimate = Estimate::new(300, 64 << 10, 16 << 10);
        estimate.learn(200);
        assert_eq!(estimate.bytes(), 300);
        estimate.learn(1000);
        assert_eq!(estimate.bytes(), 1000);
    }
}
