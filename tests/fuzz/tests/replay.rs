//! Every input that fuzzing kept, and every seed, through every target.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use headwater_fuzz::{TARGETS, Target, pack};

fn fuzz_directory() -> &'static Path {
    Path::new("../../fuzz")
}

fn must_pass(target: &Target, origin: &str, number: usize, bytes: &[u8]) {
    let run = catch_unwind(|| (target.run)(bytes));
    assert!(
        run.is_ok(),
        "{} breaks on {origin} {number}: {}",
        target.name,
        bytes.escape_ascii()
    );
}

#[test]
fn no_kept_input_and_no_seed_breaks_a_promise() {
    for target in TARGETS {
        for (number, seed) in (target.seeds)().iter().enumerate() {
            must_pass(target, "seed", number, seed);
        }
        let path = fuzz_directory().join("corpus").join(target.name);
        let packed = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let inputs = pack::unpack(&packed).expect("a whole corpus");
        assert!(!inputs.is_empty(), "the corpus of {} is empty", target.name);
        for (number, input) in inputs.into_iter().enumerate() {
            must_pass(target, "kept input", number, input);
        }
    }
}

#[test]
fn every_target_has_its_shell_and_every_shell_its_target() {
    let mut shells: Vec<String> = fs::read_dir(fuzz_directory().join("fuzz_targets"))
        .expect("shells")
        .map(|entry| {
            entry
                .expect("an entry")
                .path()
                .file_stem()
                .expect("a name")
                .display()
                .to_string()
        })
        .collect();
    shells.sort();
    let mut names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    names.sort_unstable();
    assert_eq!(shells, names);
    let manifest = fs::read_to_string(fuzz_directory().join("Cargo.toml")).expect("a manifest");
    for name in names {
        let shell = fuzz_directory().join(format!("fuzz_targets/{name}.rs"));
        let text = fs::read_to_string(shell).expect("a shell");
        assert!(
            text.contains(&format!("headwater_fuzz::run(\"{name}\", ")),
            "{name}"
        );
        assert!(
            manifest.contains(&format!("name = \"{name}\"")),
            "{name} is not built"
        );
    }
}

#[test]
fn two_megabytes_hold_all_corpora() {
    let bytes: u64 = TARGETS
        .iter()
        .filter_map(|target| fs::metadata(fuzz_directory().join("corpus").join(target.name)).ok())
        .map(|corpus| corpus.len())
        .sum();
    assert!(bytes < 2 << 20, "{bytes} bytes");
}
