//! Parts of a measurement that run as processes of their own: this program again, told what to be.
//!
//! A part reads its plan, one line of JSON, from its standard input, says what happens on its standard output, and ends
//! when its standard input ends: so none outlives whoever started it.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::{CommandExt as _, parent_id};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cpu::Cores;
use crate::error::BenchError;

/// The command under which this program is a part; not shown to users.
pub const COMMAND: &str = "bench-part";

/// The part that becomes a role of this program.
pub(crate) const TIED: &str = "tied";

/// What a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Viewers.
    Load,
    /// What is compared with.
    Floor,
    /// What look-ups are compared with.
    Echo,
    /// What ingest is compared with.
    Sink,
}

impl Kind {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Load => "load",
            Kind::Floor => "floor",
            Kind::Echo => "echo",
            Kind::Sink => "sink",
        }
    }
}

/// A part at work; dropping it ends it.
#[derive(Debug)]
pub struct Part {
    kind: Kind,
    child: Child,
    /// Open as long as it is to live.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Part {
    /// Starts `kind` on `cores` with `plan`.
    ///
    /// # Errors
    /// If the process cannot be started.
    pub fn start(
        program: &Path,
        kind: Kind,
        cores: &Cores,
        plan: &impl Serialize,
    ) -> Result<Part, BenchError> {
        let mut command = Command::new(program);
        command
            .args([COMMAND, kind.name()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = spawn_on(cores, &mut command, kind.name())?;
        let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(BenchError::part("a part has no pipes"));
        };
        let mut line = serde_json::to_string(plan)
            .map_err(|e| BenchError::part(format!("writing a plan: {e}")))?;
        line.push('\n');
        input
            .write_all(line.as_bytes())
            .map_err(|e| BenchError::io("writing a plan", e))?;
        Ok(Part {
            kind,
            child,
            input: Some(input),
            output: BufReader::new(output),
        })
    }

    /// The next thing it says.
    ///
    /// # Errors
    /// If it has ended.
    pub fn hear<T: DeserializeOwned>(&mut self) -> Result<T, BenchError> {
        let mut line = String::new();
        let read = self
            .output
            .read_line(&mut line)
            .map_err(|e| BenchError::io(format!("reading from the {}", self.kind.name()), e))?;
        if read == 0 {
            return Err(BenchError::part(format!(
                "the {} ended too early",
                self.kind.name()
            )));
        }
        serde_json::from_str(&line)
            .map_err(|e| BenchError::part(format!("reading from the {}: {e}", self.kind.name())))
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

/// A command of `program` that is killed when whoever starts it ends, however that ends; its arguments are added to it.
pub(crate) fn tied(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.args([COMMAND, TIED, &std::process::id().to_string()]);
    command
}

/// Becomes `program` with all but the first of `arguments`, and dies with its starter, whose process that first one is.
pub(crate) fn become_tied(program: &Path, arguments: &[OsString]) -> BenchError {
    let Some((starter, arguments)) = arguments.split_first() else {
        return BenchError::part("a role is to name its starter");
    };
    if let Err(e) = rustix::process::set_parent_process_death_signal(Some(Signal::KILL)) {
        return BenchError::io("asking to end with its starter", e.into());
    }
    if starter.to_str() != Some(&parent_id().to_string()) {
        return BenchError::part("its starter has ended");
    }
    BenchError::io(
        "starting a role",
        Command::new(program).args(arguments).exec(),
    )
}

/// Starts `command` with its threads pinned to `cores`.
pub(crate) fn spawn_on(
    cores: &Cores,
    command: &mut Command,
    name: &str,
) -> Result<Child, BenchError> {
    // A child inherits the cores of the thread that starts it, and sizes its thread pools by them.
    let before = Cores::allowed()?;
    cores.pin()?;
    let spawned = command.spawn();
    before.pin()?;
    spawned.map_err(|e| BenchError::io(format!("starting the {name}"), e))
}

/// Ends this process when its standard input ends.
pub(crate) fn end_with_input() {
    // A thread that reads for ever is the only way to hear of it without a second epoll.
    std::thread::spawn(|| {
        let mut byte = [0_u8; 64];
        while matches!(std::io::stdin().read(&mut byte), Ok(read) if read > 0) {}
        std::process::exit(0);
    });
}

/// Says `state` to whoever started this process.
pub(crate) fn say(state: &impl Serialize) -> Result<(), BenchError> {
    let line = serde_json::to_string(state)
        .map_err(|e| BenchError::part(format!("writing a state: {e}")))?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .map_err(|e| BenchError::io("writing a state", e))
}

/// How long a part may be silent while it starts.
pub(crate) const START_PATIENCE: Duration = Duration::from_secs(20);
