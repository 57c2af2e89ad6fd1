//! An edge, put together: its ports, its pulls and those who serve them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use headwater_admission::Admission;
use headwater_delivery::{Cadence, FanoutSettings, Releases, Schedule, WriterThreads};
use headwater_hop::{PullLimits, ServeSettings};
use headwater_hub::Registry as Hub;
use headwater_process::accept::{AcceptMetrics, Acceptor, Closes, Limits, PortMetrics};
use headwater_process::admin::Admin;
use headwater_process::clock;
use headwater_process::drain::Drain;
use headwater_process::metrics::{MetricsError, Registry};
use headwater_process::net::{ListenError, TcpListener, listen};
use headwater_process::tls::{Dialer, Identities, Received, Security};

use crate::config::{ConfigError, EdgeConfig};
use crate::metrics::{AllMetrics, RegisterError};
use crate::play::{self, Cors, House};
use crate::pull::{Finder, Pulls, Upstream};
use crate::seats::Seats;
use crate::{facts, shield};

/// What a connection over a limit hears on the HTTP port.
const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nServer: headwater\r\nRetry-After: 1\r\n\
Access-Control-Allow-Origin: *\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n\
Content-Length: 62\r\n\r\nthis edge has as many connections as it may: try again shortly";

/// Why an edge does not start: one sentence.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A port cannot be opened.
    #[error("edge.{setting}: {source}")]
    Listen {
        /// The setting that names the port.
        setting: &'static str,
        /// Why.
        source: ListenError,
    },
    /// A port has no address.
    #[error("cannot read the address of a port: {0}")]
    Address(#[from] io::Error),
    /// Its metrics are there already.
    #[error(transparent)]
    Metrics(#[from] RegisterError),
}

impl From<MetricsError> for StartError {
    fn from(error: MetricsError) -> StartError {
        StartError::Metrics(error.into())
    }
}

/// The open ports of an edge: known before it starts, so that it can say where it is.
#[derive(Debug)]
pub struct Ports {
    http: TcpListener,
    https: Option<TcpListener>,
    rtmp: Option<TcpListener>,
    internal: TcpListener,
    addresses: Addresses,
    identities: Identities,
}

/// Where an edge listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// HTTP-FLV and WS-FLV.
    pub http: SocketAddr,
    /// The same in TLS, if it has a certificate.
    pub https: Option<SocketAddr>,
    /// RTMP play, if it has such a port.
    pub rtmp: Option<SocketAddr>,
    /// Pulls of other edges.
    pub internal: SocketAddr,
}

async fn open(setting: &'static str, address: &str) -> Result<TcpListener, StartError> {
    let opened = listen(address).await;
    opened.map_err(|source| StartError::Listen { setting, source })
}

impl Ports {
    /// Opens the ports of `config`.
    ///
    /// # Errors
    /// The setting or port that is wrong, in a sentence.
    pub async fn open(config: &EdgeConfig) -> Result<Ports, StartError> {
        Ports::open_as(config, Identities::default()).await
    }

    /// Opens the ports of `config`, HTTPS among them if there is a certificate for people; other roles are spoken to as
    /// `identities` says.
    ///
    /// # Errors
    /// The setting or port that is wrong, in a sentence.
    pub async fn open_as(config: &EdgeConfig, identities: Identities) -> Result<Ports, StartError> {
        config.check()?;
        let http = open("http_listen", &config.http_listen).await?;
        let internal = open("internal_listen", &config.internal_listen).await?;
        let rtmp = match config.rtmp_listen.as_str() {
            "" => None,
            address => Some(open("rtmp_listen", address).await?),
        };
        let https = match config.https_listen.as_str() {
            address if !address.is_empty() && identities.public.is_some() => {
                Some(open("https_listen", address).await?)
            }
            _ => None,
        };
        let addresses = Addresses {
            http: http.local_addr()?,
            https: https.as_ref().map(TcpListener::local_addr).transpose()?,
            rtmp: rtmp.as_ref().map(TcpListener::local_addr).transpose()?,
            internal: internal.local_addr()?,
        };
        Ok(Ports {
            http,
            https,
            rtmp,
            internal,
            addresses,
            identities,
        })
    }

    /// Where they are: the real ports where 0 was asked.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }
}

/// What an edge is given.
pub struct EdgeDeps {
    /// Who knows where streams are: the locator.
    pub finder: Arc<dyn Finder>,
    /// Who may play.
    pub admission: Admission,
    /// Where it counts: a registry for this edge alone.
    pub metrics: Registry,
    /// The process's phase.
    pub drain: Drain,
    /// The admin port, where `/streams` and its readiness are shown.
    pub admin: Option<Admin>,
}

impl std::fmt::Debug for EdgeDeps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EdgeDeps").finish_non_exhaustive()
    }
}

/// A running edge. It ends with its [`Drain`]; dropping this changes nothing.
#[derive(Clone, Debug)]
pub struct Edge {
    addresses: Addresses,
    pulls: Pulls,
}

