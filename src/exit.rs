//! How a command fails: what it says and the code that scripts see.

use std::fmt;
use std::process::ExitCode;

/// A command's failure.
#[derive(Debug)]
pub(crate) enum Exit {
    /// What was asked cannot be done as asked: a bad value, an unreadable file, a port in use. Code 2.
    Usage(anyhow::Error),
    /// It was tried and failed, or the answer is no. Code 1.
    Failed(anyhow::Error),
}

impl Exit {
    /// A failure of the user's input.
    pub(crate) fn usage(error: impl Into<anyhow::Error>) -> Self {
        Exit::Usage(error.into())
    }

    /// A failure of what was tried.
    pub(crate) fn failed(error: impl Into<anyhow::Error>) -> Self {
        Exit::Failed(error.into())
    }

    /// The code for the shell.
    pub(crate) fn code(&self) -> ExitCode {
        match self {
            Exit::Usage(_) => ExitCode::from(2),
            Exit::Failed(_) => ExitCode::from(1),
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Usage(error) | Exit::Failed(error) => f.write_str(&sentence(error)),
        }
    }
}

/// The error and its causes on one line; a cause that the error has told already is not told again.
fn sentence(error: &anyhow::Error) -> String {
    let mut told = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !told.contains(&cause) {
            told.push_str(": ");
            told.push_str(&cause);
        }
    }
    told
}
