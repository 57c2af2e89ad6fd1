//! The `headwater` binary: a subcommand for each role and each thing to ask, wired to the libraries that do it.

mod bench;
mod check;
mod cli;
mod config;
mod control;
mod demo;
mod exit;
mod http;
mod locate;
mod memory;
mod operators;
mod print;
mod role;
mod roles;
mod sign;
mod streams;
mod table;
mod up;
mod welcome;

use std::io::Write as _;
use std::process::ExitCode;

// Buffers of many sizes come and go on every core; the system's allocator keeps what it was given. Without huge pages
// (`no_thp` in Cargo.toml), as those cost an idle process 8 MiB.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let env = std::env::vars_os()
        .map(|(name, value)| {
            (
                name.to_string_lossy().into_owned(),
                value.to_string_lossy().into_owned(),
            )
        })
        .collect();
    match cli::run(std::env::args_os(), env) {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => {
            // Nobody to tell if standard error is closed.
            let _ = writeln!(std::io::stderr(), "headwater: {exit}");
            exit.code()
        }
    }
}
