//! How a gRPC channel opens its connection: through the network seam.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use headwater_process::tls::{Dialer, Wire};
use http::Uri;
use hyper_util::rt::TokioIo;
use tonic::transport::{Channel, Endpoint, Error};
use tower_service::Service;

use crate::limits::CONNECT_TIMEOUT;

/// A peer that does not answer pings for so long is gone.
const PING: Duration = Duration::from_secs(2);

/// Connects now; the name is resolved anew with each connection.
///
/// # Errors
/// If there is no connection, or the two ends do not trust each other.
pub async fn connect(dialer: &Dialer, address: &str) -> Result<Channel, Error> {
    endpoint()
        .connect_with_connector(Connector::new(dialer, address))
        .await
}

/// Connects with the first call, and again after a loss.
pub(crate) fn lazy(dialer: &Dialer, address: &str) -> Channel {
    endpoint().connect_with_connector_lazy(Connector::new(dialer, address))
}

fn endpoint() -> Endpoint {
    // The connector knows the address; the URI only fills the `:authority` header.
    Endpoint::from_static("http://headwater")
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .keep_alive_while_idle(true)
}

#[derive(Clone, Debug)]
struct Connector {
    dialer: Dialer,
    address: String,
}

impl Connector {
    fn new(dialer: &Dialer, address: &str) -> Connector {
        Connector {
            dialer: dialer.clone(),
            address: address.to_owned(),
        }
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Wire>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, io::Error>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _uri: Uri) -> Self::Future {
        let (dialer, address) = (self.dialer.clone(), self.address.clone());
        Box::pin(async move {
            let stream = dialer
                .connect(&address, CONNECT_TIMEOUT)
                .await
                .map_err(io::Error::other)?;
            stream.set_nodelay(true)?;
            Ok(TokioIo::new(stream))
        })
    }
}
