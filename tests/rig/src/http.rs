//! One-shot HTTP requests to admin ports.

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Status and body of `GET path` at `host:port`.
///
/// # Errors
/// If nobody answers in HTTP.
pub async fn get(address: &str, path: &str) -> anyhow::Result<(u16, String)> {
    let mut socket = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: rig\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await?;
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").context("no HTTP answer")?;
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    if !head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked")
    {
        return Ok((status, body.to_owned()));
    }
    let (mut rest, mut whole) = (body, String::new());
    loop {
        let (size, after) = rest.split_once("\r\n").context("a chunk without a size")?;
        let size = usize::from_str_radix(size, 16)?;
        if size == 0 {
            return Ok((status, whole));
        }
        let Some(piece) = after.get(..size) else {
            bail!("a chunk is cut");
        };
        whole.push_str(piece);
        rest = after
            .get(size..)
            .and_then(|it| it.strip_prefix("\r\n"))
            .context("a chunk without an end")?;
    }
}

/// The JSON at `path`.
///
/// # Errors
/// If there is none.
pub async fn json(address: &str, path: &str) -> anyhow::Result<serde_json::Value> {
    let (status, body) = get(address, path).await?;
    ensure!(status == 200, "{path}: {status}");
    Ok(serde_json::from_str(&body)?)
}

/// The sum of all series of metric `name` whose labels contain `labels` (`reason="x"`, or nothing).
///
/// # Errors
/// If there are no metrics.
pub async fn metric(address: &str, name: &str, labels: &str) -> anyhow::Result<f64> {
    let (status, body) = get(address, "/metrics").await?;
    ensure!(status == 200, "/metrics: {status}");
    Ok(body
        .lines()
        .filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let (series, value) = rest.rsplit_once(' ')?;
            let whole = series.is_empty() || series.starts_with('{');
            (whole && series.contains(labels)).then(|| value.parse::<f64>().ok())?
        })
        .sum())
}
