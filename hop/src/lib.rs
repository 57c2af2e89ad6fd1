//! The internal pull between roles, both ends: framing, resume and heartbeats.
//!
//! ```text
//! receiver ── GET /internal/v1/{key}?epoch=E&after=S ──► sender
//!          ── while it lasts, whether each tag is wanted at once ──►
//!          ◄── 200, `headwater-*` headers, then FLV: preface, tags, control tags ──
//! ```
//!
//! [`PullRequest`], [`PullHead`] and [`Refusal`] are what is said before the first byte of media, [`Control`] what is said
//! between tags. [`Sender`] and [`Receiver`] are the two ends as pure machines; [`serve_pull`] and [`Pull`] are their shells
//! over hyper, and [`run`] feeds a [`headwater_hub::Stream`] from a pull.

mod body;
mod control;
mod feed;
mod head;
mod metrics;
mod patience;
mod pull;
mod receiver;
mod refusal;
mod request;
mod sender;
mod serve;
mod start;
mod words;

pub use control::{CONTROL_STREAM_ID, Control, ControlError, EndReason};
pub use feed::{Feed, PullEnd, Signal, run};
pub use head::{HeadError, Previous, PullHead};
pub use metrics::HopMetrics;
pub use pull::{Heard, Pull, PullError, PullLimits, connect, connect_by};
pub use receiver::{Event, Fault, ReceiveError, Receiver};
pub use refusal::{Elsewhere, Refusal};
pub use request::{INTERNAL_PATH, Known, PullRequest, RequestError, StartAt};
pub use sender::{Batch, Sender, TooSlow};
pub use serve::{Found, PullBody, ServeSettings, refuse, serve_pull, tune};
pub use start::{Begin, Start, decide};
