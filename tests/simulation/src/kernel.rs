//! What the kernel tells a process beside its sockets, made up: random bytes and time.
//!
//! Two things in the product's dependencies do not come through the seam and would let runs of one seed differ. The
//! runtime draws in which order it wakes those who wait for one thing, and is seeded as the standard library's hashers
//! are; and HTTP's `Date` is sent again in full, in more bytes, when a second has passed.

#![expect(
    unsafe_code,
    reason = "taking the place of functions of the C library has no safe form"
)]

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::time::{ClockId, clock_gettime as real};

use crate::seed::Seed;

static SEED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static NOW_US: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Seconds of both clocks at the beginning of a world: 2026-01-01.
const BEGINNING_S: u64 = 1_767_225_600;

/// Threads that start from now on find the random bytes that follow from `seed`.
pub(crate) fn follow(seed: u64) {
    SEED.store(seed, Ordering::Relaxed);
}

/// On this thread it is so many microseconds after the beginning of the world.
pub(crate) fn set_now(now_us: u64) {
    NOW_US.set(Some(now_us));
}

/// In place of the C library's (getrandom(2)): the same bytes for each caller, of which nothing here needs secrets.
///
/// # Safety
/// As of the original: `buffer` has room for `length` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut u8, length: usize, _flags: u32) -> isize {
    let mut seed = Seed::new(SEED.load(Ordering::Relaxed));
    for at in 0..length {
        let [byte, ..] = seed.next().to_le_bytes();
        // SAFETY: `at` is below `length`.
        unsafe { buffer.add(at).write(byte) };
    }
    isize::try_from(length).unwrap_or(isize::MAX)
}

/// `struct timespec` of Linux on 64 bits.
#[repr(C)]
struct Timespec {
    s: i64,
    ns: i64,
}

/// In place of the C library's (clock_gettime(2)): a world's time on its thread, the machine's on others.
///
/// # Safety
/// As of the original: `time` may be written to.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: i32, time: *mut Timespec) -> i32 {
    let said = match NOW_US.try_with(Cell::get) {
        Ok(Some(now_us)) => Timespec {
            s: (BEGINNING_S + now_us / 1_000_000).cast_signed(),
            ns: (now_us % 1_000_000 * 1_000).cast_signed(),
        },
        Ok(None) | Err(_) => {
            let said = real(if clock == 0 {
                ClockId::Realtime
            } else {
                ClockId::Monotonic
            });
            Timespec {
                s: said.tv_sec,
                ns: said.tv_nsec,
            }
        }
    };
    // SAFETY: the caller's promise.
    unsafe { time.write(said) };
    0
}
