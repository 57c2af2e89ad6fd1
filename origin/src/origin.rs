//! An origin, put together: its ports, what its parts share, and its end.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use headwater_admission::Admission;
use headwater_hub::Registry as Hub;
use headwater_location::claim::Origins;
use headwater_location::{Endpoint, Locator, MemberList};
use headwater_process::accept::{Acceptor, Closes};
use headwater_process::admin::Admin;
use headwater_process::clock;
use headwater_process::drain::{Drain, Turns};
use headwater_process::metrics::Registry;
use headwater_process::net::{TcpListener, listen};
use headwater_process::tls::{Dialer, Identities, Security};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

use crate::config::OriginConfig;
use crate::error::StartError;
use crate::facts::{self, StreamFacts};
use crate::home::Homes;
use crate::ingest::{self, Backups, Cadence, Sessions};
use crate::internal::Internal;
use crate::metrics::OriginMetrics;
use crate::shared::Shared;

/// What a connection over a limit hears on the internal port.
const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// The open ports of an origin: known before it starts, so that it can say where it is.
#[derive(Debug)]
pub struct Ports {
    rtmp: TcpListener,
    rtmps: Option<TcpListener>,
    internal: TcpListener,
    addresses: Addresses,
    identities: Identities,
}

/// Where an origin listens: the real ports where 0 was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// RTMP, for publishers.
    pub rtmp: SocketAddr,
    /// The same in TLS, if it has such a port.
    pub rtmps: Option<SocketAddr>,
    /// Pulls and claims, for other roles.
    pub internal: SocketAddr,
}

impl Ports {
    /// Opens the ports of `config`.
    ///
    /// # Errors
    /// The setting or port that is wrong, in a sentence.
    pub async fn open(config: &OriginConfig) -> Result<Ports, StartError> {
        Ports::open_as(config, Identities::default()).await
    }

    /// Opens the ports of `config`, RTMPS among them if there is a certificate for people; other roles are spoken to as
    /// `identities` says.
    ///
    /// # Errors
    /// The setting or port that is wrong, in a sentence.
    pub async fn open_as(
        config: &OriginConfig,
        identities: Identities,
    ) -> Result<Ports, StartError> {
        config.check()?;
        let (rtmp, rtmp_address) = open("listen", &config.listen).await?;
        let (internal, internal_address) = open("internal_listen", &config.internal_listen).await?;
        let (rtmps, rtmps_address) = match config.rtmps_listen.as_str() {
            address if !address.is_empty() && identities.public.is_some() => {
                let (rtmps, address) = open("rtmps_listen", address).await?;
                (Some(rtmps), Some(address))
            }
            _ => (None, None),
        };
        let addresses = Addresses {
            rtmp: rtmp_address,
            rtmps: rtmps_address,
            internal: internal_address,
        };
        Ok(Ports {
            rtmp,
            rtmps,
            internal,
            addresses,
            identities,
        })
    }

    /// Where they are.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }
}

async fn open(
    setting: &'static str,
    address: &str,
) -> Result<(TcpListener, SocketAddr), StartError> {
    let listener = listen(address)
        .await
        .map_err(|source| StartError::Listen { setting, source })?;
    let address = listener
        .local_addr()
        .map_err(|source| StartError::Address { setting, source })?;
    Ok((listener, address))
}

/// What an origin is given.
#[derive(Debug)]
pub struct OriginDeps {
    /// Who knows the other members, started with this origin's internal port as its address.
    pub locator: Locator,
    /// Who may publish.
    pub admission: Admission,
    /// Where it counts: a registry for this origin alone.
    pub metrics: Registry,
    /// The process's phase.
    pub drain: Drain,
    /// The admin port, where `/streams` and its readiness are shown.
    pub admin: Option<Admin>,
}

/// A running origin. It ends with its [`Drain`]; dropping this changes nothing.
#[derive(Clone, Debug)]
pub struct Origin {
    addresses: Addresses,
    shared: Arc<Shared>,
}

