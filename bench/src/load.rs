//! The load: viewers over one epoll loop, in a process of their own.

mod parse;
mod plan;
mod run;
mod viewer;

pub use plan::{LoadPlan, LoadReport, LoadState, SlowReport, Target};
pub use run::run;
