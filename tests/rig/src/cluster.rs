//! The processes of a small cluster with a static member list.

use std::path::Path;

use anyhow::Context as _;

use crate::process::{LOOK_AGAIN, Process};
use crate::{SOON, port};

/// An origin and where publishers reach it.
#[derive(Debug)]
pub struct Origin {
    /// The process.
    pub process: Process,
    /// `host:port` of its RTMP port.
    pub rtmp: String,
    /// `host:port` of its internal port.
    pub internal: String,
    /// What it calls itself.
    pub id: String,
}

/// An edge and where viewers reach it.
#[derive(Debug)]
pub struct Edge {
    /// The process.
    pub process: Process,
    /// `host:port` of its HTTP port.
    pub http: String,
    /// `host:port` of its RTMP port.
    pub rtmp: String,
    /// `host:port` of its internal port.
    pub internal: String,
    /// What it calls itself.
    pub id: String,
}

/// A cluster of processes on loopback with a static member list.
#[derive(Debug)]
pub struct Cluster {
    /// `operator-N`.
    pub operators: Vec<Process>,
    /// Addresses of the operators' gRPC ports.
    pub operator_addresses: Vec<String>,
    /// `origin-N`.
    pub origins: Vec<Origin>,
    /// `edge-N`.
    pub edges: Vec<Edge>,
}

/// How large a cluster is, and what its processes are told besides their addresses.
#[derive(Clone, Debug)]
pub struct Size {
    /// Origins.
    pub origins: usize,
    /// Edges.
    pub edges: usize,
    /// Operators.
    pub operators: usize,
    /// Settings of every process, as flags.
    pub settings: Vec<String>,
    /// Settings of origins besides, as flags.
    pub origin_settings: Vec<String>,
    /// Settings of edges besides, as flags.
    pub edge_settings: Vec<String>,
    /// The edges' region; origins are in one called `home`, and one edge pulls for all. Empty: there are no regions.
    pub edge_region: String,
}

impl Size {
    fn region(&self, role: &str) -> &str {
        match role {
            "edge" => &self.edge_region,
            "origin" if !self.edge_region.is_empty() => "home",
            _ => "",
        }
    }
}

impl Default for Size {
    fn default() -> Size {
        Size {
            origins: 3,
            edges: 2,
            operators: 1,
            settings: Vec::new(),
            origin_settings: Vec::new(),
            edge_settings: Vec::new(),
            edge_region: String::new(),
        }
    }
}

/// Where a process of a cluster runs.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// What stands before its command, such as `ip netns exec NAME`.
    pub before: Vec<String>,
    /// Its own address, on which it has all ports for itself; none: loopback, with ports that are free.
    pub host: Option<String>,
}

impl Place {
    fn address(&self, port: u16) -> String {
        match &self.host {
            Some(host) => format!("{host}:{port}"),
            None => port::address(),
        }
    }

    fn start(&self, binary: &Path, words: &[String]) -> anyhow::Result<Process> {
        let mut command: Vec<String> = self.before.clone();
        command.push(binary.display().to_string());
        command.extend_from_slice(words);
        let (program, args) = command.split_first().context("no command")?;
        Process::start_at(Path::new(program), args, self.address(9_190))
    }
}

impl Cluster {
    /// Starts `size` processes of `binary` on loopback and waits until all are ready.
    ///
    /// # Errors
    /// If one does not start.
    pub async fn start(binary: &Path, size: &Size) -> anyhow::Result<Cluster> {
        Cluster::start_at(binary, size, |_, _| Place::default()).await
    }

