//! Operators behind one name: its addresses are asked for again and again, and each gets a session. So do those that
//! an operator tells of, since a name server may know of a new one half a minute later.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use headwater_process::net;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::MissedTickBehavior;

use super::session;
use super::shared::Shared;

/// How often the name is asked for.
const EVERY: Duration = Duration::from_secs(1);

/// A place for a session with an operator that was found.
#[derive(Debug)]
struct Slot {
    replica: usize,
    holder: Option<(SocketAddr, AbortHandle)>,
}

/// Keeps a session with each address of `name`, at most one for each of `replicas`, for ever.
pub(super) async fn seek(shared: Arc<Shared>, name: String, replicas: Range<usize>) {
    let mut sessions = JoinSet::new();
    let mut slots: Vec<Slot> = replicas
        .map(|replica| Slot {
            replica,
            holder: None,
        })
        .collect();
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = shared.operators.subscribe();
    let mut named = BTreeSet::new();
    let mut known = true;
    loop {
        let asks = tokio::select! {
            biased;
            _ = ticks.tick() => true,
            // It fails only without a sender, and `shared` holds one.
            Ok(()) = told.changed() => false,
        };
        if asks {
            match net::lookup(&name).await {
                Ok(addresses) => (named, known) = (addresses, true),
                // What was known stays: sessions outlive the name server.
                Err(error) => {
                    if std::mem::take(&mut known) {
                        tracing::warn!(name, %error, "the operators' name has no addresses now");
                    }
                }
            }
        }
        let mut listed = named.clone();
        listed.extend(told.borrow_and_update().values().flatten());
        for slot in &mut slots {
            let gone = slot.holder.take_if(|(address, _)| {
                !listed.contains(address) && !shared.has_session(slot.replica)
            });
            if let Some((_, session)) = gone {
                session.abort();
                shared.disconnected(slot.replica);
            }
        }
        for address in listed {
            let held = |slot: &Slot| slot.holder.as_ref().is_some_and(|(it, _)| *it == address);
            if slots.iter().any(held) {
                continue;
            }
            if let Some(slot) = slots.iter_mut().find(|slot| slot.holder.is_none()) {
                let session = session::keep(shared.clone(), slot.replica, address.to_string());
                slot.holder = Some((address, sessions.spawn(session)));
            }
        }
        // What was aborted is done with.
        while sessions.try_join_next().is_some() {}
    }
}
