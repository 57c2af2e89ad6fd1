//! Starts an origin.

use headwater_location::Role;
use headwater_origin::{Origin, OriginDeps, Ports, StartError};

use super::{Shared, member};
use crate::config::Config;
use crate::exit::Exit;

/// Opens its ports, joins the members and takes publishers.
pub(super) async fn start(config: &mut Config, shared: &mut Shared) -> Result<(), Exit> {
    let registry = shared.registry.for_role("origin").map_err(Exit::failed)?;
    let ports = Ports::open_as(&config.origin, shared.identities.clone())
        .await
        .map_err(refusal)?;
    let addresses = ports.addresses();
    let locator = member::join(config, shared, &registry, Role::Origin, addresses.internal)?;
    let admission = member::admission(config, shared, &registry)?;
    let deps = OriginDeps {
        locator,
        admission,
        metrics: registry,
        drain: shared.drain.clone(),
        admin: Some(shared.admin.clone()),
    };
    let origin = Origin::start(config.origin.clone(), ports, deps).map_err(refusal)?;
    shared.tasks.spawn(origin.ended());
    config.origin.listen = addresses.rtmp.to_string();
    if let Some(rtmps) = addresses.rtmps {
        config.origin.rtmps_listen = rtmps.to_string();
    }
    config.origin.internal_listen = addresses.internal.to_string();
    Ok(())
}

fn refusal(error: StartError) -> Exit {
    match error {
        StartError::Config(_) | StartError::Listen { .. } => Exit::usage(error),
        StartError::Address { .. } | StartError::Metrics(_) | StartError::Parts(_) => {
            Exit::failed(error)
        }
    }
}
