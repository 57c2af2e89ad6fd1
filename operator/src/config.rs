//! The settings of an operator.

use headwater_process::documented;
use serde::{Deserialize, Serialize};

documented! {
    /// An operator replica.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct OperatorConfig {
        /// Address and port of the gRPC service.
        pub listen: String,
        /// What the replica calls itself towards members and in listings; empty: its address.
        pub id: String,
        /// Ids of the members that may join; empty: any.
        pub members: Vec<String>,
        /// Connections at once.
        pub max_connections: usize,
        /// Connections at once of one address.
        pub max_connections_per_address: usize,
        /// Calls at once on one connection.
        pub max_calls_per_connection: u32,
        /// How the operator works with the Kubernetes cluster that it runs in.
        pub kubernetes: KubernetesConfig,
    }
}

documented! {
    /// What an operator does with Kubernetes.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct KubernetesConfig {
        /// Watch pods, nodes, EndpointSlices and StreamPolicies.
        pub enabled: bool,
        /// The namespace of the members' pods and of the StreamPolicies.
        pub namespace: String,
        /// Labels of the members' pods and Services, as `kubectl --selector` takes them.
        pub selector: String,
        /// The Lease whose holder writes to Kubernetes.
        pub lease: String,
        /// Say by an annotation which pods are cheap to delete.
        pub pod_deletion_cost: bool,
    }
}

impl Default for KubernetesConfig {
    fn default() -> KubernetesConfig {
        KubernetesConfig {
            enabled: false,
            namespace: "default".to_owned(),
            selector: "app.kubernetes.io/name=headwater".to_owned(),
            lease: "headwater-operator".to_owned(),
            pod_deletion_cost: true,
        }
    }
}

impl Default for OperatorConfig {
    fn default() -> OperatorConfig {
        OperatorConfig {
            listen: "[::]:7100".to_owned(),
            id: String::new(),
            members: Vec::new(),
            max_connections: 8192,
            max_connections_per_address: 1024,
            max_calls_per_connection: 256,
            kubernetes: KubernetesConfig::default(),
        }
    }
}

impl OperatorConfig {
    /// Finds settings that cannot work together.
    ///
    /// # Errors
    /// A sentence that names the setting and says what to write.
    pub fn check(&self) -> Result<(), String> {
        for (name, zero) in [
            ("max_connections", self.max_connections == 0),
            (
                "max_connections_per_address",
                self.max_connections_per_address == 0,
            ),
            (
                "max_calls_per_connection",
                self.max_calls_per_connection < 2,
            ),
        ] {
            if zero {
                return Err(format!(
                    "operator.{name} is too small: a member needs one connection with its session and calls beside it"
                ));
            }
        }
        if self.members.iter().any(String::is_empty) {
            return Err("operator.members has an empty id".to_owned());
        }
        Ok(())
    }
}
