//! Starts an edge.

use std::sync::Arc;

use headwater_edge::{Edge, EdgeDeps, Ports, StartError};
use headwater_location::Role;

use super::{Shared, member};
use crate::config::Config;
use crate::exit::Exit;

/// Opens its ports, joins the members and serves viewers.
pub(super) async fn start(config: &mut Config, shared: &mut Shared) -> Result<(), Exit> {
    let registry = shared.registry.for_role("edge").map_err(Exit::failed)?;
    let ports = Ports::open_as(&config.edge, shared.identities.clone())
        .await
        .map_err(refusal)?;
    let addresses = ports.addresses();
    let locator = member::join(config, shared, &registry, Role::Edge, addresses.internal)?;
    let admission = member::admission(config, shared, &registry)?;
    let deps = EdgeDeps {
        finder: Arc::new(locator),
        admission,
        metrics: registry,
        drain: shared.drain.clone(),
        admin: Some(shared.admin.clone()),
    };
    Edge::start(config.edge.clone(), ports, deps).map_err(refusal)?;
    config.edge.http_listen = addresses.http.to_string();
    if let Some(https) = addresses.https {
        config.edge.https_listen = https.to_string();
    }
    config.edge.internal_listen = addresses.internal.to_string();
    if let Some(rtmp) = addresses.rtmp {
        config.edge.rtmp_listen = rtmp.to_string();
    }
    Ok(())
}

fn refusal(error: StartError) -> Exit {
    match error {
        StartError::Config(_) | StartError::Listen { .. } => Exit::usage(error),
        StartError::Address(_) | StartError::Metrics(_) => Exit::failed(error),
    }
}
