//! Asking the operators of a cluster from the command line.

use std::time::Duration;

use anyhow::anyhow;
use clap::{Arg, ArgMatches};
use headwater_process::metrics::Registry;
use headwater_process::tls::{Dialer, InternalTls, TlsMetrics};
use tonic::Status;
use tonic::transport::Channel;

use crate::config::Config;
use crate::exit::Exit;
use crate::http::reachable;

const TIMEOUT: Duration = Duration::from_secs(5);

/// `--operator`, alike in every command that asks operators.
pub(crate) fn argument() -> Arg {
    Arg::new("operator")
        .long("operator")
        .value_name("HOST:PORT")
        .help("The operator to ask [default: the setting location.operators, else operator.listen]")
}

/// The addresses of the operators that are to be asked.
pub(crate) fn addresses(matches: &ArgMatches, config: &Config) -> Vec<String> {
    match matches.get_one::<String>("operator") {
        Some(operator) => vec![operator.clone()],
        None if config.location.operators.is_empty() => vec![reachable(&config.operator.listen)],
        None => config.location.operators.clone(),
    }
}

/// How operators are connected to: in TLS if there is any between roles. Needs a runtime.
pub(crate) fn dialer(config: &Config) -> Result<Dialer, Exit> {
    let metrics = Registry::new()
        .and_then(|registry| TlsMetrics::register(&registry))
        .map_err(Exit::failed)?;
    let tls = InternalTls::start(&config.internal_tls, metrics).map_err(Exit::usage)?;
    Ok(Dialer::new(tls))
}

/// What the operator at `address` says to `ask`.
pub(crate) async fn ask<T>(
    dialer: &Dialer,
    address: &str,
    ask: impl AsyncFnOnce(Channel) -> Result<T, Status>,
) -> anyhow::Result<T> {
    let asked = async {
        let channel = headwater_location::connect(dialer, address).await?;
        ask(channel)
            .await
            .map_err(|status| anyhow!("{}", status.message()))
    };
    match tokio::time::timeout(TIMEOUT, asked).await {
        Ok(said) => said.map_err(|error| anyhow!("{address}: {error:#}")),
        Err(_) => Err(anyhow!(
            "{address} did not answer within {} s",
            TIMEOUT.as_secs()
        )),
    }
}

/// What the first of `addresses` that answers says.
pub(crate) async fn first<T>(
    config: &Config,
    addresses: &[String],
    question: impl AsyncFn(Channel) -> Result<T, Status>,
) -> Result<T, Exit> {
    let dialer = dialer(config)?;
    let mut failures = Vec::new();
    for address in addresses {
        match ask(&dialer, address, &question).await {
            Ok(said) => return Ok(said),
            Err(error) => failures.push(error.to_string()),
        }
    }
    Err(Exit::Failed(anyhow!(
        "no operator answers ({}); is one running? `--operator HOST:PORT` names another",
        failures.join("; ")
    )))
}

/// Runs one command's questions.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T, Exit>>) -> Result<T, Exit> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Exit::failed)?
        .block_on(future)
}
