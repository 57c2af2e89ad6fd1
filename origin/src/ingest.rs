//! Publishers: RTMP connections, who may publish, and where the stream's home is to be.

mod backup;
mod bitrate;
mod cadence;
mod connection;
mod error;
mod grant;
mod keeper;
mod on_air;
mod placing;
mod publish;
mod publisher;
mod session;
mod sessions;
mod vigil;
mod wire;

pub(crate) use backup::{Backup, Backups};
pub(crate) use cadence::Cadence;
pub(crate) use connection::serve;
pub(crate) use publisher::{Order, Publisher};
pub(crate) use sessions::Sessions;
