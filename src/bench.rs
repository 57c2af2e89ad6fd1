//! `headwater bench`: measures a server beside the floor.

use clap::ArgMatches;
use headwater_bench::BenchError;

use crate::exit::Exit;
use crate::print::print;

/// Measures and prints the table.
pub(crate) fn run(matches: &ArgMatches) -> Result<(), Exit> {
    let program = std::env::current_exe().map_err(Exit::failed)?;
    print(&headwater_bench::run(matches, program).map_err(exit)?)
}

/// Runs a part of a measurement.
pub(crate) fn run_part(matches: &ArgMatches) -> Result<(), Exit> {
    let program = std::env::current_exe().map_err(Exit::failed)?;
    headwater_bench::run_part(matches, &program).map_err(exit)
}

fn exit(error: BenchError) -> Exit {
    if error.is_usage() {
        Exit::usage(error)
    } else {
        Exit::failed(error)
    }
}
