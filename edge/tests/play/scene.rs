//! An edge of a test.

use std::sync::Arc;
use std::time::Duration;

use headwater_admission::{Admission, AdmissionConfig};
use headwater_edge::{Addresses, Edge, EdgeConfig, EdgeDeps, Finder, Ports};
use headwater_location::Locator;
use headwater_process::drain::Drain;
use headwater_process::metrics::Registry;
use headwater_process::tls::Identities;

use crate::finder::Told;
use crate::viewer::SOON;

/// A running edge with ports of its own.
pub(crate) struct Scene {
    pub(crate) edge: Edge,
    pub(crate) finder: Arc<Told>,
    pub(crate) drain: Drain,
    registry: Registry,
}

/// Ports that the kernel chooses, and times that a test can wait for.
pub(crate) fn config() -> EdgeConfig {
    let mut config = EdgeConfig {
        http_listen: "127.0.0.1:0".to_owned(),
        https_listen: "127.0.0.1:0".to_owned(),
        rtmp_listen: "127.0.0.1:0".to_owned(),
        internal_listen: "127.0.0.1:0".to_owned(),
        ..EdgeConfig::default()
    };
    config.pull.linger = Duration::from_millis(300);
    config.pull.grace = Duration::from_secs(5);
    config
}

impl Scene {
    pub(crate) async fn new(finder: Arc<Told>) -> Scene {
        Scene::with(config(), AdmissionConfig::default(), finder).await
    }

    pub(crate) async fn with(
        config: EdgeConfig,
        admission: AdmissionConfig,
        finder: Arc<Told>,
    ) -> Scene {
        let asked = Arc::clone(&finder) as Arc<dyn Finder>;
        Scene::start(config, admission, finder, asked, SOON).await
    }

    /// An edge that drains for `grace` once it is told to.
    pub(crate) async fn with_grace(grace: Duration, finder: Arc<Told>) -> Scene {
        let asked = Arc::clone(&finder) as Arc<dyn Finder>;
        Scene::start(config(), AdmissionConfig::default(), finder, asked, grace).await
    }

    /// An edge that asks a real locator.
    pub(crate) async fn located(locator: Locator) -> Scene {
        let told = Told::new(crate::finder::missing());
        Scene::start(
            config(),
            AdmissionConfig::default(),
            told,
            Arc::new(locator),
            SOON,
        )
        .await
    }

    async fn start(
        config: EdgeConfig,
        admission: AdmissionConfig,
        told: Arc<Told>,
        finder: Arc<dyn Finder>,
        grace: Duration,
    ) -> Scene {
        Scene::start_as(
            config,
            admission,
            Identities::default(),
            told,
            finder,
            grace,
        )
        .await
    }

    /// An edge that shows certificates.
    pub(crate) async fn secure(
        config: EdgeConfig,
        identities: Identities,
        told: Arc<Told>,
    ) -> Scene {
        let finder = Arc::clone(&told) as Arc<dyn Finder>;
        let admission = AdmissionConfig::default();
        Scene::start_as(config, admission, identities, told, finder, SOON).await
    }

    async fn start_as(
        config: EdgeConfig,
        admission: AdmissionConfig,
        identities: Identities,
        told: Arc<Told>,
        finder: Arc<dyn Finder>,
        grace: Duration,
    ) -> Scene {
        let registry = Registry::new().unwrap();
        let drain = Drain::new(grace);
        let ports = Ports::open_as(&config, identities).await.unwrap();
        let deps = EdgeDeps {
            finder,
            admission: Admission::new(&admission, &registry).unwrap(),
            metrics: registry.clone(),
            drain: drain.clone(),
            admin: None,
        };
        let edge = Edge::start(config, ports, deps).unwrap();
        Scene {
            edge,
            finder: told,
            drain,
            registry,
        }
    }

    pub(crate) fn addresses(&self) -> Addresses {
        self.edge.addresses()
    }

    pub(crate) fn http(&self) -> String {
        self.addresses().http.to_string()
    }

    /// The value of a metric without labels, or with `{labels}` in its name.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = String::from_utf8(self.registry.encode()).unwrap();
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        value.unwrap_or(0.0)
    }

    /// Waits until `holds`.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Scene) -> bool) {
        let waited = tokio::time::timeout(SOON, async {
            let mut pause = tokio::time::interval(Duration::from_millis(5));
            while !holds(self) {
                pause.tick().await;
            }
        });
        waited.await.unwrap_or_else(|_| panic!("in vain: {what}"));
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.drain.end();
    }
}
