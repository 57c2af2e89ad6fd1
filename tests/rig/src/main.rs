//! The parts for tests that run elsewhere than in a test program: `watch` and `push`, with records as JSON lines.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};
use headwater_rig::publisher::{Made, Publisher, Target};
use headwater_rig::viewer::Viewer;
use headwater_rig::{Record, clip, compare};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

#[derive(Parser)]
#[command(about = "Publishers and strict viewers for tests of the whole system")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Play a URL and write a JSON line for each tag; a last line on standard error says how it ended.
    Watch {
        /// http://host:port/app/stream.flv
        url: String,
        /// Where the records go.
        #[arg(long)]
        record: PathBuf,
        /// Stop after so many seconds, or on SIGTERM.
        #[arg(long, default_value_t = 3_600.0)]
        seconds: f64,
    },
    /// Push a made stream whose bodies carry session and number; connects again when it is cut, as encoders do.
    Push {
        /// rtmp://host/app/stream
        url: String,
        /// Stop after so many seconds.
        #[arg(long, default_value_t = 3_600.0)]
        seconds: f64,
        /// Bytes of a picture, 25 pictures a second.
        #[arg(long, default_value_t = 2_000)]
        picture_bytes: usize,
    },
    /// Say what a record of a made stream lost, got twice or got in disorder; fails if it did.
    Account {
        /// What `watch --record` wrote.
        record: PathBuf,
    },
    /// Check that a record is a gap-free run of an FLV file that was pushed.
    Same {
        /// The file.
        flv: PathBuf,
        /// What `watch --record` wrote.
        record: PathBuf,
    },
}

/// An encoder that gets nothing through for so long connects again.
const STUCK: Duration = Duration::from_secs(5);

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Watch {
            url,
            record,
            seconds,
        } => watch(&url, &record, seconds).await,
        Command::Push {
            url,
            seconds,
            picture_bytes,
        } => push(&url, seconds, picture_bytes).await,
        Command::Account { record } => {
            let account = compare::account(&read(&record)?);
            say(&format!("{account:?}"))?;
            if account.lost + account.doubled + account.disordered > 0 || account.tags == 0 {
                bail!("not gap-free");
            }
            Ok(())
        }
        Command::Same { flv, record } => {
            match compare::same_run(&clip::records(&flv)?, &read(&record)?) {
                Ok(verdict) => say(&format!("{verdict:?}")),
                Err(fault) => bail!(fault),
            }
        }
    }
}

fn say(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}

async fn watch(url: &str, record: &Path, seconds: f64) -> anyhow::Result<()> {
    let mut viewer = Viewer::start(url, Instant::now());
    let mut told = signal(SignalKind::terminate())?;
    // A time-out is the usual end of a watch, and a signal that of one without a set length.
    tokio::select! {
        ended = viewer.until(Duration::from_secs_f64(seconds), |seen| seen.end.is_some()) => drop(ended),
        _ = told.recv() => {}
    }
    let seen = viewer.seen();
    let mut lines = String::new();
    for tag in &seen.tags {
        lines.push_str(&serde_json::to_string(tag)?);
        lines.push('\n');
    }
    std::fs::write(record, lines).with_context(|| record.display().to_string())?;
    say(&format!("{} tags, end: {:?}", seen.tags.len(), seen.end))?;
    if let Some(Err(error)) = seen.end {
        bail!(error);
    }
    Ok(())
}

async fn push(url: &str, seconds: f64, picture_bytes: usize) -> anyhow::Result<()> {
    let target = Target::parse(url)?.given_up_after(STUCK);
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    let mut session = 1;
    while Instant::now() < until {
        let made = Made {
            session,
            picture_bytes,
            ..Made::default()
        };
        let mut publisher = Publisher::start(&target, made.tags(), Instant::now());
        let left = until.saturating_duration_since(Instant::now());
        if let Some(end) = publisher.ended(left).await {
            say(&format!("session {session} ended: {end:?}"))?;
            // As encoders do before they connect again.
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        session += 1;
    }
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<Vec<Record>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    text.lines()
        .map(|line| Ok(serde_json::from_str(line)?))
        .collect()
}
