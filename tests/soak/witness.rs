//! What those who live through it all hold, looked at every few seconds.

use std::fmt::Write as _;
use std::time::Duration;

use headwater_rig::http;

use crate::plot::plot;

/// What is looked at in the processes of a role.
struct Gauge {
    roles: &'static [&'static str],
    name: &'static str,
    /// Of its panel.
    title: &'static str,
    /// What it may grow by besides a tenth.
    slack: f64,
}

const fn gauge(
    roles: &'static [&'static str],
    name: &'static str,
    title: &'static str,
    slack: f64,
) -> Gauge {
    Gauge {
        roles,
        name,
        title,
        slack,
    }
}

const MIB: f64 = 1_048_576.0;
const ALL: &[&str] = &["origin", "edge", "operator"];
const MEDIA: &[&str] = &["origin", "edge"];

const GAUGES: [Gauge; 9] = [
    gauge(
        ALL,
        "process_resident_memory_bytes",
        "resident, MiB",
        4.0 * MIB,
    ),
    gauge(ALL, "process_open_fds", "open files", 20.0),
    gauge(ALL, "headwater_process_tasks", "tasks", 20.0),
    gauge(MEDIA, "headwater_hub_streams", "streams in the hub", 5.0),
    gauge(MEDIA, "headwater_hub_ring_bytes", "rings, MiB", 4.0 * MIB),
    gauge(&["edge"], "headwater_edge_pulls", "pulls", 5.0),
    gauge(
        &["origin"],
        "headwater_origin_publishers",
        "publishers",
        20.0,
    ),
    gauge(
        &["operator"],
        "headwater_operator_streams",
        "streams in the ledger",
        5.0,
    ),
    gauge(&["operator"], "headwater_operator_members", "members", 1.0),
];

/// The sum of all that are called `name`, whatever labels they have; `None` if there is none.
fn sum(metrics: &str, name: &str) -> Option<f64> {
    let values = metrics.lines().filter_map(|line| {
        let behind = line.strip_prefix(name)?;
        let value = match behind.strip_prefix('{') {
            Some(labels) => labels.rsplit_once("} ")?.1,
            None => behind.strip_prefix(' ')?,
        };
        Some(value.parse::<f64>().unwrap())
    });
    values.reduce(|sum, value| sum + value)
}

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
            for (gauge, values) in GAUGES.iter().zip(&mut seen.values) {
                if !gauge.roles.contains(&seen.role) {
                    continue;
                }
                let name = gauge.name;
                let value = sum(&metrics, name)
                    .unwrap_or_else(|| panic!("{} has no {name}:\n{metrics}", seen.role));
                values.push((at.as_secs_f64(), value));
            }
        }
    }

    /// Writes what was seen to the files that the environment names.
    pub(crate) fn write(&self) {
        if let Ok(path) = std::env::var("SOAK_CSV") {
            let mut rows = "process,gauge,seconds,value\n".to_owned();
            self.each(|role, gauge, values| {
                for (at, value) in values {
                    writeln!(rows, "{role},{},{at:.0},{value}", gauge.name).unwrap();
                }
            });
            std::fs::write(path, rows).unwrap();
        }
        if let Ok(path) = std::env::var("SOAK_SVG") {
            let mut panels = Vec::new();
            self.each(|role, gauge, values| {
                let scale = if gauge.title.ends_with("MiB") {
                    MIB
                } else {
                    1.0
                };
                let points = values.iter().map(|(at, it)| (at / 60.0, it / scale));
                panels.push((
                    format!("{role}: {}", gauge.title),
                    points.collect::<Vec<_>>(),
                ));
            });
            std::fs::write(path, plot(&panels)).unwrap();
        }
    }

    /// Nothing is a tenth more in the last quarter than in the second one, which is behind the start.
    pub(crate) fn is_flat(&self) {
        let mut grown = Vec::new();
        self.each(|role, Gauge { name, slack, .. }, values| {
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
            if after > before * 1.1 + *slack {
                grown.push(format!("{role} {name}: from {before:.0} to {after:.0}"));
            }
        });
        assert!(grown.is_empty(), "{grown:#?}");
    }

    fn each(&self, mut see: impl FnMut(&str, &Gauge, &[(f64, f64)])) {
        for seen in &self.0 {
            for (gauge, values) in GAUGES.iter().zip(&seen.values) {
                if !values.is_empty() {
                    see(seen.role, gauge, values);
                }
            }
        }
    }
}

#[test]
fn a_gauge_is_the_sum_over_its_labels_and_of_no_other_name() {
    let metrics =
        "members_max 9\nmembers{kind=\"a\",role=\"b\"} 2\nmembers{kind=\"c\"} 3\nstreams 4\n";
    assert_eq!(sum(metrics, "members"), Some(5.0));
    assert_eq!(sum(metrics, "streams"), Some(4.0));
    assert_eq!(sum(metrics, "pulls"), None);
}
