//! What commands print, and how they are asked for it in JSON.

use std::io::Write as _;

use clap::{Arg, ArgAction};

use crate::exit::Exit;

/// Writes `text` to standard output; a reader that has gone away wants no more.
pub(crate) fn print(text: &str) -> Result<(), Exit> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Exit::failed(error)),
        _ => Ok(()),
    }
}

/// `--json`, alike in every command that has something to show.
pub(crate) fn json_flag() -> Arg {
    Arg::new("json")
        .long("json")
        .help("Print JSON, for scripts")
        .action(ArgAction::SetTrue)
}
