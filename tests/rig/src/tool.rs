//! Real clients: encoders, players and a browser. `tests/clients/install` puts them in place.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use tokio::process::{Child, Command};

use crate::SOON;

/// A folder that goes when its owner does.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Makes a folder whose name begins with `name`.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn new(name: &str) -> anyhow::Result<Folder> {
        let path = std::env::temp_dir().join(format!("headwater-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        Ok(Folder(path))
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// The folder of the clients that do not come from the distribution: `python/bin/python3` and `node_modules`.
///
/// # Errors
/// If they are not installed.
pub async fn installed(checkout: &Path) -> anyhow::Result<PathBuf> {
    let said = Command::new(checkout.join("tests/clients/install"))
        .arg("--where")
        .output()
        .await?;
    ensure!(
        said.status.success(),
        "{}",
        String::from_utf8_lossy(&said.stderr).trim()
    );
    Ok(PathBuf::from(String::from_utf8(said.stdout)?.trim()))
}

/// A command that is killed when it is dropped, and whose words are kept for what it has to say.
pub fn command<W: AsRef<std::ffi::OsStr>>(program: impl AsRef<Path>, words: &[W]) -> Command {
    let mut command = Command::new(program.as_ref());
    command
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Starts a command.
///
/// # Errors
/// If it is not installed.
pub fn start(mut command: Command) -> anyhow::Result<Child> {
    let program = command.as_std().get_program().to_owned();
    command
        .spawn()
        .with_context(|| format!("{}: run tests/clients/install", program.display()))
}

/// Waits until a command has ended well; what it printed.
///
/// # Errors
/// If it fails, with what it said, or takes longer than [`SOON`].
pub async fn finish(child: Child) -> anyhow::Result<String> {
    let said = tokio::time::timeout(SOON, child.wait_with_output())
        .await
        .context("it still runs")??;
    ensure!(
        said.status.success(),
        "{}: {}",
        said.status,
        String::from_utf8_lossy(&said.stderr)
    );
    Ok(String::from_utf8(said.stdout)?)
}

/// The codecs of `url` as FFmpeg sees them, sorted.
///
/// # Errors
/// If it cannot be played.
pub async fn probe(url: &str) -> anyhow::Result<Vec<String>> {
    let show = ["-show_entries", "stream=codec_name", "-of", "csv=p=0"];
    let words = [
        &["-v", "error", "-rw_timeout", "20000000"][..],
        &show,
        &[url],
    ]
    .concat();
    let said = finish(start(command("ffprobe", &words))?)
        .await
        .with_context(|| url.to_owned())?;
    let mut codecs: Vec<String> = said.split_whitespace().map(str::to_owned).collect();
    codecs.sort();
    Ok(codecs)
}
