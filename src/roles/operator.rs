//! Starts the operator.

use headwater_operator::{Deps, Operator, OperatorError};
use headwater_process::tls::Security;
use serde_json::{Value, json};

use super::Shared;
use crate::config::Config;
use crate::exit::Exit;

/// Starts it and puts its ledger on the admin port. Roles of the same process are its members unless other operators
/// are configured.
pub(super) async fn start(config: &mut Config, shared: &mut Shared) -> Result<(), Exit> {
    let ready = shared.admin.condition("operator");
    let deps = Deps {
        registry: shared.registry.for_role("operator").map_err(Exit::failed)?,
        drain: shared.drain.clone(),
    };
    let security = Security::internal(shared.identities.internal.as_ref());
    let operator = Operator::start_in(&config.operator, deps, security)
        .await
        .map_err(|error| match error {
            OperatorError::Listen(_) | OperatorError::Kubernetes(_) => Exit::usage(error),
            OperatorError::Address(_)
            | OperatorError::Metrics(_)
            | OperatorError::Reflection(_) => Exit::failed(error),
        })?;
    config.operator.listen = operator.address().to_string();
    if config.location.operators.is_empty() && config.location.operators_name.is_empty() {
        let port = operator.address().port();
        config.location.operators = vec![format!("localhost:{port}")];
    }
    let list = operator.lister();
    shared.admin.json("/streams", "operator", move || {
        let streams = list().streams;
        async move { json!(streams) }
    });
    let list = operator.lister();
    shared.admin.json("/members", "operator", move || {
        let mut listing = json!(list());
        if let Value::Object(fields) = &mut listing {
            fields.remove("streams");
        }
        async move { listing }
    });
    let settled = operator.settled();
    tokio::spawn(async move {
        settled.await;
        ready.ready();
    });
    shared.tasks.spawn(operator.ended());
    Ok(())
}