impl Edge {
    /// Starts an edge on `ports`, on the current runtime.
    ///
    /// # Errors
    /// A setting that makes no sense, or metrics that are there already.
    pub fn start(config: EdgeConfig, ports: Ports, deps: EdgeDeps) -> Result<Edge, StartError> {
        config.check()?;
        let EdgeDeps {
            finder,
            admission,
            metrics: registry,
            drain,
            admin,
        } = deps;
        let metrics = AllMetrics::register(&registry)?;
        let accept = AcceptMetrics::register(&registry)?;
        let fanout = Arc::new(FanoutSettings {
            cadence: Arc::new(Cadence::new(config.tick.0)),
            policy: config.late_policy(),
            stuck_max: config.limits.stuck_timeout,
            hub_metrics: Arc::clone(&metrics.hub),
            metrics: Arc::clone(&metrics.delivery),
            releases: Releases::default(),
            threads: WriterThreads::new(config.writer_threads, Arc::clone(&metrics.delivery)),
        });
        let Ports {
            http,
            https,
            rtmp,
            internal,
            addresses,
            identities,
        } = ports;
        let dialer = Dialer::new(identities.internal);
        let pulls = Pulls::new(Upstream {
            config: config.pull.clone(),
            limits: PullLimits::default(),
            dialer: dialer.clone(),
            registry: Hub::new(config.registry_limits(), Arc::clone(&metrics.hub)),
            finder,
            hop: metrics.hop.clone(),
            metrics: Arc::clone(&metrics.edge),
        });
        let limits = Limits {
            total: config.limits.connections,
            per_address: config.limits.connections_per_address,
        };
        let open = |listener, limits, port: PortMetrics| {
            // Open until the end, so that who comes while it drains is told so.
            Acceptor::new(listener, limits, port, drain.clone(), Closes::WhenEnded)
        };
        let proxies = config.proxies().unwrap_or_default();
        let house = Arc::new(House {
            hosts: config.virtual_hosts().unwrap_or_default(),
            cors: Cors::new(&config.cors_origins),
            socket: config.socket.options(),
            pulls: pulls.clone(),
            fanout,
            admission,
            metrics: metrics.edge,
            drain: drain.clone(),
            viewers: Seats::new(),
            config,
        });
        let acceptor = open(http, limits, accept.port("http"))
            .refuse_with(BUSY)
            .behind(proxies.clone());
        let plain = Security::None;
        tokio::spawn(accepting(
            acceptor,
            plain.clone(),
            Arc::clone(&house),
            play::http::serve,
        ));
        if let (Some(https), Some(tls)) = (https, identities.public) {
            // A refusal in the clear would be no TLS to the client.
            let acceptor = open(https, limits, accept.port("https")).behind(proxies.clone());
            let security = Security::Https(tls);
            let house = Arc::clone(&house);
            tokio::spawn(accepting(acceptor, security, house, play::http::serve));
        }
        if let Some(rtmp) = rtmp {
            let acceptor = open(rtmp, limits, accept.port("rtmp_play")).behind(proxies);
            let house = Arc::clone(&house);
            tokio::spawn(accepting(acceptor, plain, house, play::rtmp::serve));
        }
        let shield = Arc::new(shield::Shield {
            pulls: pulls.clone(),
            settings: ServeSettings::new(metrics.hop),
            security: dialer.security(),
            drain: drain.clone(),
        });
        // Other edges are few, and each pulls a connection for each stream.
        let trusted = Limits {
            total: limits.total,
            per_address: limits.total,
        };
        tokio::spawn(shield.serve(open(internal, trusted, accept.port("internal"))));
        if let Some(admin) = admin {
            let shown = pulls.clone();
            admin.json("/streams", "edge", move || {
                let streams = facts::streams(&shown);
                async move { streams }
            });
            admin.condition("edge").ready();
        }
        let (followed, ended) = (pulls.clone(), drain.clone());
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = followed.follow_policies() => {}
                () = ended.ended() => {}
            }
        });
        tokio::spawn(end(house));
        Ok(Edge { addresses, pulls })
    }

    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// The streams that it carries, as `/streams` shows them.
    pub fn streams(&self) -> serde_json::Value {
        facts::streams(&self.pulls)
    }
}

async fn accepting<S, F>(mut acceptor: Acceptor, security: Security, house: Arc<House>, serve: S)
where
    S: Fn(Arc<House>, Received) -> F + Copy + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    while let Some(accepted) = acceptor.next().await {
        let (security, house) = (security.clone(), Arc::clone(&house));
        tokio::spawn(async move {
            let within = house.config.limits.head_timeout;
            if let Some(received) = security.receive(accepted, within).await {
                serve(house, received).await;
            }
        });
    }
}

/// Lets viewers go one by one while the process drains, and ends all streams when it ends: whoever is still there gets a
/// clean end.
async fn end(house: Arc<House>) {
    let deadline = house.drain.draining().await;
    let viewers = house.viewers.taken();
    let schedule = Schedule::new(viewers, clock::now(), deadline);
    house.fanout.releases.begin(schedule);
    house.drain.ended().await;
    house.pulls.close();
}
