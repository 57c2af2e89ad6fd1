//! Answering other origins.

use std::future::Future;
use std::sync::Arc;

use tonic::service::Routes;
use tonic::{Request, Response, Status};

use super::{Claim, Release, Verdict};
use crate::limits::MESSAGE_MAX_BYTES;
use crate::proto;
use crate::proto::origin_server::{Origin, OriginServer};

/// What an origin does when it is asked.
pub trait ClaimHandler: Send + Sync + 'static {
    /// Decides whether to be the home of a session.
    fn claim(&self, claim: Claim) -> impl Future<Output = Verdict> + Send;

    /// Lets go of a session of which this process is the ingress. Whether it has it or not, it is over.
    fn release(&self, release: Release) -> impl Future<Output = ()> + Send;
}

/// The gRPC service of an origin, for its internal port: a `tower` service for HTTP/2 requests whose path starts with
/// `/headwater.location.v1.Origin/`.
pub fn routes<H: ClaimHandler>(handler: Arc<H>) -> Routes {
    Routes::new(
        OriginServer::new(Served(handler))
            .max_decoding_message_size(MESSAGE_MAX_BYTES)
            .max_encoding_message_size(MESSAGE_MAX_BYTES),
    )
}

struct Served<H>(Arc<H>);

#[tonic::async_trait]
impl<H: ClaimHandler> Origin for Served<H> {
    async fn claim(
        &self,
        request: Request<proto::ClaimRequest>,
    ) -> Result<Response<proto::ClaimReply>, Status> {
        let claim = Claim::try_from(request.into_inner())?;
        let verdict = self.0.claim(claim).await;
        Ok(Response::new((&verdict).into()))
    }

    async fn release(
        &self,
        request: Request<proto::ReleaseRequest>,
    ) -> Result<Response<proto::ReleaseReply>, Status> {
        let release = Release::try_from(request.into_inner())?;
        self.0.release(release).await;
        Ok(Response::new(proto::ReleaseReply {}))
    }
}
