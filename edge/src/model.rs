//! [`Seats`](crate::seats::Seats) under every order in which threads could run, on loom's atomics.

mod sync {
    pub(super) use loom::sync::atomic::{AtomicUsize, Ordering};
}

#[expect(clippy::duplicate_mod, reason = "the same code, on other atomics")]
#[path = "seats.rs"]
mod seats;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use seats::Seats;

#[test]
fn no_more_have_a_place_than_may_and_a_place_that_is_given_up_is_free() {
    loom::model(|| {
        let seats = Arc::new(Seats::new());
        let guest = |seats: &Seats| {
            let seated = seats.take_below(1);
            if seated {
                assert_eq!(seats.taken(), 1);
                seats.leave();
            }
            seated
        };
        let other = {
            let seats = Arc::clone(&seats);
            thread::spawn(move || guest(&seats))
        };
        let here = guest(&seats);
        let there = other.join().unwrap();
        assert!(here || there, "one of them came first");
        assert_eq!(seats.taken(), 0);
        assert!(seats.take_below(1) && !seats.take_below(1));
    });
}

/// The permit of a `Notify`: who has one to wait for finds what was given meanwhile.
#[derive(Debug)]
struct Permit(AtomicBool);

impl Permit {
    fn give(&self) {
        // As tokio does it: a plain store would hide what others have done before theirs.
        self.0.swap(true, Ordering::AcqRel);
    }

    fn is_taken(&self) -> bool {
        self.0.swap(false, Ordering::AcqRel)
    }
}

#[test]
fn who_is_told_of_the_first_and_the_last_knows_in_the_end_whether_anybody_is_there() {
    loom::model(|| {
        let seats = Arc::new(Seats::new());
        let told = Arc::new(Permit(AtomicBool::new(false)));
        let passing = {
            let (seats, told) = (Arc::clone(&seats), Arc::clone(&told));
            thread::spawn(move || {
                if seats.take() {
                    told.give();
                }
                if seats.leave() {
                    told.give();
                }
            })
        };
        let carrier = {
            let (seats, told) = (Arc::clone(&seats), Arc::clone(&told));
            thread::spawn(move || {
                let mut wanted = false;
                for _ in 0..2 {
                    if told.is_taken() {
                        wanted = seats.taken() > 0;
                    }
                }
                wanted
            })
        };
        if seats.take() {
            told.give();
        }
        passing.join().unwrap();
        let mut wanted = carrier.join().unwrap();
        if told.is_taken() {
            wanted = seats.taken() > 0;
        }
        assert!(wanted, "one is still there");
    });
}
