//! Whole clusters in one thread of virtual time, each from one seed: the real code of all roles, a network, a clock and
//! randomness that follow from the seed, and promises that are checked all along.
//!
//! `HEADWATER_SIMULATION_SEEDS=A..B` says which seeds are run. A run that fails prints its seed and its timeline.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by it"
)]

mod clock;
mod kernel;
mod machine;
mod network;
mod node;
mod panics;
mod plan;
mod publisher;
mod seed;
mod seeds;
mod stage;
mod timeline;
mod viewer;
mod world;
