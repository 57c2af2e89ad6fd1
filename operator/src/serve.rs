//! The operator as a process: the index behind a gRPC port.

mod connection;
mod control;
pub(crate) mod desk;
mod service;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use headwater_location::limits::MESSAGE_MAX_BYTES;
use headwater_location::proto::FILE_DESCRIPTOR_SET;
use headwater_location::proto::control_server::ControlServer;
use headwater_location::proto::location_server::LocationServer;
use headwater_location::{LocateReply, LocateRequest, MemberId, Order, PlaceReply, PlaceRequest};
use headwater_process::accept::{AcceptMetrics, Acceptor, Closes, Limits};
use headwater_process::drain::Drain;
use headwater_process::metrics::{MetricsError, Registry};
use headwater_process::tls::Security;
use headwater_process::{clock, net};
use thiserror::Error;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_stream::wrappers::ReceiverStream;
use tonic_health::ServingStatus;

use self::connection::Connection;
use self::control::ControlService;
use self::desk::Desk;
use self::service::Service;
use crate::config::OperatorConfig;
use crate::index::{Event, Index, Listing, Rules};
use crate::kube::KubernetesError;
use crate::metrics::Metrics;

/// How often the index looks at the clock.
const TICK: Duration = Duration::from_millis(50);
/// Connections may end in good order for so long.
const GOODBYE: Duration = Duration::from_secs(1);
/// A connection whose peer does not answer pings for so long ends.
const PING: Duration = Duration::from_secs(5);
const HEADERS_MAX_BYTES: u32 = 16 * 1024;

/// What an operator needs of its process.
#[derive(Clone, Debug)]
pub struct Deps {
    /// Where its metrics go: a part of the process's registry for this role.
    pub registry: Registry,
    /// When it ends.
    pub drain: Drain,
}

