//! What origin and edge have in common: they join the members that operators know.

use std::net::SocketAddr;

use headwater_admission::{Admission, AdmissionError};
use headwater_location::{Locator, Order, Role};
use headwater_process::admin::Condition;
use headwater_process::drain::Drain;
use headwater_process::metrics::Registry;
use headwater_process::net;
use headwater_process::tls::Dialer;

use super::Shared;
use crate::config::Config;
use crate::exit::Exit;

/// Joins as a `role` that others reach at `internal`, until the process has ended; new work is declined from the
/// beginning of a drain.
pub(super) fn join(
    config: &Config,
    shared: &mut Shared,
    registry: &Registry,
    role: Role,
    internal: SocketAddr,
) -> Result<Locator, Exit> {
    let mut location = config.location.clone();
    if shared.several && !location.id.is_empty() {
        // Roles of one process are members of their own.
        location.id = format!("{}-{}", location.id, role.label());
    }
    let me = location.member(role, &reachable(internal));
    tracing::info!(
        member = %me.id,
        internal = me.internal,
        operators = location.operators.join(" "),
        operators_name = location.operators_name,
        "joining"
    );
    let dialer = Dialer::new(shared.identities.internal.clone());
    let locator = Locator::start_by(&location, me, registry, dialer).map_err(Exit::failed)?;
    let ready = shared.admin.condition(match role {
        Role::Origin => "origin's standing",
        Role::Edge => "edge's standing",
    });
    // Without any list of members it would find no stream and place every one at itself.
    let knows_nobody = location.members.is_empty()
        && !(location.operators.is_empty() && location.operators_name.is_empty());
    if knows_nobody {
        ready.unready("no operator has been reached yet");
    } else {
        ready.ready();
    }
    let standing = stand(locator.clone(), shared.drain.clone(), ready, knows_nobody);
    shared.tasks.spawn(standing);
    Ok(locator)
}

/// Tells the others how this member stands: by its own end and by the operators' orders, until the process has ended.
/// One that `knows_nobody` is ready with its first session.
async fn stand(locator: Locator, drain: Drain, ready: Condition, mut knows_nobody: bool) {
    let mut orders = locator.orders();
    let mut met = std::pin::pin!(locator.connected(1));
    let mut draining = std::pin::pin!(drain.draining());
    loop {
        tokio::select! {
            biased;
            _ = draining.as_mut() => break,
            () = met.as_mut(), if knows_nobody => {
                knows_nobody = false;
                ready.ready();
                continue;
            }
            changed = orders.changed() => if changed.is_err() {
                break;
            },
        }
        let order = orders.borrow_and_update().clone();
        match order {
            Some(Order::Drain { reason, .. }) => {
                tracing::info!(reason, "an operator orders this member to give its work up");
                locator.set_standing(false, true);
                ready.unready(format!("drained by an operator: {reason}"));
            }
            Some(Order::Undrain) => {
                tracing::info!("an operator lets this member take work again");
                locator.set_standing(true, false);
                ready.ready();
            }
            None => {}
        }
    }
    locator.set_standing(false, true);
    drain.ended().await;
}

/// The gate of a role; what its callback has not heard yet is told before the process ends.
pub(super) fn admission(
    config: &Config,
    shared: &mut Shared,
    registry: &Registry,
) -> Result<Admission, Exit> {
    let admission = Admission::new(&config.admission, registry).map_err(|error| match error {
        AdmissionError::Config(_) => Exit::usage(error),
        AdmissionError::Metrics(_) => Exit::failed(error),
    })?;
    tracing::info!("{}", admission.describe());
    let (told, drain) = (admission.clone(), shared.drain.clone());
    shared.tasks.spawn(async move {
        drain.ended().await;
        told.told().await;
    });
    Ok(admission)
}

/// Where others reach what listens on `address`: a wildcard at this machine's own address.
fn reachable(address: SocketAddr) -> String {
    let ip = address.ip();
    match net::own_address() {
        Some(own) if ip.is_unspecified() => SocketAddr::new(own, address.port()).to_string(),
        None if ip.is_unspecified() => format!("localhost:{}", address.port()),
        _ => address.to_string(),
    }
}