    /// As [`Cluster::start`], each process at the place of its role and number.
    ///
    /// # Errors
    /// If one does not start.
    pub async fn start_at(
        binary: &Path,
        size: &Size,
        place: impl Fn(&str, usize) -> Place,
    ) -> anyhow::Result<Cluster> {
        let addresses = |role: &str, count: usize, port: u16| -> Vec<String> {
            (0..count)
                .map(|number| place(role, number).address(port))
                .collect()
        };
        let operator_addresses = addresses("operator", size.operators, 7_100);
        let origins = addresses("origin", size.origins, 7_000);
        let edges = addresses("edge", size.edges, 7_001);
        let member = |role: &str, number: usize, internal: &str| {
            let region = size.region(role);
            format!(
                "{{id: {role}-{number}, role: {role}, internal: \"{internal}\", region: \"{region}\"}}"
            )
        };
        let list = |role, internals: &[String]| -> Vec<String> {
            internals
                .iter()
                .enumerate()
                .map(|(number, internal)| member(role, number, internal))
                .collect()
        };
        let members = [list("origin", &origins), list("edge", &edges)]
            .concat()
            .join(", ");
        let location = |id: String, internal: &str| {
            [
                format!("--location-id={id}"),
                format!("--location-advertise={internal}"),
                format!("--location-members=[{members}]"),
                format!("--location-operators=[{}]", quoted(&operator_addresses)),
            ]
        };
        let run = |place: &Place, words: Vec<String>| {
            place.start(binary, &[words, size.settings.clone()].concat())
        };
        let mut cluster = Cluster {
            operators: Vec::new(),
            operator_addresses: operator_addresses.clone(),
            origins: Vec::new(),
            edges: Vec::new(),
        };
        for (number, address) in operator_addresses.iter().enumerate() {
            let words = vec![
                "operator".to_owned(),
                format!("--operator-listen={address}"),
                format!("--operator-id=operator-{number}"),
            ];
            cluster
                .operators
                .push(run(&place("operator", number), words)?);
        }
        for (number, internal) in origins.iter().enumerate() {
            let place = place("origin", number);
            let rtmp = place.address(1_935);
            let id = format!("origin-{number}");
            let mut words = vec![
                "origin".to_owned(),
                format!("--origin-listen={rtmp}"),
                format!("--origin-internal-listen={internal}"),
            ];
            words.extend(location(id.clone(), internal));
            words.push(format!("--location-region={}", size.region("origin")));
            words.extend_from_slice(&size.origin_settings);
            let process = run(&place, words)?;
            cluster.origins.push(Origin {
                process,
                rtmp,
                internal: internal.clone(),
                id,
            });
        }
        for (number, internal) in edges.iter().enumerate() {
            let place = place("edge", number);
            let (http, rtmp) = (place.address(8_080), place.address(1_936));
            let id = format!("edge-{number}");
            let mut words = vec![
                "edge".to_owned(),
                format!("--edge-http-listen={http}"),
                format!("--edge-rtmp-listen={rtmp}"),
                format!("--edge-internal-listen={internal}"),
            ];
            words.extend(location(id.clone(), internal));
            words.push(format!("--location-region={}", size.region("edge")));
            words.extend_from_slice(&size.edge_settings);
            let process = run(&place, words)?;
            cluster.edges.push(Edge {
                process,
                http,
                rtmp,
                internal: internal.clone(),
                id,
            });
        }
        cluster.ready().await?;
        Ok(cluster)
    }

    /// Waits until every process that runs is ready.
    ///
    /// # Errors
    /// If one is not.
    pub async fn ready(&mut self) -> anyhow::Result<()> {
        let operators = self.operators.iter_mut();
        let origins = self.origins.iter_mut().map(|origin| &mut origin.process);
        let edges = self.edges.iter_mut().map(|edge| &mut edge.process);
        for process in operators.chain(origins).chain(edges) {
            if process.pid().is_some() {
                process.ready().await?;
            }
        }
        Ok(())
    }

    /// The members that carry the stream `key` (`default/live/room`), as its origins tell: (ingress, home).
    ///
    /// # Errors
    /// If no origin knows both within [`SOON`].
    pub async fn placed(&self, key: &str) -> anyhow::Result<(String, String)> {
        let find = async {
            loop {
                for origin in self
                    .origins
                    .iter()
                    .filter(|origin| origin.process.pid().is_some())
                {
                    if let Some(placed) = placed_at(origin, key).await {
                        return placed;
                    }
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        tokio::time::timeout(SOON, find)
            .await
            .with_context(|| format!("{key} has no home"))
    }

    /// Waits until every operator that runs knows the home of the stream `key`: an origin that has just been started
    /// takes publishers before it has told anybody.
    ///
    /// # Errors
    /// If one does not know it within [`SOON`].
    pub async fn known(&self, key: &str) -> anyhow::Result<()> {
        for operator in self.operators.iter().filter(|it| it.pid().is_some()) {
            let known = async {
                while !is_known_at(operator, key).await {
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
            };
            tokio::time::timeout(SOON, known)
                .await
                .with_context(|| format!("an operator does not know {key}"))?;
        }
        Ok(())
    }

    /// The origin that calls itself `id`.
    ///
    /// # Errors
    /// If there is none.
    pub fn origin(&mut self, id: &str) -> anyhow::Result<&mut Origin> {
        self.origins
            .iter_mut()
            .find(|origin| origin.id == id)
            .with_context(|| format!("no origin {id}"))
    }
}

async fn is_known_at(operator: &Process, key: &str) -> bool {
    let Ok(streams) = operator.streams().await else {
        return false;
    };
    let streams = streams.get("operator").and_then(|it| it.as_array());
    streams.into_iter().flatten().any(|stream| {
        let homes = stream.get("homes").and_then(|it| it.as_array());
        stream.get("key").and_then(|it| it.as_str()) == Some(key)
            && homes.is_some_and(|homes| !homes.is_empty())
    })
}

async fn placed_at(origin: &Origin, key: &str) -> Option<(String, String)> {
    let streams = origin.process.streams().await.ok()?;
    let stream = streams.get("origin")?.as_array()?.iter().find(|stream| {
        stream.get("key").and_then(|it| it.as_str()) == Some(key)
            && stream.get("state").and_then(|it| it.as_str()) == Some("live")
            && stream
                .get("role")
                .and_then(|it| it.as_str())
                .is_some_and(|role| role.starts_with("ingress"))
    })?;
    let text = |name: &str| stream.get(name)?.as_str().map(str::to_owned);
    Some((text("ingress")?, text("home")?))
}

fn quoted(words: &[String]) -> String {
    words
        .iter()
        .map(|word| format!("\"{word}\""))
        .collect::<Vec<_>>()
        .join(", ")
}