impl Origin {
    /// Starts an origin on `ports`, on the current runtime.
    ///
    /// # Errors
    /// A setting that makes no sense, or metrics that are there already.
    pub fn start(
        config: OriginConfig,
        ports: Ports,
        deps: OriginDeps,
    ) -> Result<Origin, StartError> {
        config.check()?;
        let OriginDeps {
            locator,
            admission,
            metrics: registry,
            drain,
            admin,
        } = deps;
        let metrics = OriginMetrics::register(&registry)?;
        let me = locator.me();
        let hosts = config.virtual_hosts().map_err(crate::ConfigError::Vhosts)?;
        let Ports {
            rtmp,
            rtmps,
            internal,
            addresses,
            identities,
        } = ports;
        let dialer = Dialer::new(identities.internal);
        let shared = Arc::new_cyclic(|weak| Shared {
            me: Endpoint {
                member: me.id,
                address: me.internal,
            },
            hosts,
            hub: Hub::new(config.registry_limits(), Arc::clone(&metrics.hub)),
            sessions: Sessions::default(),
            backups: Backups::default(),
            cadence: Cadence::new(config.tick.0),
            homes: Homes::default(),
            origins: Origins::by(dialer.clone()),
            dialer: dialer.clone(),
            locator,
            admission,
            drain: drain.clone(),
            metrics: metrics.clone(),
            weak: weak.clone(),
            spoken: watch::Sender::default(),
            turns: OnceLock::new(),
            config,
        });
        let proxies = shared
            .config
            .proxies()
            .map_err(crate::ConfigError::ProxyNetworks)?;
        let publishers = |listener, port| {
            Acceptor::new(
                listener,
                shared.config.rtmp_connections(),
                metrics.accept.port(port),
                drain.clone(),
                Closes::WhenDraining,
            )
            .behind(proxies.clone())
        };
        let rtmp = publishers(rtmp, "rtmp");
        tokio::spawn(accepting(rtmp, Security::None, Arc::clone(&shared)));
        if let (Some(rtmps), Some(tls)) = (rtmps, identities.public) {
            let rtmps = publishers(rtmps, "rtmps");
            tokio::spawn(accepting(rtmps, Security::Public(tls), Arc::clone(&shared)));
        }
        let limits = shared.config.internal_connections();
        let internal = Acceptor::new(
            internal,
            limits,
            metrics.accept.port("internal"),
            drain.clone(),
            Closes::WhenEnded,
        )
        .refuse_with(BUSY);
        tokio::spawn(Internal::new(Arc::clone(&shared)).serve(internal));
        tokio::spawn(Arc::clone(&shared).tell());
        tokio::spawn(Arc::clone(&shared).follow_policies());
        tokio::spawn(drained(Arc::clone(&shared)));
        tokio::spawn(rehomed(Arc::clone(&shared)));
        if let Some(admin) = admin {
            let shown = Arc::clone(&shared);
            admin.json("/streams", "origin", move || {
                let streams = serde_json::to_value(facts::streams(&shown)).unwrap_or_default();
                async move { streams }
            });
            admin.condition("origin").ready();
        }
        Ok(Origin { addresses, shared })
    }

    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Waits until the process has ended and every publisher has heard so, or cannot hear.
    pub async fn ended(self) {
        self.shared.drain.ended().await;
        // It fails only without a sender, and `self` holds one.
        drop(
            self.shared
                .spoken
                .subscribe()
                .wait_for(|count| *count == 0)
                .await,
        );
    }

    /// The streams that it holds, by key, as `/streams` shows them.
    pub fn streams(&self) -> Vec<StreamFacts> {
        facts::streams(&self.shared)
    }
}

async fn accepting(mut acceptor: Acceptor, security: Security, shared: Arc<Shared>) {
    while let Some(accepted) = acceptor.next().await {
        let (security, shared) = (security.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            let within = shared.config.handshake_timeout;
            if let Some(received) = security.receive(accepted, within).await {
                ingest::serve(shared, received).await;
            }
        });
    }
}

/// Asks publishers to go elsewhere when this origin gives its work up, and ends all streams when the process ends.
async fn drained(shared: Arc<Shared>) {
    tokio::select! {
        biased;
        () = shared.drain.ended() => {}
        () = ask_to_go(&shared) => {}
    }
    for stream in shared.hub.streams() {
        stream.close();
    }
}

/// Asks each time that it begins to give its work up, and as the process drains gives each one the turn at which it is
/// cut if it stays; until the process has ended.
async fn ask_to_go(shared: &Shared) {
    // It fails only without a sender, and the locator in `shared` has one.
    let mut members = shared.locator.members();
    let gives_up =
        |list: &Arc<MemberList>| list.get(&shared.me.member).is_some_and(|me| me.draining);
    loop {
        let deadline = tokio::select! {
            biased;
            deadline = shared.drain.draining() => Some(deadline),
            _ = members.wait_for(gives_up) => None,
        };
        let (sessions, backups) = (shared.sessions.all(), shared.backups.all());
        if let Some(deadline) = deadline {
            let count = sessions.len().saturating_add(backups.len());
            let turns = || Turns::new(count, clock::now(), deadline);
            shared.turns.get_or_init(turns);
        }
        let on_air = sessions.iter().map(|session| &session.publisher);
        for publisher in on_air.chain(backups.iter().map(|backup| &backup.publisher)) {
            publisher.order(shared.reconnect());
        }
        if deadline.is_some() {
            return shared.drain.ended().await;
        }
        tokio::select! {
            biased;
            _ = shared.drain.draining() => {}
            _ = members.wait_for(|list| !gives_up(list)) => {}
        }
    }
}

/// Hands on the moves that people ask for, until the process ends.
async fn rehomed(shared: Arc<Shared>) {
    let mut rehomes = shared.locator.rehomes();
    loop {
        let rehome = tokio::select! {
            biased;
            rehome = rehomes.recv() => rehome,
            () = shared.drain.ended() => return,
        };
        match rehome {
            Ok(rehome) => {
                if let Some(session) = shared.sessions.get(&rehome.key, rehome.epoch) {
                    session.rehome(rehome.home);
                }
            }
            Err(RecvError::Lagged(lost)) => {
                tracing::warn!(
                    lost,
                    "more moves were asked for than can wait: rebalance once more"
                );
            }
            Err(RecvError::Closed) => return,
        }
    }
}
