//! What those who live through it all hold, looked at every few seconds.

use std::fmt::Write as _;
use std::time::Duration;

use headwater_rig::http;

use crate::plot::plot;

/// What is looked at, the title of its panel, and what it may grow by besides a tenth.
const GAUGES: [(&str, &str, f64); 9] = [
    (
        "process_resident_memory_bytes",
        "resident, MiB",
        4_194_304.0,
    ),
    ("process_open_fds", "open files", 20.0),
    ("headwater_process_tasks", "tasks", 20.0),
    ("headwater_hub_streams", "streams in the hub", 5.0),
    ("headwater_hub_ring_bytes", "rings, MiB", 4_194_304.0),
    ("headwater_edge_pulls", "pulls", 5.0),
    ("headwater_origin_publishers", "publishers", 20.0),
    ("headwater_operator_streams", "streams in the ledger", 5.0),
    ("headwater_operator_members", "members", 1.0),
];

/// One process: its role, its admin port, and for each gauge what was seen when.
struct Seen {
    role: &'static str,
    admin: String,
    values: Vec<Vec<(f64, f64)>>,
}

pub(crate) struct Witness(Vec<Seen>);

impl Witness {
    pub(crate) fn new(processes: impl IntoIterator<Item = (&'static str, String)>) -> Witness {
        let seen = processes.into_iter().map(|(role, admin)| Seen {
            role,
            admin,
            values: vec![Vec::new(); GAUGES.len()],
        });
        Witness(seen.collect())
    }

    /// Looks at all, `at` from the beginning.
    pub(crate) async fn look(&mut self, at: Duration) {
        for seen in &mut self.0 {
            let (_, metrics) = http::get(&seen.admin, "/metrics").await.unwrap();
            for ((name, ..), values) in GAUGES.iter().zip(&mut seen.values) {
                let value = metrics
                    .lines()
                    .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
                if let Some(value) = value {
                    values.push((at.as_secs_f64(), value.parse().unwrap()));
                }
            }
        }
    }

    /// Writes what was seen to the files that the environment names.
    pub(crate) fn write(&self) {
        if let Ok(path) = std::env::var("SOAK_CSV") {
            let mut rows = "process,gauge,seconds,value\n".to_owned();
            self.each(|role, gauge, values| {
                for (at, value) in values {
                    writeln!(rows, "{role},{},{at:.0},{value}", gauge.0).unwrap();
                }
            });
            std::fs::write(path, rows).unwrap();
        }
        if let Ok(path) = std::env::var("SOAK_SVG") {
            let mut panels = Vec::new();
            self.each(|role, gauge, values| {
                let scale = if gauge.1.ends_with("MiB") {
                    1_048_576.0
                } else {
                    1.0
                };
                let points = values.iter().map(|(at, it)| (at / 60.0, it / scale));
                panels.push((format!("{role}: {}", gauge.1), points.collect::<Vec<_>>()));
            });
            std::fs::write(path, plot(&panels)).unwrap();
        }
    }

    /// Nothing is a tenth more in the last quarter than in the second one, which is behind the start.
    pub(crate) fn is_flat(&self) {
        let mut grown = Vec::new();
        self.each(|role, (name, _, slack), values| {
            let quarter = values.len() / 4;
            let mean = |part: &[(f64, f64)]| {
                let sum: f64 = part.iter().map(|it| it.1).sum();
                sum / f64::from(u32::try_from(part.len().max(1)).unwrap())
            };
            let before = mean(&values[quarter..2 * quarter]);
            let after = mean(&values[values.len() - quarter..]);
            crate::say(&format!(
                "{role} {name}: {before:.0} in the second quarter, {after:.0} in the last"
            ));
            if after > before * 1.1 + slack {
                grown.push(format!("{role} {name}: from {before:.0} to {after:.0}"));
            }
        });
        assert!(grown.is_empty(), "{grown:#?}");
    }

    fn each(&self, mut see: impl FnMut(&str, (&str, &str, f64), &[(f64, f64)])) {
        for seen in &self.0 {
            for (gauge, values) in GAUGES.iter().zip(&seen.values) {
                if !values.is_empty() {
                    see(seen.role, *gauge, values);
                }
            }
        }
    }
}
