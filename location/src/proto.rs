//! The generated gRPC code of `proto/location.proto`; `tests/generated.rs` keeps the two the same.

#![allow(
    missing_docs,
    unreachable_pub,
    unnameable_types,
    clippy::all,
    clippy::restriction,
    clippy::pedantic,
    reason = "generated"
)]

include!("generated/headwater.location.v1.rs");

/// The encoded `FileDescriptorSet` of the contract, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("generated/location.bin");
