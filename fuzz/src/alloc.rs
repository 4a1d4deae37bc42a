//! An allocator that ends the process when a decoder asks for far more than its input justifies.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes for each byte of input: a bucket of a histogram may take one bit and becomes 16 bytes.
const PER_BYTE: usize = 256;

/// Longest single allocation that is allowed now; 0 for any.
static LIMIT: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Limited = Limited;

struct Limited;

/// Runs `decode` with the limit for an input of `len` bytes; `fixed` bytes are allowed for any.
pub fn limited(len: usize, fixed: usize, decode: impl FnOnce()) {
    LIMIT.store(fixed + PER_BYTE * len, Ordering::Relaxed);
    decode();
    LIMIT.store(0, Ordering::Relaxed);
}

fn check(size: usize) {
    let limit = LIMIT.load(Ordering::Relaxed);
    // A panic's backtrace takes what it needs.
    if limit != 0 && size > limit && !std::thread::panicking() {
        LIMIT.store(0, Ordering::Relaxed);
        eprintln!("an allocation of {size} bytes, {limit} are allowed for this input");
        std::process::abort();
    }
}

// SAFETY: all calls go to the system's allocator with the arguments they came with.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        check(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        check(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        check(size);
        // SAFETY: as above.
        unsafe { System.realloc(ptr, layout, size) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(ptr, layout) }
    }
}