/// Why an operator did not start.
#[derive(Debug, Error)]
pub enum OperatorError {
    /// The port cannot be opened.
    #[error("operator.listen: {0}")]
    Listen(#[from] net::ListenError),
    /// The port's address cannot be read.
    #[error("the operator's port has no address: {0}")]
    Address(std::io::Error),
    /// The metrics cannot be registered.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// There is no Kubernetes cluster.
    #[error(transparent)]
    Kubernetes(#[from] KubernetesError),
    /// The contract's descriptors cannot be served.
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// An operator replica that serves.
#[derive(Debug)]
pub struct Operator {
    address: SocketAddr,
    desk: Arc<Desk>,
    serving: JoinHandle<()>,
}

impl Operator {
    /// Opens the port and serves until the process has drained.
    ///
    /// # Errors
    /// If the port or the metrics are taken.
    pub async fn start(config: &OperatorConfig, deps: Deps) -> Result<Operator, OperatorError> {
        Operator::start_in(config, deps, Security::None).await
    }

    /// The same, on a port that asks its connections for `security`.
    ///
    /// # Errors
    /// If the port or the metrics are taken.
    pub async fn start_in(
        config: &OperatorConfig,
        deps: Deps,
        security: Security,
    ) -> Result<Operator, OperatorError> {
        let listener = net::listen(&config.listen).await?;
        let address = listener.local_addr().map_err(OperatorError::Address)?;
        let replica = if config.id.is_empty() {
            address.to_string()
        } else {
            config.id.clone()
        };
        let allowed: BTreeSet<MemberId> = config
            .members
            .iter()
            .map(|id| MemberId::from(id.as_str()))
            .collect();
        let version = headwater_location::term::next(0, clock::unix_ms());
        let index = Index::new(
            &replica,
            version,
            (!allowed.is_empty()).then_some(allowed),
            clock::now(),
        );
        let cluster = if config.kubernetes.enabled {
            Some(crate::kube::connect().await?)
        } else {
            None
        };
        let index = if cluster.is_some() {
            index.expecting()
        } else {
            index
        };
        let metrics = Metrics::register(&deps.registry)?;
        let accepts = AcceptMetrics::register(&deps.registry)?;
        let errors = metrics.kubernetes_errors();
        let desk = Arc::new(Desk::new(index, metrics));
        if let Some(client) = cluster {
            tokio::spawn(crate::kube::run(
                config.kubernetes.clone(),
                client,
                replica.clone(),
                address.port(),
                desk.clone(),
                errors,
                deps.drain.clone(),
            ));
        }
        let acceptor = Acceptor::new(
            listener,
            Limits {
                total: config.max_connections,
                per_address: config.max_connections_per_address,
            },
            accepts.port("operator"),
            deps.drain.clone(),
            Closes::WhenEnded,
        );
        let router = router(config, &desk, &deps.drain).await?;
        let incoming = connection::incoming(acceptor, security);
        tracing::info!(%address, replica, "operator serves");
        let serving = tokio::spawn(serve(router, incoming, desk.clone(), deps.drain));
        Ok(Operator {
            address,
            desk,
            serving,
        })
    }

    /// Where it serves: the real port where 0 was configured.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything that the replica knows; serializes to JSON.
    pub fn listing(&self) -> Listing {
        self.desk.read(|index| index.listing(clock::now()))
    }

    /// Returns when the replica has heard of everything that is alive.
    pub fn settled(&self) -> impl Future<Output = ()> + Send + 'static {
        let desk = self.desk.clone();
        async move {
            let mut ticks = tokio::time::interval(TICK);
            while !desk.read(|index| index.settled(clock::now())) {
                ticks.tick().await;
            }
        }
    }

    /// A view of the ledger that outlives this value, for routes of the admin port.
    pub fn lister(&self) -> impl Fn() -> Listing + Send + Sync + 'static {
        let desk = self.desk.clone();
        move || desk.read(|index| index.listing(clock::now()))
    }

    /// Answers as the service does, in this process.
    pub fn place(&self, request: &PlaceRequest) -> PlaceReply {
        self.desk.place(request)
    }

    /// Answers as the service does, in this process.
    pub fn locate(&self, request: &LocateRequest) -> LocateReply {
        self.desk.locate(request)
    }

    /// Keeps new work away from `member`, or no longer.
    pub fn cordon(&self, member: &str, cordoned: bool) {
        self.desk.apply(Event::Cordon(member.into(), cordoned));
    }

    /// Orders `member` to drain, or to take work again.
    pub fn order(&self, member: &str, order: Order) {
        self.desk.apply(Event::Order(member.into(), order));
    }

    /// Puts policies in force, in place of those before.
    pub fn rule(&self, rules: Rules) {
        self.desk.apply(Event::Rules(rules));
    }

    /// Waits until it has ended, which it does when the process ends.
    pub async fn ended(self) {
        if let Err(error) = self.serving.await {
            tracing::error!(%error, "the operator broke");
        }
    }
}

/// Starts an operator and waits for its end.
///
/// # Errors
/// If it does not start.
pub async fn run(config: &OperatorConfig, deps: Deps) -> Result<(), OperatorError> {
    Operator::start(config, deps).await?.ended().await;
    Ok(())
}

async fn router(
    config: &OperatorConfig,
    desk: &Arc<Desk>,
    drain: &Drain,
) -> Result<tonic::transport::server::Router, OperatorError> {
    let location = LocationServer::new(Service::new(desk.clone()))
        .max_decoding_message_size(MESSAGE_MAX_BYTES)
        .max_encoding_message_size(MESSAGE_MAX_BYTES);
    let control = ControlServer::new(ControlService::new(desk.clone()))
        .max_decoding_message_size(MESSAGE_MAX_BYTES);
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<LocationServer<Service>>().await;
    let draining = drain.clone();
    // Load balancers look elsewhere from the beginning of a drain; sessions stay until its end.
    tokio::spawn(async move {
        draining.draining().await;
        health
            .set_service_status("", ServingStatus::NotServing)
            .await;
        health.set_not_serving::<LocationServer<Service>>().await;
    });
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    Ok(tonic::transport::Server::builder()
        .max_concurrent_streams(config.max_calls_per_connection)
        .http2_max_header_list_size(HEADERS_MAX_BYTES)
        .http2_keepalive_interval(Some(PING))
        .http2_keepalive_timeout(Some(PING))
        .add_service(location)
        .add_service(control)
        .add_service(health_service)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?))
}

async fn serve(
    router: tonic::transport::server::Router,
    incoming: ReceiverStream<std::io::Result<Connection>>,
    desk: Arc<Desk>,
    drain: Drain,
) {
    let ended = drain.clone();
    // Not left to the server's own signal: its port closes in the same moment, and it asks only one of the two.
    let closing = desk.clone();
    let goodbye = async move {
        drain.ended().await;
        closing.close();
        tokio::time::sleep(GOODBYE).await;
    };
    let signal = async move { ended.ended().await };
    tokio::select! {
        biased;
        served = router.serve_with_incoming_shutdown(incoming, signal) => {
            if let Err(error) = served {
                tracing::error!(%error, "the operator's port broke");
            }
        }
        () = tick(&desk) => {}
        () = goodbye => {}
    }
}

async fn tick(desk: &Desk) {
    let mut interval = tokio::time::interval(TICK);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        desk.apply(Event::Tick);
    }
}
