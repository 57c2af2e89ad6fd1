//! Lets the linker pack what the loader of this machine can unpack.

#![allow(
    clippy::print_stdout,
    reason = "it is how a build script talks to cargo"
)]

use std::process::Command;

/// The first glibc whose loader reads packed relocations (`DT_RELR`).
const UNPACKS_SINCE: (u32, u32) = (2, 36);

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Read once and never again, the relocations of tens of thousands of tables stay in memory: 1.1 MiB, packed 14 KiB.
    if glibc().is_some_and(|version| version >= UNPACKS_SINCE) {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// The version of the glibc that the program is built for and will run with, as far as that is this machine's.
fn glibc() -> Option<(u32, u32)> {
    let target = std::env::var("TARGET").ok()?;
    if !target.ends_with("-linux-gnu") || target != std::env::var("HOST").ok()? {
        return None;
    }
    let said = Command::new("getconf")
        .arg("GNU_LIBC_VERSION")
        .output()
        .ok()?;
    // `glibc 2.36`
    let said = String::from_utf8(said.stdout).ok()?;
    let (major, minor) = said.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
