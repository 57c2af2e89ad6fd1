//! Running seeds: each world in a process of its own, so that nothing of another one shows in it.

use std::io::Write as _;
use std::ops::Range;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::timeline::Timeline;
use crate::{kernel, world};

/// Runs without a request for more.
const SEEDS: Range<u64> = 0..10;
/// A world that has not ended by then stands still; the largest takes a tenth of it.
const PATIENCE: Duration = Duration::from_secs(200);

/// The world that this process is for.
const WORLD: &str = "HEADWATER_SIMULATION_WORLD";
/// What the last lines of a world's process begin with.
const TAGS: &str = "== tags: ";
const BELOW: &str = "== below: ";
const VIOLATION: &str = "== broken: ";

/// What came of a world.
#[derive(Debug, Default)]
struct Outcome {
    timeline: String,
    tags: u64,
    below: u64,
    violations: Vec<String>,
}

/// Not a test by itself: the process of one world, which [`live`] starts.
#[test]
fn world() {
    let Ok(number) = std::env::var(WORLD) else {
        return;
    };
    let number: u64 = number.parse().unwrap();
    kernel::follow(number);
    let timeline = Timeline::default();
    let filter = std::env::var("HEADWATER_SIMULATION_LOG");
    tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|_| "info,h2=off,hyper=off".to_owned()))
        .with_writer(timeline.clone())
        .with_ansi(false)
        .without_time()
        .init();
    let (tell, told) = mpsc::sync_channel(1);
    let seen = timeline.clone();
    thread::Builder::new()
        .name(format!("world-{number}"))
        .spawn(move || tell.send(world::run(number, &seen)))
        .unwrap();
    // A task that never rests keeps its thread for ever.
    let outcome = told
        .recv_timeout(PATIENCE)
        .unwrap_or_else(|error| world::Outcome {
            violations: vec![format!("the world does not end: {error}")],
            tags: 0,
            below: 0,
        });
    let mut out = std::io::stdout().lock();
    write!(out, "\n{}{TAGS}{}\n", timeline.text(), outcome.tags).unwrap();
    writeln!(out, "{BELOW}{}", outcome.below).unwrap();
    for violation in outcome.violations {
        writeln!(out, "{VIOLATION}{violation}").unwrap();
    }
    out.flush().unwrap();
    std::process::exit(0);
}

/// Lives through the world of `number`.
fn live(number: u64) -> Outcome {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "seeds::world", "--nocapture"])
        .env(WORLD, number.to_string())
        .output()
        .unwrap();
    let mut outcome = Outcome::default();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (timeline, result) = text.split_once(TAGS).unwrap_or((&text, "0"));
    outcome.timeline = timeline.to_owned();
    let mut lines = result.lines();
    outcome.tags = lines.next().unwrap_or_default().parse().unwrap();
    let below = lines.next().and_then(|line| line.strip_prefix(BELOW));
    outcome.below = below.map_or(0, |count| count.parse().unwrap());
    outcome.violations = lines
        .filter_map(|line| Some(line.strip_prefix(VIOLATION)?.to_owned()))
        .collect();
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let text = format!("its process ended with {}: {errors}", output.status);
        outcome.violations.push(text);
    }
    outcome
}

/// The seeds that were asked for.
fn asked() -> Range<u64> {
    let Ok(text) = std::env::var("HEADWATER_SIMULATION_SEEDS") else {
        return SEEDS;
    };
    let (first, end) = match text.split_once("..") {
        Some((first, end)) => (first.parse().unwrap(), end.parse().unwrap()),
        None => {
            let one: u64 = text.parse().unwrap();
            (one, one + 1)
        }
    };
    first..end
}

#[test]
fn seeds_keep_the_promises() {
    let seeds = asked();
    let first = std::env::var_os("HEADWATER_SIMULATION_FIRST").is_some();
    let next = AtomicU64::new(seeds.start);
    let jobs = thread::available_parallelism().map_or(1, usize::from);
    let began = tokio::time::Instant::now();
    let work = || {
        let (mut failed, mut tags, mut below) = (Vec::new(), 0, 0);
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= seeds.end {
                return (failed, tags, below);
            }
            let outcome = live(number);
            tags += outcome.tags;
            below += outcome.below;
            if !outcome.violations.is_empty() {
                failed.push((number, outcome));
                if first {
                    next.store(seeds.end, Ordering::Relaxed);
                }
            }
        }
    };
    let (mut failed, mut tags, mut below) = (Vec::new(), 0, 0);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            let (some, count, numbers) = worker.join().unwrap();
            failed.extend(some);
            tags += count;
            below += numbers;
        }
    });
    failed.sort_by_key(|(number, _)| *number);
    let took_s = began.elapsed().as_secs_f64();
    let text = format!(
        "{} seeds, {} failed, {tags} tags seen, {below} sessions numbered below an older one, {took_s:.0} s",
        seeds.end - seeds.start,
        failed.len(),
    );
    writeln!(std::io::stdout(), "{text}").unwrap();
    if let Some((_, outcome)) = failed.first() {
        writeln!(std::io::stdout(), "{}", outcome.timeline).unwrap();
    }
    let broken: Vec<String> = failed
        .iter()
        .map(|(number, outcome)| format!("seed {number}: {}", outcome.violations.join("; ")))
        .collect();
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn the_same_seed_gives_the_same_timeline_to_the_byte() {
    for number in [3, 9] {
        let [first, second] = [live(number), live(number)];
        let difference = first
            .timeline
            .lines()
            .zip(second.timeline.lines())
            .find(|(one, other)| one != other);
        assert_eq!(difference, None, "seed {number}");
        assert_eq!(first.timeline, second.timeline);
        assert!(first.tags > 1_000, "{}", first.timeline);
    }
}
