//! What strangers send to real processes: their own connection ends with a reason, and a publisher and a viewer beside
//! them lose no tag.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by it")]

mod http;
mod liar;
mod limits;
mod pulls;
mod resources;
mod rtmp;
mod scene;
mod wire;
