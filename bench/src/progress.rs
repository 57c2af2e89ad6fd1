//! What is said while a measurement runs.

use std::io::Write as _;

/// A line of progress for whoever waits.
pub(crate) fn progress(line: &str) {
    // Whoever closed standard error does not want it.
    let _ = writeln!(std::io::stderr(), "{line}");
}
