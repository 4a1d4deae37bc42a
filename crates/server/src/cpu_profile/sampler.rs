//! Samples of the stacks of threads that run.
//!
//! A timer of the process sends `SIGPROF` after every 10 ms of CPU time, as Go's does, to a thread
//! that runs. The handler unwinds that thread's stack into a static table. It does only what a
//! signal handler may: it never allocates, locks or panics. Unwinding without locks takes glibc
//! 2.35 (`_dl_find_object`) and the libgcc of GCC 12; with an older one a thread that is interrupted
//! while it loads a library would wait for itself, so that none is sampled there.
#![expect(
    unsafe_code,
    reason = "signals, timers and unwinding in a handler are not to be had without"
)]

use std::collections::BTreeMap;
use std::ffi::{CStr, c_int, c_void};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// CPU time between two samples.
pub(super) const INTERVAL: Duration = Duration::from_millis(10);
/// The innermost frames of a stack that are kept.
const MAX_DEPTH: usize = 128;
/// Room for all samples, in words; about four minutes of CPU time. A static that is only paged in as
/// far as it is used.
const TABLE_WORDS: usize = 1 << 20;
/// The first glibc that unwinds without locks.
const NEEDED_GLIBC: (u32, u32) = (2, 35);

/// Why no profile can be taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CannotSample {
    /// Somebody else takes one.
    #[error("another CPU profile is being taken: ask again when it is done")]
    Busy,
    /// The handler would not be safe.
    #[error("CPU profiles need Linux on x86-64 or ARM64 with glibc 2.35 or newer: use perf")]
    Unsupported,
    /// The kernel refused.
    #[error("the kernel refuses the profiling timer: {0}")]
    Refused(#[from] io::Error),
}

/// Samples are taken as long as this lives.
#[derive(Debug)]
pub(super) struct Sampling(());

/// What was sampled.
#[derive(Debug, Default)]
pub(super) struct Samples {
    /// How often each stack was seen. A stack begins with the innermost frame; addresses lie within
    /// the instruction that ran or called.
    pub(super) stacks: BTreeMap<Vec<usize>, u64>,
    /// Samples for which there was no room.
    pub(super) lost: usize,
}

/// All that the handler sees. The stacks lie one after the other, each behind its length.
struct Shared {
    taken: AtomicBool,
    recording: AtomicBool,
    /// Handlers that run now.
    handlers: AtomicUsize,
    /// Words of the table that were asked for.
    asked: AtomicUsize,
    lost: AtomicUsize,
    /// The kernel's own library in the process, whose unwinding tables are wrong in some kernels.
    vdso: [AtomicUsize; 2],
    table: [AtomicUsize; TABLE_WORDS],
}

static SHARED: Shared = Shared {
    taken: AtomicBool::new(false),
    recording: AtomicBool::new(false),
    handlers: AtomicUsize::new(0),
    asked: AtomicUsize::new(0),
    lost: AtomicUsize::new(0),
    vdso: [const { AtomicUsize::new(0) }; 2],
    table: [const { AtomicUsize::new(0) }; TABLE_WORDS],
};

impl Sampling {
    pub(super) fn start() -> Result<Self, CannotSample> {
        if !is_safe_here() {
            return Err(CannotSample::Unsupported);
        }
        let (now, wanted) = (false, true);
        SHARED
            .taken
            .compare_exchange(now, wanted, Ordering::SeqCst, Ordering::SeqCst)
            .map_err(|_| CannotSample::Busy)?;
        // From here on it is given back by `drop`.
        let sampling = Self(());
        let vdso = super::symbols::vdso().unwrap_or(0..0);
        SHARED.vdso[0].store(vdso.start, Ordering::SeqCst);
        SHARED.vdso[1].store(vdso.end, Ordering::SeqCst);
        // What the unwinder sets up at its first use, it must not in the handler.
        // SAFETY: another thread that unwinds uses the same unwinder, which is thread safe; the
        // lock that this goes without is that of symbols, which are not looked up here.
        unsafe { backtrace::trace_unsynchronized(|_| true) };
        install_handler()?;
        SHARED.recording.store(true, Ordering::SeqCst);
        set_timer(INTERVAL)?;
        Ok(sampling)
    }

    /// Stops and returns what was sampled.
    pub(super) fn finish(self) -> Samples {
        self.stop();
        let mut samples = Samples {
            lost: SHARED.lost.load(Ordering::SeqCst),
            ..Samples::default()
        };
        let mut words = SHARED.table.iter().map(|word| word.load(Ordering::Relaxed));
        // No stack is empty: a length of 0 is the end.
        while let Some(depth) = words.next().filter(|depth| *depth > 0) {
            let stack = words.by_ref().take(depth).collect();
            *samples.stacks.entry(stack).or_default() += 1;
        }
        samples
    }

