//! Origins of one cluster, in this process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use headwater_admission::{Admission, AdmissionConfig};
use headwater_hop::Known;
use headwater_location::{LocationConfig, Locator, Role, StaticMember};
use headwater_origin::{Origin, OriginConfig, OriginDeps, Ports, StreamFacts};
use headwater_process::admin::Admin;
use headwater_process::drain::Drain;
use headwater_process::metrics::Registry;

use crate::encoder::Encoder;
use crate::puller::Puller;

/// Everything that a test waits for happens within this time, or the test fails.
pub(crate) const SOON: Duration = Duration::from_secs(15);

pub(crate) struct One {
    pub(crate) origin: Origin,
    pub(crate) drain: Drain,
    pub(crate) registry: Registry,
    pub(crate) admin: Admin,
}

pub(crate) struct Scene {
    pub(crate) origins: Vec<One>,
}

impl Scene {
    pub(crate) async fn one() -> Scene {
        Scene::with(1, |_| {}).await
    }

    /// One that has `grace` once it drains.
    pub(crate) async fn draining_in(grace: Duration) -> Scene {
        Scene::start(1, |_| {}, grace).await
    }

    /// `count` origins that know one another, each configured by `change`.
    pub(crate) async fn with(count: usize, change: impl Fn(&mut OriginConfig)) -> Scene {
        Scene::start(count, change, Duration::from_secs(30)).await
    }

    async fn start(count: usize, change: impl Fn(&mut OriginConfig), grace: Duration) -> Scene {
        let mut config = OriginConfig {
            listen: "127.0.0.1:0".to_owned(),
            internal_listen: "127.0.0.1:0".to_owned(),
            ..OriginConfig::default()
        };
        change(&mut config);
        let mut opened = Vec::new();
        for _ in 0..count {
            opened.push(Ports::open(&config).await.unwrap());
        }
        let members: Vec<StaticMember> = opened
            .iter()
            .enumerate()
            .map(|(index, ports)| StaticMember {
                id: id(index),
                role: Role::Origin,
                internal: ports.addresses().internal.to_string(),
                region: String::new(),
                zone: String::new(),
            })
            .collect();
        let mut origins = Vec::new();
        for (index, ports) in opened.into_iter().enumerate() {
            let registry = Registry::new().unwrap();
            let drain = Drain::new(grace);
            let admin = Admin::new(registry.clone(), drain.clone());
            let location = LocationConfig {
                members: members.clone(),
                id: id(index),
                ..LocationConfig::default()
            };
            let me = location.member(Role::Origin, &ports.addresses().internal.to_string());
            let deps = OriginDeps {
                locator: Locator::start(&location, me, &registry).unwrap(),
                admission: Admission::new(&AdmissionConfig::default(), &registry).unwrap(),
                metrics: registry.clone(),
                drain: drain.clone(),
                admin: Some(admin.clone()),
            };
            let origin = Origin::start(config.clone(), ports, deps).unwrap();
            origins.push(One {
                origin,
                drain,
                registry,
                admin,
            });
        }
        Scene { origins }
    }

    /// The `skip`-th stream name whose home, by the ring, is origin `index`.
    pub(crate) fn name_at(&self, index: usize, skip: usize) -> String {
        let ring = headwater_location::ring::Ring::new((0..self.origins.len()).map(id));
        (0..1_000)
            .map(|n| format!("room{n}"))
            .filter(|name| ring.first(&format!("default/live/{name}")) == Some(id(index).as_str()))
            .nth(skip)
            .unwrap()
    }

    /// A stream name whose homes, by the ring, are these origins in this order.
    pub(crate) fn name_along(&self, order: &[usize]) -> String {
        let ring = headwater_location::ring::Ring::new((0..self.origins.len()).map(id));
        let order: Vec<String> = order.iter().map(|index| id(*index)).collect();
        (0..1_000)
            .map(|n| format!("room{n}"))
            .find(|name| ring.candidates(&format!("default/live/{name}")).eq(&order))
            .unwrap()
    }

