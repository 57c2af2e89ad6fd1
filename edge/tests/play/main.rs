//! An edge on real sockets, between sources made of the hub and the hop, and viewers that speak HTTP and RTMP.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what a test's own parts cannot do fails the test"
)]

mod failover;
mod finder;
mod hostile;
mod http;
mod http2;
mod paced;
mod release;
mod requests;
mod rtmp;
mod scene;
mod secure;
mod shield;
mod source;
mod stream;
mod viewer;
mod websocket;
