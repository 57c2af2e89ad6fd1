//! `headwater up` on ports of its own.

use std::path::Path;

use crate::port;
use crate::process::Process;

/// All roles in one process.
#[derive(Debug)]
pub struct Up {
    /// The process.
    pub process: Process,
    /// `host:port` for publishers.
    pub rtmp: String,
    /// `host:port` for viewers over HTTP.
    pub http: String,
    /// `host:port` for those who ask where streams are.
    pub operator: String,
    /// `host:port` for viewers over RTMP.
    pub play_rtmp: String,
}

impl Up {
    /// Starts `binary` with `settings` and waits until it is ready.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn start(binary: &Path, settings: &[&str]) -> anyhow::Result<Up> {
        let [rtmp, http, play_rtmp, operator] = std::array::from_fn(|_| port::address());
        let mut words = vec![
            "up".to_owned(),
            format!("--origin-listen={rtmp}"),
            format!("--edge-http-listen={http}"),
            format!("--edge-rtmp-listen={play_rtmp}"),
            "--origin-internal-listen=127.0.0.1:0".to_owned(),
            "--edge-internal-listen=127.0.0.1:0".to_owned(),
            format!("--operator-listen={operator}"),
        ];
        words.extend(settings.iter().map(|&word| word.to_owned()));
        let mut process = Process::start(binary, &words)?;
        process.ready().await?;
        Ok(Up {
            process,
            rtmp,
            http,
            play_rtmp,
            operator,
        })
    }
}