    /// After this no handler writes.
    fn stop(&self) {
        if let Err(error) = set_timer(Duration::ZERO) {
            tracing::warn!(%error, "the profiling timer does not stop");
        }
        SHARED.recording.store(false, Ordering::SeqCst);
        // A handler takes microseconds, unless its thread has to wait for a core.
        while SHARED.handlers.load(Ordering::SeqCst) > 0 {
            std::thread::yield_now();
        }
    }
}

impl Drop for Sampling {
    fn drop(&mut self) {
        self.stop();
        let used = SHARED.asked.swap(0, Ordering::SeqCst);
        for word in SHARED.table.iter().take(used) {
            word.store(0, Ordering::Relaxed);
        }
        SHARED.lost.store(0, Ordering::SeqCst);
        SHARED.taken.store(false, Ordering::SeqCst);
    }
}

impl Shared {
    fn keep(&self, stack: &[usize]) {
        let at = self.asked.fetch_add(stack.len() + 1, Ordering::Relaxed);
        let Some(room) = self
            .table
            .get(at..)
            .and_then(|rest| rest.get(..=stack.len()))
        else {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let words = std::iter::once(stack.len()).chain(stack.iter().copied());
        for (word, value) in room.iter().zip(words) {
            word.store(value, Ordering::Relaxed);
        }
    }
}

/// The handler of `SIGPROF`.
extern "C" fn on_signal(_: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: it points to the `errno` of this thread, which the interrupted code may be reading.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let before = unsafe { *errno };
    SHARED.handlers.fetch_add(1, Ordering::SeqCst);
    if SHARED.recording.load(Ordering::SeqCst) {
        sample(interrupted_at(context));
    }
    SHARED.handlers.fetch_sub(1, Ordering::SeqCst);
    // SAFETY: as above.
    unsafe { *errno = before };
}

/// Keeps the stack of the code that was interrupted at `address`.
fn sample(address: usize) {
    let mut stack = [0; MAX_DEPTH];
    stack[0] = address;
    let mut depth = 1;
    let [start, end] = [0, 1].map(|at: usize| SHARED.vdso[at].load(Ordering::Relaxed));
    if !(start..end).contains(&address) {
        // The first frames are those of this handler.
        let mut inside = false;
        let visit = |frame: &backtrace::Frame| {
            let ip = frame.ip().addr();
            if !inside {
                inside = ip == address;
            } else if ip == 0 {
                return false;
            } else if let Some(slot) = stack.get_mut(depth) {
                // A return address may be behind the end of the function.
                *slot = ip - 1;
                depth += 1;
            }
            depth < MAX_DEPTH
        };
        // SAFETY: see `Sampling::start`; the unwinder neither allocates nor locks, see the top.
        unsafe { backtrace::trace_unsynchronized(visit) };
    }
    SHARED.keep(stack.get(..depth).unwrap_or(&stack));
}

/// The address of the instruction that the signal interrupted.
fn interrupted_at(context: *mut c_void) -> usize {
    let context = context.cast::<libc::ucontext_t>();
    // SAFETY: the kernel passes a `ucontext_t` to handlers that are installed with `SA_SIGINFO`.
    let machine = unsafe { &(*context).uc_mcontext };
    #[cfg(target_arch = "x86_64")]
    let address = machine.gregs[libc::REG_RIP as usize] as usize;
    #[cfg(target_arch = "aarch64")]
    let address = machine.pc as usize;
    address
}

/// It stays: a signal may come late, and without a handler it would end the process.
fn install_handler() -> io::Result<()> {
    // SAFETY: all zeros are a valid `sigaction`: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_signal as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
    // SAFETY: both point to what they should, and the handler is one for `SA_SIGINFO`.
    let result = unsafe { libc::sigaction(libc::SIGPROF, &raw const action, std::ptr::null_mut()) };
    check(result)
}

fn set_timer(interval: Duration) -> io::Result<()> {
    let microseconds = libc::suseconds_t::from(interval.subsec_micros());
    let time = libc::timeval {
        tv_sec: 0,
        tv_usec: microseconds,
    };
    let timer = libc::itimerval {
        it_interval: time,
        it_value: time,
    };
    // SAFETY: the timer is valid, and the old one is not asked for.
    let result =
        unsafe { libc::setitimer(libc::ITIMER_PROF, &raw const timer, std::ptr::null_mut()) };
    check(result)
}

fn check(result: c_int) -> io::Result<()> {
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Whether the C library is new enough.
fn is_safe_here() -> bool {
    // SAFETY: it returns a static string.
    let version = unsafe { CStr::from_ptr(libc::gnu_get_libc_version()) };
    let mut numbers = version.to_str().unwrap_or_default().split('.');
    let mut next = || numbers.next().and_then(|number| number.parse::<u32>().ok());
    matches!((next(), next()), (Some(major), Some(minor)) if (major, minor) >= NEEDED_GLIBC)
}
