//! What fuzzing feeds to every parser of outside bytes, and what must hold of it.
//!
//! Each target is a function of any bytes that panics where a promise is broken. `fuzz/` has a shell of one line around
//! each of them for cargo-fuzz; the `replay` test runs all of them on what fuzzing kept (`fuzz/corpus`) and on seeds,
//! with the ordinary toolchain.
//!
//! The promises: no bytes make a parser panic; however bytes are split, the result is the same; what is read and written
//! again reads the same; memory stays within the configured bounds.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    clippy::cast_possible_truncation,
    reason = "a panic is how a target tells what it found"
)]

mod amf0;
mod chunk;
mod client;
mod config;
mod cut;
mod flv;
mod grpc;
mod handshake;
mod heap;
mod http_head;
mod input;
mod names;
pub mod pack;
mod payload;
mod proxy;
mod pull_body;
mod pull_head;
mod pull_request;
mod query;
mod session;
mod signature;

/// One parser under test.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Also the name of its shell in `fuzz/fuzz_targets` and of its corpus.
    pub name: &'static str,
    /// Panics where `bytes` break a promise.
    pub run: fn(&[u8]),
    /// Good inputs, made by the project's own encoders, for fuzzing to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target {
        name: "rtmp_handshake",
        run: handshake::run,
        seeds: handshake::seeds,
    },
    Target {
        name: "rtmp_chunk",
        run: chunk::run,
        seeds: chunk::seeds,
    },
    Target {
        name: "rtmp_session",
        run: session::run,
        seeds: session::seeds,
    },
    Target {
        name: "rtmp_client",
        run: client::run,
        seeds: client::seeds,
    },
    Target {
        name: "amf0",
        run: amf0::run,
        seeds: amf0::seeds,
    },
    Target {
        name: "payload",
        run: payload::run,
        seeds: payload::seeds,
    },
    Target {
        name: "flv",
        run: flv::run,
        seeds: flv::seeds,
    },
    Target {
        name: "pull_request",
        run: pull_request::run,
        seeds: pull_request::seeds,
    },
    Target {
        name: "pull_head",
        run: pull_head::run,
        seeds: pull_head::seeds,
    },
    Target {
        name: "pull_body",
        run: pull_body::run,
        seeds: pull_body::seeds,
    },
    Target {
        name: "http_head",
        run: http_head::run,
        seeds: http_head::seeds,
    },
    Target {
        name: "names",
        run: names::run,
        seeds: names::seeds,
    },
    Target {
        name: "query",
        run: query::run,
        seeds: query::seeds,
    },
    Target {
        name: "proxy",
        run: proxy::run,
        seeds: proxy::seeds,
    },
    Target {
        name: "signature",
        run: signature::run,
        seeds: signature::seeds,
    },
    Target {
        name: "grpc",
        run: grpc::run,
        seeds: grpc::seeds,
    },
    Target {
        name: "config",
        run: config::run,
        seeds: config::seeds,
    },
];

/// Runs the target of this name: what a shell of cargo-fuzz calls.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.expect("a target of this name").run)(bytes);
}
