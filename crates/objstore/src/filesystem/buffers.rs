//! Buffers for many small reads, used again and again.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

/// Length of a buffer: what stays in a processor's cache while it is filled and looked through.
pub(super) const LENGTH: usize = 256 * 1024;
/// Buffers that are kept while nobody uses them: 8 MiB, which no request accounts for.
const MOST_IDLE: usize = 32;

/// Lends buffers. A fresh one costs as much as the reads that fill it: the kernel and the
/// allocator write zeros into every page before.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    idle: Mutex<Vec<Box<[u8]>>>,
}

/// A buffer that goes back where it came from.
#[derive(Debug)]
pub(super) struct Lent {
    bytes: Box<[u8]>,
    home: Arc<Buffers>,
}

impl Buffers {
    /// A buffer that holds whatever it held before.
    pub(super) fn lend(self: &Arc<Self>) -> Lent {
        let used = self.idle.lock().pop();
        Lent {
            bytes: used.unwrap_or_else(|| vec![0; LENGTH].into()),
            home: Arc::clone(self),
        }
    }
}

impl Lent {
    /// All of its bytes.
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// For reading only. It goes back with the last slice.
    pub(super) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut idle = self.home.idle.lock();
        if idle.len() < MOST_IDLE {
            idle.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_goes_back_with_its_last_slice() {
        let buffers = Arc::new(Buffers::default());
        let mut lent = buffers.lend();
        lent.bytes_mut()[..3].copy_from_slice(b"abc");
        let mut all = lent.freeze();
        let first = all.split_to(3);
        drop(all);
        assert!(buffers.idle.lock().is_empty());
        assert_eq!(first, "abc");
        drop(first);
        assert_eq!(buffers.idle.lock().len(), 1);
    }

    #[test]
    fn few_are_kept() {
        let buffers = Arc::new(Buffers::default());
        drop(
            (0..2 * MOST_IDLE)
                .map(|_| buffers.lend())
                .collect::<Vec<_>>(),
        );
        assert_eq!(buffers.idle.lock().len(), MOST_IDLE);
    }
}
