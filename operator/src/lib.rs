//! Where each stream is to live: index, placement and the gRPC service that answers.

mod config;
pub mod index;
pub mod kube;
mod metrics;
pub mod placement;
mod serve;

pub use config::{KubernetesConfig, OperatorConfig};
pub use serve::{Deps, Operator, OperatorError, run};
