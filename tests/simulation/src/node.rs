//! A process of the cluster: its role, started as the binary starts it.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use headwater_admission::{Admission, AdmissionConfig};
use headwater_edge::{Edge, EdgeConfig, EdgeDeps};
use headwater_location::claim::OnDuplicate;
use headwater_location::{LocationConfig, Locator, Role};
use headwater_operator::{Deps, Operator, OperatorConfig};
use headwater_origin::{Origin, OriginConfig, OriginDeps};
use headwater_process::config::Tick;
use headwater_process::drain::Drain;
use headwater_process::metrics::Registry;

use crate::machine::Process;
use crate::network::Network;
use crate::seed::Seed;

/// What a process of the cluster is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Operator,
    Origin,
    Edge,
}

/// Which process of the cluster it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) kind: Kind,
    pub(crate) index: usize,
}

impl Place {
    pub(crate) fn name(self) -> String {
        let kind = match self.kind {
            Kind::Operator => "operator",
            Kind::Origin => "origin",
            Kind::Edge => "edge",
        };
        format!("{kind}-{}", self.index)
    }

    pub(crate) fn ip(self) -> IpAddr {
        let net = match self.kind {
            Kind::Operator => 1,
            Kind::Origin => 2,
            Kind::Edge => 3,
        };
        let host = u8::try_from(self.index + 1).unwrap();
        IpAddr::V4(Ipv4Addr::new(10, 0, net, host))
    }
}

/// A process that lives.
pub(crate) struct Alive {
    pub(crate) process: Process,
    /// Its own view of itself, if it is an operator.
    pub(crate) operator: Option<Operator>,
    /// And if it is an origin.
    pub(crate) origin: Option<Origin>,
    pub(crate) registry: Registry,
    pub(crate) drain: Drain,
}

/// What all processes of a kind are told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// What origins do with a publisher that comes back while its old line looks alive.
    pub(crate) on_duplicate: OnDuplicate,
    /// At which tick publishers are read that nobody hurries; `None`: these are too few for one.
    pub(crate) origin_tick: Option<Duration>,
    /// At which tick viewers are written to; `None`: these are so few that edges read each tag at once.
    pub(crate) edge_tick: Option<Duration>,
    /// Whether edges are in another region than origins, so that one of them pulls for all.
    pub(crate) regions: bool,
}

/// Starts the process of `place`.
pub(crate) fn start(
    place: Place,
    operators: usize,
    network: &Network,
    now_us: u64,
    skew_ms: i64,
    seed: Seed,
    settings: Settings,
) -> Alive {
    let process = Process::new(network, &place.name(), place.ip(), now_us, skew_ms, seed);
    let registry = Registry::new().unwrap();
    let drain = Drain::new(Duration::from_secs(5));
    let region = match place.kind {
        Kind::Origin if settings.regions => "north",
        Kind::Edge if settings.regions => "south",
        Kind::Origin | Kind::Edge | Kind::Operator => "",
    };
    let location = LocationConfig {
        region: region.to_owned(),
        operators: (0..operators)
            .map(|index| {
                let kind = Kind::Operator;
                format!("{}:7100", Place { kind, index }.ip())
            })
            .collect(),
        id: place.name(),
        ..LocationConfig::default()
    };
    let driven = drain.clone();
    process.spawn(async move { driven.drive(async || std::future::pending().await).await });
    let internal = |port: u16| format!("{}:{port}", place.ip());
    let join = |role, port| {
        let me = location.member(role, &internal(port));
        let locator = Locator::start(&location, me, &registry).unwrap();
        let (standing, drain) = (locator.clone(), drain.clone());
        tokio::spawn(async move {
            drain.draining().await;
            standing.set_standing(false, true);
        });
        locator
    };
    let admission = || Admission::new(&AdmissionConfig::default(), &registry).unwrap();
    let (operator, origin) = process.run(async {
        match place.kind {
            Kind::Operator => {
                let config = OperatorConfig {
                    id: place.name(),
                    listen: ":7100".to_owned(),
                    ..OperatorConfig::default()
                };
                let deps = Deps {
                    registry: registry.clone(),
                    drain: drain.clone(),
                };
                let operator = Operator::start(&config, deps).await.unwrap();
                (Some(operator), None)
            }
            Kind::Origin => {
                let config = OriginConfig {
                    on_duplicate: settings.on_duplicate,
                    tick: Tick(settings.origin_tick),
                    ..OriginConfig::default()
                };
                let ports = headwater_origin::Ports::open(&config).await.unwrap();
                let deps = OriginDeps {
                    locator: join(Role::Origin, 7000),
                    admission: admission(),
                    metrics: registry.clone(),
                    drain: drain.clone(),
                    admin: None,
                };
                let origin = Origin::start(config, ports, deps).unwrap();
                (None, Some(origin))
            }
            Kind::Edge => {
                let config = EdgeConfig {
                    // All that happens is to happen in the one thread of the world.
                    writer_threads: 1,
                    tick: Tick(settings.edge_tick),
                    ..EdgeConfig::default()
                };
                let ports = headwater_edge::Ports::open(&config).await.unwrap();
                let deps = EdgeDeps {
                    finder: Arc::new(join(Role::Edge, 7001)),
                    admission: admission(),
                    metrics: registry.clone(),
                    drain: drain.clone(),
                    admin: None,
                };
                Edge::start(config, ports, deps).unwrap();
                (None, None)
            }
        }
    });
    Alive {
        process,
        operator,
        origin,
        registry,
        drain,
    }
}
