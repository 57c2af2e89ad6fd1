//! The gRPC service: messages checked and handed to the desk.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use headwater_location::limits::SILENCE;
use headwater_location::proto::location_server::Location;
use headwater_location::{LocateRequest, PlaceRequest, Up, WireError, proto};
use tokio::sync::Notify;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

use super::desk::{Desk, Opened};
use crate::index::{Event, SessionId};

/// A session that has not said Hello by then ends.
const HELLO: Duration = Duration::from_secs(2);

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

/// Hears a member out until its session ends.
async fn hear(desk: Arc<Desk>, id: SessionId, mut up: Streaming<proto::Up>, over: Arc<Notify>) {
    let mut patience = HELLO;
    loop {
        let said = tokio::select! {
            biased;
            () = over.notified() => return,
            said = tokio::time::timeout(patience, up.message()) => said,
        };
        let said = match said {
            Ok(Ok(Some(said))) => said,
            Ok(Ok(None) | Err(_)) => return desk.gone(id),
            Err(_) => {
                let status = Status::deadline_exceeded("nothing was heard for too long");
                return desk.refuse(id, status);
            }
        };
        match Up::try_from(said) {
            Ok(up) => desk.apply(Event::Said(id, up)),
            Err(error) => {
                desk.metrics().refused(error.reason());
                return desk.refuse(id, error.into());
            }
        }
        // The index ends silent sessions; this is for those that it does not know.
        patience = SILENCE.saturating_mul(2);
    }
}
