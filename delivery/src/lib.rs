//! Fan-out: shared windows, cadences and the writer of one connection, with its shells over sockets.
//!
//! Each window of new tags is encoded once for a stream and sent to every viewer in step ([`Windows`]). A viewer's
//! [`Writer`] is a pure machine; [`Fanout`] is its shell over sockets: a task for each stream, and more on other threads
//! ([`WriterThreads`]) where it has many viewers.

mod beat;
mod cadence;
mod fanout;
mod format;
mod hall;
mod metrics;
mod ready;
mod release;
mod rounds;
mod run;
mod seat;
mod settings;
mod threads;
mod viewer;
mod window;
mod writer;

pub use cadence::Cadence;
pub use fanout::Fanout;
pub use format::Format;
pub use metrics::DeliveryMetrics;
pub use release::{Leave, Releases, Schedule};
pub use run::{Mark, Run};
pub use settings::FanoutSettings;
pub use threads::WriterThreads;
pub use viewer::{EndReason, Inbound, Reaction, Viewer, ViewerEnd};
pub use window::{Needs, Window, Windows};
pub use writer::{Next, Source, Writer};
