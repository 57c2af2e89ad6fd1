//! FLV over HTTP and WebSocket: a connection is a task only until its stream begins. HTTP/2 alone keeps its task, since
//! several streams share it.

mod answer;
mod connection;
pub(crate) mod head;
mod http2;
mod page;
mod route;
mod websocket;

pub(crate) use answer::Cors;
pub(crate) use connection::serve;
