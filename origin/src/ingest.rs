//! Publishers: RTMP connections, who may publish, and where the stream's home is to be.

mod bitrate;
mod connection;
mod error;
mod keeper;
mod placing;
mod publish;
mod session;
mod sessions;

pub(crate) use connection::serve;
pub(crate) use session::Order;
pub(crate) use sessions::Sessions;
