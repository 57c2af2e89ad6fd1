//! Origins on real sockets: publishers that speak RTMP, and pulls as edges make them.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what a test's own parts cannot do fails the test"
)]

mod backups;
mod duplicates;
mod encoder;
mod hostile;
mod paced;
mod puller;
mod scene;
mod several;
mod single;
