//! RTMP play: what the apps' two-way calls speak.

mod connection;
mod farewell;
mod inbound;

pub(crate) use connection::serve;
