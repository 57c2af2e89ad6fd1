//! Corpora for cargo-fuzz: `headwater-fuzz` lists the targets, `unpack` lays out a target's kept inputs and seeds as
//! files, `pack` keeps what a run has left.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use headwater_fuzz::{TARGETS, Target, pack};

const USAGE: &str =
    "usage: headwater-fuzz list | unpack TARGET PACK DIRECTORY | pack DIRECTORY PACK";

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["list"] => list(),
        ["unpack", name, packed, directory] => unpack(name, packed.as_ref(), directory.as_ref()),
        ["pack", directory, packed] => {
            let inputs =
                pack::read_directory(directory.as_ref()).context("the inputs cannot be read")?;
            fs::write(packed, pack::pack(inputs)).context("the pack cannot be written")
        }
        _ => anyhow::bail!(USAGE),
    }
}

fn list() -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for Target { name, .. } in TARGETS {
        writeln!(out, "{name}")?;
    }
    Ok(())
}

fn unpack(name: &str, packed: &Path, directory: &Path) -> anyhow::Result<()> {
    let target = TARGETS.iter().find(|target| target.name == name);
    let target = target.with_context(|| format!("there is no target `{name}`"))?;
    let seeds = (target.seeds)();
    let seeds: Vec<&[u8]> = seeds.iter().map(Vec::as_slice).collect();
    pack::write_directory(directory, "seed", &seeds)?;
    if packed.exists() {
        let bytes = fs::read(packed)?;
        let inputs =
            pack::unpack(&bytes).with_context(|| format!("{} is cut", packed.display()))?;
        pack::write_directory(directory, "kept", &inputs)?;
    }
    Ok(())
}
