//! Reaching another process, and asking its admin port.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use bytes::Bytes;
use headwater_process::net;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

const TIMEOUT: Duration = Duration::from_secs(5);
const BODY_MAX_BYTES: usize = 64 * 1024 * 1024;

/// The JSON at `path` of the admin port at `host_port`.
pub(crate) async fn json(host_port: &str, path: &str) -> anyhow::Result<serde_json::Value> {
    tokio::time::timeout(TIMEOUT, ask(host_port, path))
        .await
        .with_context(|| format!("{host_port} did not answer within {} s", TIMEOUT.as_secs()))?
}

async fn ask(host_port: &str, path: &str) -> anyhow::Result<serde_json::Value> {
    let stream = net::connect(host_port, TIMEOUT).await.map_err(|error| {
        anyhow!("{error}; is Headwater running there? `--admin HOST:PORT` names another admin port")
    })?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(path)
        .header(header::HOST, host_port)
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let asking = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), BODY_MAX_BYTES)
            .collect()
            .await
            .map_err(anyhow::Error::from_boxed)?
            .to_bytes();
        anyhow::Ok((status, body))
    };
    let ((status, body), _) = tokio::try_join!(asking, async {
        connection.await.map_err(anyhow::Error::from)
    })
    .with_context(|| format!("{host_port} is no admin port of Headwater"))?;
    if status == StatusCode::NOT_FOUND {
        bail!("{host_port} has no {path}: no role there keeps streams");
    }
    ensure!(status.is_success(), "{host_port} answers {status}");
    serde_json::from_slice(&body)
        .with_context(|| format!("{host_port} is no admin port of Headwater"))
}

/// Where to connect to what listens on `listen`: a wildcard is reached on the loopback.
pub(crate) fn reachable(listen: &str) -> String {
    match listen.rsplit_once(':') {
        Some(("" | "[::]" | "0.0.0.0", port)) => format!("127.0.0.1:{port}"),
        _ => listen.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_is_reached_on_the_loopback() {
        for (listen, to) in [
            ("[::]:9190", "127.0.0.1:9190"),
            (":9190", "127.0.0.1:9190"),
            ("0.0.0.0:9190", "127.0.0.1:9190"),
            ("127.0.0.1:9190", "127.0.0.1:9190"),
            ("[::1]:9190", "[::1]:9190"),
        ] {
            assert_eq!(reachable(listen), to);
        }
    }
}
