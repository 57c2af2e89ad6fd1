//! A Headwater that is measured: operator, origin and edge, each a process of its own as users run them.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::clock::now_ns;
use crate::cpu::{self, Cores};
use crate::error::BenchError;
use crate::floor::SocketPlan;
use crate::part::{START_PATIENCE, spawn_on, tied};
use crate::port;
use crate::tls::Pair;

/// Which of them has the server's cores for itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Measured {
    /// The edge.
    #[default]
    Edge,
    /// The origin.
    Origin,
}

/// What differs from the defaults.
#[derive(Clone, Debug, Default)]
pub struct FleetPlan {
    /// The process that is measured.
    pub measured: Measured,
    /// `edge.tick`; empty: as configured.
    pub tick: String,
    /// `edge.socket`.
    pub socket: SocketPlan,
    /// What the edge shows on a port of HTTPS; `None`: it has none.
    pub tls: Option<Pair>,
    /// More flags for the edge.
    pub edge_flags: Vec<String>,
    /// More flags for the origin.
    pub origin_flags: Vec<String>,
}

/// The processes; dropping it ends them.
#[derive(Debug)]
pub struct Fleet {
    operator: Member,
    origin: Member,
    edge: Member,
    /// Where publishers go.
    pub rtmp: SocketAddr,
    /// Where viewers go.
    pub http: SocketAddr,
    /// The same over HTTPS, if the plan has a certificate.
    pub https: SocketAddr,
    logs: PathBuf,
}

/// What a process holds.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// In all.
    pub resident_bytes: u64,
    /// Of it, the rings of its streams: payloads and the tables of their tags.
    pub ring_bytes: u64,
}

impl Memory {
    /// What is not in rings.
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    pub fn beside_rings(self) -> f64 {
        self.resident_bytes as f64 - self.ring_bytes as f64
    }
}

/// What the processes that carry media hold.
#[derive(Clone, Copy, Debug)]
pub struct FleetMemory {
    /// The edge.
    pub edge: Memory,
    /// The origin.
    pub origin: Memory,
}

const RING_BYTES: &str = "headwater_hub_ring_bytes";

/// A role as a process; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Member {
    name: &'static str,
    child: Child,
    admin: SocketAddr,
    log: PathBuf,
}

impl Fleet {
    /// Starts them and waits until they are ready: the measured one on `server_cores`, the others on `other_cores`.
    ///
    /// # Errors
    /// If one of them does not start; its last words are part of the error.
    pub fn start(
        program: &Path,
        server_cores: &Cores,
        other_cores: &Cores,
        plan: &FleetPlan,
    ) -> Result<Fleet, BenchError> {
        let [
            operator,
            rtmp,
            origin,
            origin_admin,
            http,
            https,
            edge,
            edge_admin,
            operator_admin,
        ] = free_addresses()?;
        let (edge_cores, origin_cores) = match plan.measured {
            Measured::Edge => (server_cores, other_cores),
            Measured::Origin => (other_cores, server_cores),
        };
        let logs = log_directory()?;
        let operators = format!("[\"{operator}\"]");
        let start = |name: &'static str, cores: &Cores, admin: SocketAddr, flags: &[String]| {
            let mut flags = flags.to_vec();
            flags.push(flag("admin-listen", &admin));
            Member::start(program, name, cores, admin, &flags, &logs)
        };
        let operator_member = start(
            "operator",
            other_cores,
            operator_admin,
            &[flag("operator-listen", &operator)],
        )?;
        let mut origin_flags = vec![
            flag("origin-listen", &rtmp),
            flag("origin-internal-listen", &origin),
            flag("location-operators", &operators),
        ];
        origin_flags.extend(plan.origin_flags.iter().cloned());
        let origin_member = start("origin", origin_cores, origin_admin, &origin_flags)?;
        let mut edge_flags = vec![
            flag("edge-http-listen", &http),
            flag("edge-internal-listen", &edge),
            flag("edge-rtmp-listen", &""),
            flag("location-operators", &operators),
            // All viewers come from this machine.
            flag("edge-limits-connections-per-address", &1_000_000),
        ];
        if !plan.tick.is_empty() {
            edge_flags.push(flag("edge-tick", &plan.tick));
        }
        if plan.socket.send_buffer_bytes > 0 {
            edge_flags.push(flag(
                "edge-socket-send-buffer-bytes",
                &plan.socket.send_buffer_bytes,
            ));
        }
        if plan.socket.notsent_lowat_bytes > 0 {
            edge_flags.push(flag(
                "edge-socket-notsent-lowat-bytes",
                &plan.socket.notsent_lowat_bytes,
            ));
        }
        if !plan.socket.congestion.is_empty() {
            edge_flags.push(flag("edge-socket-congestion", &plan.socket.congestion));
        }
        if let Some(pair) = &plan.tls {
            for (name, text) in [("certificate", &pair.certificate), ("key", &pair.key)] {
                let file = logs.join(format!("{name}.pem"));
                std::fs::write(&file, text)
                    .map_err(|e| BenchError::io(format!("writing {}", file.display()), e))?;
                edge_flags.push(flag(&format!("tls-{name}-file"), &file.display()));
            }
            edge_flags.push(flag("edge-https-listen", &https));
        }
        edge_flags.extend(plan.edge_flags.iter().cloned());
        let edge_member = start("edge", edge_cores, edge_admin, &edge_flags)?;
        let mut fleet = Fleet {
            operator: operator_member,
            origin: origin_member,
            edge: edge_member,
            rtmp,
            http,
            https,
            logs,
        };
        fleet.operator.ready()?;
        fleet.origin.ready()?;
        fleet.edge.ready()?;
        Ok(fleet)
    }

    /// The edge's process.
    pub fn edge_pid(&self) -> u32 {
        self.edge.child.id()
    }

    /// The origin's process.
    pub fn origin_pid(&self) -> u32 {
        self.origin.child.id()
    }

    /// What the edge and the origin hold now.
    ///
    /// # Errors
    /// If one of them does not say.
    pub fn memory(&self) -> Result<FleetMemory, BenchError> {
        Ok(FleetMemory {
            edge: self.edge.memory()?,
            origin: self.origin.memory()?,
        })
    }

    /// All processes, the edge first.
    pub fn pids(&self) -> [u32; 3] {
        [
            self.edge.child.id(),
            self.origin.child.id(),
            self.operator.child.id(),
        ]
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        // The logs are for whoever asks why a start failed; the error has said it by now.
        let _ = std::fs::remove_dir_all(&self.logs);
    }
}

