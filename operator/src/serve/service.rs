//! The gRPC service: messages checked and handed to the desk.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use headwater_location::limits::{HEARTBEAT, SILENCE};
use headwater_location::proto::location_server::Location;
use headwater_location::{LocateRequest, PlaceRequest, Up, WireError, proto};
use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

use super::desk::{Desk, Opened};
use crate::index::{Event, SessionId};

/// A session that has not said Hello by then ends.
const HELLO: Duration = Duration::from_secs(2);
/// Turns of a heartbeat's time, over which sessions are spread.
const BEAT_TURNS: u32 = 32;

#[derive(Debug)]
pub(super) struct Service {
    desk: Arc<Desk>,
}

impl Service {
    pub(super) fn new(desk: Arc<Desk>) -> Service {
        Service { desk }
    }

    fn refused(&self, error: &WireError) {
        self.desk.metrics().refused(error.reason());
    }
}

#[tonic::async_trait]
impl Location for Service {
    type SessionStream = Pin<Box<dyn Stream<Item = Result<proto::Down, Status>> + Send>>;

    async fn session(
        &self,
        request: Request<Streaming<proto::Up>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let Opened { id, from, over } = self.desk.open()?;
        let desk = self.desk.clone();
        tokio::spawn(hear(desk, id, request.into_inner(), over));
        let down = ReceiverStream::new(from).map(|said| said.map(|down| proto::Down::from(&*down)));
        Ok(Response::new(Box::pin(down)))
    }

    async fn place(
        &self,
        request: Request<proto::PlaceRequest>,
    ) -> Result<Response<proto::PlaceReply>, Status> {
        let request = PlaceRequest::try_from(request.into_inner())
            .inspect_err(|error| self.refused(error))?;
        Ok(Response::new((&self.desk.place(&request)).into()))
    }

    async fn locate(
        &self,
        request: Request<proto::LocateRequest>,
    ) -> Result<Response<proto::LocateReply>, Status> {
        let request = LocateRequest::try_from(request.into_inner())
            .inspect_err(|error| self.refused(error))?;
        Ok(Response::new((&self.desk.locate(&request)).into()))
    }
}

/// Hears a member out until its session ends, and lets it hear that this replica is alive.
async fn hear(desk: Arc<Desk>, id: SessionId, mut up: Streaming<proto::Up>, over: Arc<Notify>) {
    let mut beats = beats(id);
    let mut patience = Box::pin(tokio::time::sleep(HELLO));
    loop {
        let said = tokio::select! {
            biased;
            () = over.notified() => return,
            _ = beats.tick() => {
                desk.beat(id);
                continue;
            }
            said = up.message() => said,
            () = &mut patience => {
                let status = Status::deadline_exceeded("nothing was heard for too long");
                return desk.refuse(id, status);
            }
        };
        let Ok(Some(said)) = said else {
            return desk.gone(id);
        };
        match Up::try_from(said) {
            Ok(up) => desk.apply(Event::Said(id, up)),
            Err(error) => {
                desk.metrics().refused(error.reason());
                return desk.refuse(id, error.into());
            }
        }
        // The index ends silent sessions; this is for those that it does not know.
        let end = Instant::now() + SILENCE.saturating_mul(2);
        patience.as_mut().reset(end);
        // A member's report comes in several messages, each of a part of a millisecond: whoever asks goes in between.
        yield_now().await;
    }
}

/// When a session's beats are due.
fn beats(id: SessionId) -> Interval {
    let mut beats = interval_at(Instant::now() + phase(id), HEARTBEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beats
}

/// Spreads the beats of sessions that began in one instant, as all do behind an operator's restart: as many writes at once as
/// there are members would hold up everybody's look-ups for milliseconds.
fn phase(id: SessionId) -> Duration {
    let turn = u32::try_from(id % u64::from(BEAT_TURNS)).unwrap_or(0);
    HEARTBEAT.saturating_mul(turn) / BEAT_TURNS
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn sessions_that_begin_together_are_told_in_turns_over_a_heartbeat() {
        let phases: BTreeSet<Duration> = (7..7 + u64::from(BEAT_TURNS)).map(phase).collect();
        assert_eq!(phases.len(), 32);
        assert!(phases.iter().all(|it| *it < HEARTBEAT));
    }
}
