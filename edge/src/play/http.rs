//! FLV over HTTP and WebSocket: a connection is a task only until its stream begins. HTTP/2 alone keeps its task, since
//! several streams share it.

mod answer;
mod connection;
mod cors;
pub(crate) mod head;
mod http2;
mod page;
mod route;
mod seating;
mod upgrade;
mod websocket;

pub(crate) use connection::serve;
pub(crate) use cors::Cors;
