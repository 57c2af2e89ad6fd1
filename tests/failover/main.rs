//! The failure promises, with real processes: what dies, what viewers and publishers notice of it.
//!
//! Each row is run `FAILOVER_RUNS` times (3 without it) on one cluster, and prints a line of figures: viewers,
//! tags lost, tags doubled or out of order, the longest silence of a viewer's connection before the fault (p99) and from
//! it on (p50 / p99 / max, in milliseconds), and what is promised of the difference.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by it")]

mod backups;
mod drain;
mod each_once;
mod edges;
mod network;
mod operators;
mod origins;
mod publishers;
mod stage;
mod uplink;
