//! A process with one role or several: what they share, the order in which they start, and how they end.

mod edge;
mod member;
mod operator;
mod origin;

use std::time::Duration;

use anyhow::Context as _;
use headwater_process::accept::AcceptMetrics;
use headwater_process::admin::Admin;
use headwater_process::drain::Drain;
use headwater_process::metrics::Registry;
use headwater_process::tls::{Identities, TlsMetrics};
use headwater_process::{log, net};
use tokio::task::JoinSet;

use crate::config::Config;
use crate::exit::Exit;
use crate::memory;
use crate::role::Role;

/// Roles finish closing their connections within this time after the end of the drain.
const GOODBYE: Duration = Duration::from_secs(2);

/// What the roles of a process share.
pub(crate) struct Shared {
    /// The process's metrics; each role takes its part.
    pub(crate) registry: Registry,
    /// When the process ends.
    pub(crate) drain: Drain,
    /// What the process shows of itself.
    pub(crate) admin: Admin,
    /// What it shows to people and to other roles.
    pub(crate) identities: Identities,
    /// Whether the process has several roles.
    pub(crate) several: bool,
    /// The roles' tasks: they return once the process has ended.
    pub(crate) tasks: JoinSet<()>,
}

/// Runs `roles` until a signal ends the process; `started` hears the configuration with real addresses.
pub(crate) fn run(
    config: Config,
    roles: &[Role],
    started: impl FnOnce(&Config) -> Result<(), Exit>,
) -> Result<(), Exit> {
    log::init(&config.log).map_err(Exit::usage)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Exit::failed)?;
    let ended = runtime.block_on(serve(config, roles, started));
    // A look-up of a name that hangs must not keep the process.
    runtime.shutdown_timeout(Duration::from_millis(100));
    ended
}

async fn serve(
    mut config: Config,
    roles: &[Role],
    started: impl FnOnce(&Config) -> Result<(), Exit>,
) -> Result<(), Exit> {
    let registry = Registry::new().map_err(Exit::failed)?;
    let drain = Drain::with(config.drain.clone());
    drain.register(&registry).map_err(Exit::failed)?;
    let metrics = TlsMetrics::register(&registry).map_err(Exit::failed)?;
    let identities =
        Identities::start(&config.tls, &config.internal_tls, &metrics).map_err(Exit::usage)?;
    memory::fit(&mut config, roles)?;
    if config.memory.limit > 0 {
        let limit = registry
            .gauge(
                "headwater_process_memory_limit_bytes",
                "Memory that the process may use, as it was told, in bytes.",
            )
            .map_err(Exit::failed)?;
        limit.set(i64::try_from(config.memory.limit).unwrap_or(i64::MAX));
    }
    let mut shared = Shared {
        admin: Admin::new(registry.clone(), drain.clone()),
        registry,
        drain,
        identities,
        several: roles.len() > 1,
        tasks: JoinSet::new(),
    };
    // The signals are heard from here on, so that a process that still starts can be ended in good order, too.
    let supervised = shared.drain.clone();
    let supervisor = tokio::spawn(async move { supervised.supervise().await });

    // Before the admin port opens, so that nobody is sent to ports that are not open yet.
    let ready = shared.admin.condition("process");
    open_admin(&mut config, &mut shared).await?;
    for role in roles {
        match role {
            Role::Operator => operator::start(&mut config, &mut shared).await?,
            Role::Origin => origin::start(&mut config, &mut shared).await?,
            Role::Edge => edge::start(&mut config, &mut shared).await?,
            Role::Demo => demonstrate(&config, &mut shared)?,
        }
    }
    ready.ready();
    started(&config)?;

    shared.drain.ended().await;
    let goodbye = async {
        while shared.tasks.join_next().await.is_some() {}
        // Viewers and publishers who are still there hear that it is over.
        shared.drain.unheld().await;
    };
    if tokio::time::timeout(GOODBYE, goodbye).await.is_err() {
        tracing::warn!(tasks = shared.tasks.len(), "ended with work left");
    }
    match supervisor.await {
        Ok(supervised) => supervised.map_err(Exit::failed),
        Err(error) => Err(Exit::failed(error)),
    }
}

async fn open_admin(config: &mut Config, shared: &mut Shared) -> Result<(), Exit> {
    let listener = net::listen(&config.admin.listen)
        .await
        .context("admin.listen")
        .map_err(Exit::usage)?;
    config.admin.listen = listener.local_addr().map_err(Exit::failed)?.to_string();
    let port = AcceptMetrics::register(&shared.registry)
        .map_err(Exit::failed)?
        .port("admin");
    shared
        .tasks
        .spawn(shared.admin.clone().serve(listener, port));
    Ok(())
}

fn demonstrate(config: &Config, shared: &mut Shared) -> Result<(), Exit> {
    let key = crate::demo::key()?;
    let port = config.origin.listen.rsplit(':').next().unwrap_or("1935");
    shared.tasks.spawn(crate::demo::publish(
        format!("localhost:{port}"),
        key,
        config.admission.clone(),
        shared.drain.clone(),
    ));
    Ok(())
}
