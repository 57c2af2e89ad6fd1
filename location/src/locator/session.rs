//! One replica: a session with it for as long as there is one, and another one after that.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use super::shared::{Operator, Shared};
use crate::limits::{BACK_OFF_MAX, CONNECT_TIMEOUT, HEARTBEAT, MESSAGE_MAX_BYTES, SILENCE};
use crate::proto::location_client::LocationClient;
use crate::wire::WireError;
use crate::{Down, REPLICA_ENDS, Up, connector, proto};

/// The first wait after a loss; it doubles up to [`BACK_OFF_MAX`].
const BACK_OFF_MIN: Duration = Duration::from_millis(50);
/// Messages on their way up; what changes meanwhile is joined to later ones.
const UP_QUEUE: usize = 8;

/// Why there is no session, or no longer.
#[derive(Debug, Error)]
enum Loss {
    #[error("no connection: {0}")]
    Connect(#[from] tonic::transport::Error),
    #[error("no answer within {} ms", .0.as_millis())]
    Slow(Duration),
    #[error("silent for {} ms", SILENCE.as_millis())]
    Silent,
    #[error("the replica ended it: {}: {}", .0.code(), .0.message())]
    Ended(Box<Status>),
    #[error("the replica ended it")]
    Closed,
    #[error("the replica says what the contract does not know: {0}")]
    Wire(#[from] WireError),
}

impl Loss {
    /// The replica has ended in good order, as in a roll-out.
    fn is_planned(&self) -> bool {
        let Loss::Ended(status) = self else {
            return false;
        };
        status.code() == Code::Unavailable && status.message() == REPLICA_ENDS
    }

    fn reason(&self) -> &'static str {
        match self {
            Loss::Connect(_) => "connect",
            Loss::Slow(_) => "slow",
            Loss::Silent => "silent",
            Loss::Ended(_) => "ended",
            Loss::Closed => "closed",
            Loss::Wire(_) => "wire",
        }
    }
}

/// Keeps a session with the replica at `address`, its number `replica`, for ever.
pub(super) async fn keep(shared: Arc<Shared>, replica: usize, address: String) {
    let mut back_off = BACK_OFF_MIN;
    loop {
        let mut greeted = false;
        let loss = match hold(&shared, replica, &address, &mut greeted).await {
            Ok(never) => match never {},
            Err(loss) => loss,
        };
        shared.disconnected(replica);
        if greeted {
            shared.metrics.lost(loss.reason());
            if loss.is_planned() {
                tracing::info!(operator = address, "an operator ends");
            } else {
                tracing::warn!(operator = address, %loss, "session with an operator lost");
            }
            back_off = BACK_OFF_MIN;
        } else {
            tracing::debug!(operator = address, %loss, "no session with an operator");
        }
        tokio::time::sleep(jittered(back_off)).await;
        back_off = back_off.saturating_mul(2).min(BACK_OFF_MAX);
    }
}

/// Between a half and the whole of `wait`, so that members do not come back in step.
fn jittered(wait: Duration) -> Duration {
    let random = headwater_process::random::number() % 512;
    let part = u32::try_from(random).unwrap_or(0).saturating_add(512);
    (wait / 1024).saturating_mul(part)
}

enum Never {}

async fn hold(
    shared: &Arc<Shared>,
    replica: usize,
    address: &str,
    greeted: &mut bool,
) -> Result<Never, Loss> {
    let channel = within(CONNECT_TIMEOUT, connector::connect(&shared.dialer, address)).await??;
    let mut client = LocationClient::new(channel)
        .max_decoding_message_size(MESSAGE_MAX_BYTES)
        .max_encoding_message_size(MESSAGE_MAX_BYTES);
    let (up, messages) = mpsc::channel(UP_QUEUE);
    let session = within(SILENCE, client.session(ReceiverStream::new(messages)))
        .await?
        .map_err(|status| Loss::Ended(Box::new(status)))?;
    let mut nudges = shared.nudge.subscribe();
    shared.begin(replica);
    // The queue is empty, so this does not wait.
    let hello = Up::Hello(shared.me());
    up.send((&hello).into()).await.map_err(|_| Loss::Closed)?;
    let mut down: Streaming<proto::Down> = session.into_inner();
    let mut heard = Instant::now();
    let mut beats = tokio::time::interval(HEARTBEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut beat_due = true;
    loop {
        let pending = beat_due || shared.pending(replica);
        tokio::select! {
            biased;
            said = down.message() => {
                heard = Instant::now();
                let said = said
                    .map_err(|status| Loss::Ended(Box::new(status)))?
                    .ok_or(Loss::Closed)?;
                let said = Down::try_from(said)?;
                if !*greeted && matches!(said, Down::Members(_)) {
                    *greeted = true;
                    tracing::info!(operator = address, "session with an operator");
                    let operator = Operator {
                        address: address.to_owned(),
                        client: client.clone(),
                    };
                    shared.connected(replica, operator);
                }
                shared.heard(replica, said)?;
            }
            () = tokio::time::sleep_until(heard + SILENCE) => return Err(Loss::Silent),
            permit = up.reserve(), if pending => {
                let permit = permit.map_err(|_| Loss::Closed)?;
                let message = if std::mem::take(&mut beat_due) {
                    Some(Up::Heartbeat(shared.heartbeat()))
                } else {
                    shared.next(replica)
                };
                if let Some(message) = message {
                    permit.send((&message).into());
                }
            }
            _ = beats.tick() => beat_due = true,
            nudged = nudges.changed() => {
                nudged.map_err(|_| Loss::Closed)?;
                // Readiness travels with the heartbeat.
                beat_due |= shared.standing_is_news(replica);
            }
        }
    }
}

async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> Result<T, Loss> {
    tokio::time::timeout(limit, future)
        .await
        .map_err(|_| Loss::Slow(limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_replica_that_says_that_it_ends_has_ended_in_good_order() {
        let ended = |status| Loss::Ended(Box::new(status)).is_planned();
        assert!(ended(Status::unavailable(REPLICA_ENDS)));
        assert!(!ended(Status::unavailable("connection reset")));
        assert!(!ended(Status::aborted(REPLICA_ENDS)));
        assert!(!Loss::Closed.is_planned());
    }
}