    pub(crate) fn rtmp(&self, index: usize) -> SocketAddr {
        self.origins[index].origin.addresses().rtmp
    }

    pub(crate) fn internal(&self, index: usize) -> SocketAddr {
        self.origins[index].origin.addresses().internal
    }

    /// A publisher of `live/{name}` at origin `index` that has been accepted.
    pub(crate) async fn publish(&self, index: usize, name: &str) -> Encoder {
        let accepted = self.publish_from("127.0.0.1", index, name).await;
        accepted.unwrap_or_else(|refused| panic!("{refused:?}"))
    }

    /// A publisher from a network address; an error says why it was refused, as code and sentence.
    pub(crate) async fn publish_from(
        &self,
        from: &str,
        index: usize,
        name: &str,
    ) -> Result<Encoder, (String, String)> {
        let mut encoder = Encoder::connect(from, self.rtmp(index), "live", name).await;
        encoder.started().await?;
        Ok(encoder)
    }

    pub(crate) async fn pull_knowing(&self, index: usize, name: &str, known: Known) -> Puller {
        let address = self.internal(index).to_string();
        Puller::knowing(&address, &format!("default/live/{name}"), Some(known)).await
    }

    pub(crate) async fn pull(&self, index: usize, name: &str) -> Puller {
        Puller::oldest(
            &self.internal(index).to_string(),
            &format!("default/live/{name}"),
        )
        .await
    }

    /// What origin `index` says of `live/{name}`.
    pub(crate) fn facts(&self, index: usize, name: &str) -> Option<StreamFacts> {
        let key = format!("default/live/{name}");
        let streams = self.origins[index].origin.streams();
        streams.into_iter().find(|stream| stream.key == key)
    }

    /// Waits until so many publishers stand by at origin `index` for `live/{name}`, and gives what it says of them.
    pub(crate) async fn standing_by(
        &self,
        index: usize,
        name: &str,
        count: usize,
    ) -> Vec<StreamFacts> {
        let key = format!("default/live/{name}");
        let stand = async {
            loop {
                let mut streams = self.origins[index].origin.streams();
                streams.retain(|stream| stream.key == key && stream.role == "backup");
                if streams.len() == count {
                    return streams;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(SOON, stand)
            .await
            .expect("so many stand by")
    }

    /// Waits until what origin `index` says of `live/{name}` is as wanted.
    pub(crate) async fn until(
        &self,
        index: usize,
        name: &str,
        wanted: impl Fn(&StreamFacts) -> bool,
    ) -> StreamFacts {
        self.reached(index, name, |facts| facts.is_some_and(&wanted))
            .await
            .unwrap()
    }

    /// Waits until origin `index` knows nothing of `live/{name}`.
    pub(crate) async fn until_gone(&self, index: usize, name: &str) {
        self.reached(index, name, |facts| facts.is_none()).await;
    }

    async fn reached(
        &self,
        index: usize,
        name: &str,
        wanted: impl Fn(Option<&StreamFacts>) -> bool,
    ) -> Option<StreamFacts> {
        let reached = async {
            loop {
                let facts = self.facts(index, name);
                if wanted(facts.as_ref()) {
                    return facts;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        match tokio::time::timeout(SOON, reached).await {
            Ok(facts) => facts,
            Err(_) => panic!("not reached; now: {:?}", self.facts(index, name)),
        }
    }

    /// Waits until the metrics of origin `index` have this line.
    pub(crate) async fn shows(&self, index: usize, line: &str) {
        let text = || String::from_utf8(self.origins[index].registry.encode()).unwrap();
        let shown = async {
            while !text().lines().any(|shown| shown == line) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(SOON, shown).await.is_err() {
            panic!("{line} is not in {}", text());
        }
    }

    pub(crate) fn shared(self) -> Arc<Scene> {
        Arc::new(self)
    }
}

fn id(index: usize) -> String {
    format!("origin-{index}")
}
