//! The configuration of all roles in one struct, one section a room.

use headwater_admission::AdmissionConfig;
use headwater_edge::EdgeConfig;
use headwater_location::LocationConfig;
use headwater_operator::OperatorConfig;
use headwater_origin::OriginConfig;
use headwater_process::admin::AdminConfig;
use headwater_process::config::{ConfigError, Described, File, Schema, Sources, load};
use headwater_process::documented;
use headwater_process::drain::DrainConfig;
use headwater_process::log::LogConfig;
use headwater_process::tls::{InternalTlsConfig, TlsConfig};
use serde::{Deserialize, Serialize};

use crate::exit::Exit;

/// The variable that names the configuration file.
pub(crate) const FILE_VARIABLE: &str = "HEADWATER_CONFIG";

documented! {
    /// What the process may use.
    #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub(crate) struct MemoryConfig {
        /// Memory that the process may use, in bytes, the kernel's socket buffers included: rings and viewers are bounded so
        /// that they fit. 0: as the other settings say. The chart sets it to the container's limit.
        #[serde(with = "headwater_process::config::size")]
        pub(crate) limit: u64,
    }
}

documented! {
    /// Everything that can be set.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub(crate) struct Config {
        /// What is logged and how.
        pub(crate) log: LogConfig,
        /// The port for people, probes and Prometheus.
        pub(crate) admin: AdminConfig,
        /// How the process ends.
        pub(crate) drain: DrainConfig,
        /// The certificate that publishers and viewers see.
        pub(crate) tls: TlsConfig,
        /// TLS between roles.
        pub(crate) internal_tls: InternalTlsConfig,
        /// What the process may use.
        pub(crate) memory: MemoryConfig,
        /// Takes publishers.
        pub(crate) origin: OriginConfig,
        /// Serves viewers.
        pub(crate) edge: EdgeConfig,
        /// Where streams are to live.
        pub(crate) operator: OperatorConfig,
        /// Where the process stands and how it finds the others.
        pub(crate) location: LocationConfig,
        /// Who may publish and play.
        pub(crate) admission: AdmissionConfig,
    }
}

impl Config {
    /// Every setting.
    pub(crate) fn schema() -> Result<Schema, ConfigError> {
        Schema::of::<Config>()
    }

    /// What the settings mean.
    pub(crate) fn described() -> Vec<Described> {
        <Config as headwater_process::config::Documented>::described()
    }

    /// Reads all sources and checks what the types cannot.
    pub(crate) fn load(
        preset: &'static [(&'static str, &'static str)],
        file: Option<&str>,
        env: Vec<(String, String)>,
        flags: Vec<(String, String)>,
    ) -> Result<Self, Exit> {
        let file = file.map(File::read).transpose().map_err(Exit::usage)?;
        let config: Config = load(&Sources {
            preset,
            file,
            env,
            env_reserved: &[FILE_VARIABLE],
            flags,
        })
        .map_err(Exit::usage)?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), Exit> {
        self.log.check().map_err(Exit::usage)?;
        self.tls.enabled().map_err(Exit::usage)?;
        self.internal_tls.enabled().map_err(Exit::usage)?;
        self.origin.check().map_err(Exit::usage)?;
        self.edge.check().map_err(Exit::usage)?;
        self.operator.check().map_err(sentence)?;
        self.location.check().map_err(sentence)?;
        self.admission.check().map_err(Exit::usage)
    }
}

fn sentence(text: String) -> Exit {
    Exit::Usage(anyhow::Error::msg(text))
}

#[cfg(test)]
mod tests;
