//! A process of Headwater, to be killed and started again at the same addresses.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};

pub use crate::cluster::{Cluster, Edge, Origin, Place, Size};
use crate::{SOON, http, port};

/// Between two looks at something that tells nobody when it changes.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// One process, or the place of one that was killed.
#[derive(Debug)]
pub struct Process {
    binary: PathBuf,
    args: Vec<String>,
    /// `host:port` of its admin port.
    pub admin: String,
    log: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// Starts `binary` with `args`, to which the admin port and quiet logs are added.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(binary: &Path, args: &[String]) -> anyhow::Result<Process> {
        Process::start_at(binary, args, port::address())
    }

    /// As [`Process::start`], with the admin port at `admin`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start_at(binary: &Path, args: &[String], admin: String) -> anyhow::Result<Process> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("headwater-{}-{number}.log", std::process::id());
        let mut args = args.to_vec();
        args.push(format!("--admin-listen={admin}"));
        let mut process = Process {
            binary: binary.to_owned(),
            args,
            admin,
            log: std::env::temp_dir().join(name),
            child: None,
        };
        process.restart()?;
        Ok(process)
    }

    /// Starts it (again) with the same arguments.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)?;
        let child = Command::new(&self.binary)
            .args(&self.args)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| self.binary.display().to_string())?;
        self.child = Some(child);
        Ok(())
    }

    /// Waits until `/readyz` says yes.
    ///
    /// # Errors
    /// If it ends before, or never is; with the end of its log.
    pub async fn ready(&mut self) -> anyhow::Result<()> {
        let ready = async {
            loop {
                if let Ok((200, _)) = http::get(&self.admin, "/readyz").await {
                    return Ok(());
                }
                if let Some(child) = &mut self.child
                    && let Some(status) = child.try_wait()?
                {
                    return Err(anyhow!("{:?} ended with {status}", self.args));
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        let waited = tokio::time::timeout(SOON, ready).await;
        waited
            .unwrap_or_else(|_| Err(anyhow!("{:?} is not ready", self.args)))
            .map_err(|error| anyhow!("{error}; it says:\n{}", self.log()))
    }

    /// What it has logged, its last 4 KiB.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        let from = bytes.len().saturating_sub(4 << 10);
        String::from_utf8_lossy(bytes.get(from..).unwrap_or_default()).into_owned()
    }

    /// Its process number, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// kill -9, and waits until it is gone.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            drop(child.kill());
            drop(child.wait());
        }
    }

    /// Sends a signal by its name: `STOP`, `CONT`, `TERM`.
    ///
    /// # Errors
    /// If it does not run.
    pub fn signal(&self, name: &str) -> anyhow::Result<()> {
        let pid = self.pid().context("it does not run")?;
        let status = Command::new("sh")
            .arg("-c")
            .arg(format!("kill -{name} {pid}"))
            .status()?;
        ensure!(status.success(), "kill -{name} {pid}: {status}");
        Ok(())
    }

    /// Waits until it has ended by itself; its exit code.
    ///
    /// # Errors
    /// If it still runs after `within`.
    pub async fn ended(&mut self, within: Duration) -> anyhow::Result<Option<i32>> {
        let Some(child) = &mut self.child else {
            return Ok(None);
        };
        let ended = async {
            loop {
                if let Some(status) = child.try_wait()? {
                    return anyhow::Ok(status.code());
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        let code = tokio::time::timeout(within, ended)
            .await
            .context("it still runs")??;
        self.child = None;
        Ok(code)
    }

    /// Resident memory, in KiB.
    ///
    /// # Errors
    /// If it does not run.
    pub fn resident_kib(&self) -> anyhow::Result<u64> {
        let pid = self.pid().context("it does not run")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .context("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// What `/streams` says, part by part of the process.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn streams(&self) -> anyhow::Result<serde_json::Value> {
        http::json(&self.admin, "/streams").await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        drop(std::fs::remove_file(&self.log));
    }
}