impl Member {
    /// Starts the role `name` on `cores`; what it says goes to a file in `logs`.
    ///
    /// # Errors
    /// If there is no process.
    pub(crate) fn start(
        program: &Path,
        name: &'static str,
        cores: &Cores,
        admin: SocketAddr,
        flags: &[String],
        logs: &Path,
    ) -> Result<Member, BenchError> {
        let log = logs.join(name);
        let file = File::create(&log)
            .map_err(|e| BenchError::io(format!("making {}", log.display()), e))?;
        let mut command = tied(program);
        command
            .arg(name)
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file);
        let child = spawn_on(cores, &mut command, name)?;
        Ok(Member {
            name,
            child,
            admin,
            log,
        })
    }

    /// Waits until it is ready.
    ///
    /// # Errors
    /// If it is not in good time; its last words are part of the error.
    pub(crate) fn ready(&mut self) -> Result<(), BenchError> {
        let deadline =
            now_ns().saturating_add(u64::try_from(START_PATIENCE.as_nanos()).unwrap_or(u64::MAX));
        while !is_ready(self.admin) {
            let ended = self.child.try_wait().ok().flatten().is_some();
            if ended || now_ns() > deadline {
                let said = std::fs::read_to_string(&self.log).unwrap_or_default();
                let last = said.lines().last().unwrap_or("it said nothing");
                return Err(BenchError::part(format!(
                    "the {} is not ready: {last}",
                    self.name
                )));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Member {
    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn memory(&self) -> Result<Memory, BenchError> {
        let resident_bytes = cpu::resident_bytes(self.child.id());
        let metrics = ask(self.admin, "/metrics")
            .map_err(|e| BenchError::io(format!("asking the {} for its metrics", self.name), e))?;
        let ring_bytes = metric(&metrics, RING_BYTES, self.name).ok_or_else(|| {
            BenchError::part(format!("the {} does not count {RING_BYTES}", self.name))
        })?;
        Ok(Memory {
            resident_bytes,
            ring_bytes,
        })
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // A drain would wait for viewers; nobody needs it here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn flag(name: &str, value: &impl ToString) -> String {
    format!("--{name}={}", value.to_string())
}

/// A new directory for what processes say.
pub(crate) fn log_directory() -> Result<PathBuf, BenchError> {
    let logs =
        std::env::temp_dir().join(format!("headwater-bench-{}-{}", cpu::own_pid(), now_ns()));
    std::fs::create_dir_all(&logs)
        .map_err(|e| BenchError::io(format!("making {}", logs.display()), e))?;
    Ok(logs)
}

fn is_ready(admin: SocketAddr) -> bool {
    ask(admin, "/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// The whole answer to a GET of `path`.
fn ask(admin: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut socket = TcpStream::connect_timeout(&admin, Duration::from_secs(1))?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes())?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The value of a metric of `role` in an answer of `/metrics`.
fn metric(answer: &str, name: &str, role: &str) -> Option<u64> {
    let sample = format!("{name}{{role=\"{role}\"}} ");
    answer
        .lines()
        .find_map(|line| line.strip_prefix(&sample)?.parse().ok())
}

/// Addresses on loopback whose ports are free now.
pub(crate) fn free_addresses<const N: usize>() -> Result<[SocketAddr; N], BenchError> {
    let mut addresses = [SocketAddr::from(([127, 0, 0, 1], 0)); N];
    for address in &mut addresses {
        address.set_port(port::free()?);
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metric_of_the_role_is_read() {
        let answer =
            "HTTP/1.1 200 OK\r\n\r\n# TYPE a gauge\na{role=\"edge\"} 5\na{role=\"origin\"} 7\n";
        assert_eq!(metric(answer, "a", "origin"), Some(7));
        assert_eq!(metric(answer, "b", "origin"), None);
    }
}
