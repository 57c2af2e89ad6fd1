//! A viewer whose stream begins.

use std::time::Duration;

use headwater_delivery::{EndReason, Fanout, Viewer, ViewerEnd};

/// Seats `viewer`, unless the stream has ended meanwhile.
pub(super) async fn join(fanout: &Fanout, viewer: Viewer) {
    if let Err(refused) = fanout.join(viewer).await {
        dismiss(*refused, EndReason::StreamEnded);
    }
}

/// Ends a viewer that has not been seated.
pub(super) fn dismiss(viewer: Viewer, reason: EndReason) {
    (viewer.on_end)(ViewerEnd {
        reason,
        bytes: 0,
        duration: Duration::ZERO,
        startup: None,
        dropped: headwater_hub::Dropped::default(),
    });
}
