//! RTMP as a machine without IO: bytes and `now` in, bytes and events out.
//!
//! Adobe's Real Time Messaging Protocol 1.0 (2012) with Enhanced RTMP v2 (Veovera). Section numbers in this
//! module are those of the former.
//!
//! From the bottom up: [`handshake`] and [`chunk`] turn bytes into messages; `link` adds what both ends do
//! alike (windows, pings, chunk sizes); [`ServerSession`] and [`ClientSession`] speak the commands.
//! [`play`] builds what many viewers share.

pub mod chunk;
mod client;
mod command;
mod control;
mod error;
pub mod handshake;
mod limits;
mod link;
mod message;
pub mod play;
mod server;
mod status;

pub use client::{ClientConfig, ClientEvent, ClientSession, SendError};
pub use command::{Capabilities, PublishingType, caps_ex, four_cc};
pub use error::RtmpError;
pub use limits::Limits;
pub use message::{Head, Message, MessageError, message_type};
pub use server::{ServerConfig, ServerEvent, ServerSession};
pub use status::code;

#[cfg(test)]
mod tests;
