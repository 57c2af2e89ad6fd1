//! The floor: what sending the same bytes to the same sockets costs when nothing else is done.
//!
//! One epoll loop, prebuilt windows, one write a viewer and tick, and in TLS one encryption before it. It reads no more of a
//! request than that there is one, and knows one stream.

mod loops;
mod serve;
mod viewer;

pub use serve::{FloorPlan, FloorState, SocketPlan, run};
