//! The floor of look-ups: a bare tonic server that answers each Locate with the same bytes.

use std::io::{self, BufRead as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;

use headwater_location::proto::location_server::{Location, LocationServer};
use headwater_location::proto::{Down, LocateReply, LocateRequest, PlaceReply, PlaceRequest, Up};
use prost::Message as _;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio_stream::Stream;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

use crate::error::BenchError;
use crate::floor::FloorState;

/// What it answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct EchoPlan {
    /// An encoded `LocateReply`.
    pub(super) reply: Vec<u8>,
}

/// The echo as a process: reads its plan from standard input and says where it listens.
///
/// # Errors
/// If the plan cannot be read or the port cannot be opened.
pub(crate) fn run() -> Result<(), BenchError> {
    let mut line = String::new();
    io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|e| BenchError::io("reading the echo's plan", e))?;
    let wrong = |e: &dyn std::fmt::Display| BenchError::part(format!("the echo's plan: {e}"));
    let plan: EchoPlan = serde_json::from_str(&line).map_err(|e| wrong(&e))?;
    let reply = LocateReply::decode(plan.reply.as_slice()).map_err(|e| wrong(&e))?;
    crate::part::end_with_input();
    // As many workers as the operator's: one for each core that it may use.
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| BenchError::io("starting the echo", e))?
        .block_on(serve(reply))
}

async fn serve(reply: LocateReply) -> Result<(), BenchError> {
    let fail = |e| BenchError::io("opening the echo's port", e);
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = TcpListener::bind(any).await.map_err(fail)?;
    let address = listener.local_addr().map_err(fail)?;
    crate::part::say(&FloorState::Listening { address })?;
    Server::builder()
        .add_service(LocationServer::new(Echo { reply }))
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
        .await
        .map_err(|e| BenchError::part(format!("the echo broke: {e}")))
}

#[derive(Debug)]
struct Echo {
    reply: LocateReply,
}

#[tonic::async_trait]
impl Location for Echo {
    type SessionStream = Pin<Box<dyn Stream<Item = Result<Down, Status>> + Send>>;

    async fn session(
        &self,
        _: Request<Streaming<Up>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        Err(Status::unimplemented("an echo"))
    }

    async fn place(&self, _: Request<PlaceRequest>) -> Result<Response<PlaceReply>, Status> {
        Err(Status::unimplemented("an echo"))
    }

    async fn locate(&self, _: Request<LocateRequest>) -> Result<Response<LocateReply>, Status> {
        Ok(Response::new(self.reply.clone()))
    }
}
