//! Panics of the product's tasks: a runtime swallows them, and a world must not.

use std::cell::RefCell;
use std::panic;
use std::sync::Once;

thread_local! {
    static SEEN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Notes panics from now on, each for the thread that it happens on.
pub(crate) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |what| {
            SEEN.with_borrow_mut(|seen| seen.push(what.to_string()));
            before(what);
        }));
    });
}

/// The panics on this thread since the last call.
pub(crate) fn take() -> Vec<String> {
    SEEN.take()
}
