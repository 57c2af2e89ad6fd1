//! What is measured: the server, and the floor beside it.

use crate::choices::Choices;
use crate::error::BenchError;
use crate::fleet::{Fleet, FleetMemory, FleetPlan};
use crate::floor::{FloorPlan, FloorState, SocketPlan};
use crate::load::Target;
use crate::measure::Stage;
use crate::part::{Kind, Part};
use crate::publish::{PublishPlan, Publishers};
use crate::stream::Shape;

const OWN_SERVER_ONLY: &str = "several streams are measured with a server of one's own only";
const APP: &str = "live";
/// What the edge tells the kernel unless it is configured otherwise.
const NOTSENT_LOWAT_BYTES: u32 = 128 << 10;

impl Choices {
    pub(crate) fn socket(&self) -> SocketPlan {
        SocketPlan {
            send_buffer_bytes: 0,
            notsent_lowat_bytes: NOTSENT_LOWAT_BYTES,
            congestion: self.congestion.clone(),
        }
    }

    /// Starts the server, or takes the one that was named.
    pub(crate) fn server(&self) -> Result<Server, BenchError> {
        if let Some(play) = &self.play {
            return Ok(Server {
                fleet: None,
                play: play.clone(),
                publish: self.publish.clone(),
                pid: self.pid,
            });
        }
        let plan = FleetPlan {
            tick: self.tick.clone(),
            socket: self.socket(),
            tls: self.tls.clone(),
            edge_flags: self.edge_flags.clone(),
            ..FleetPlan::default()
        };
        let fleet = Fleet::start(&self.program, &self.server_cores, &self.load_cores, &plan)?;
        let host = "127.0.0.1".to_owned();
        Ok(Server {
            play: Target {
                address: if self.tls.is_some() {
                    fleet.https
                } else {
                    fleet.http
                },
                tls: self.tls.is_some(),
                host: host.clone(),
                path: format!("/{APP}/bench.flv"),
            },
            publish: Some(PublishPlan {
                to: fleet.rtmp,
                host,
                app: APP.to_owned(),
                streams: vec!["bench".to_owned()],
                shape: Shape::HD,
                paced: true,
            }),
            pid: Some(fleet.edge_pid()),
            fleet: Some(fleet),
        })
    }

    /// Starts the floor on the server's cores.
    pub(crate) fn floor(&self, shape: Shape, tick_ms: u64) -> Result<FloorServer, BenchError> {
        let plan = FloorPlan {
            shape,
            tick_ms,
            socket: self.socket(),
            tls: self.tls.clone(),
        };
        let mut part = Part::start(&self.program, Kind::Floor, &self.server_cores, &plan)?;
        match part.hear::<FloorState>()? {
            FloorState::Listening { address } => Ok(FloorServer {
                part,
                play: Target {
                    address,
                    tls: self.tls.is_some(),
                    host: "127.0.0.1".to_owned(),
                    path: "/".to_owned(),
                },
            }),
            FloorState::Failed { why } => Err(BenchError::Part(why)),
        }
    }

    pub(crate) fn stage<'a>(&'a self, pid: Option<u32>, helpers: &'a [u32]) -> Stage<'a> {
        Stage {
            program: &self.program,
            server_cores: &self.server_cores,
            load_cores: &self.load_cores,
            pid,
            helpers,
        }
    }
}

/// What is measured.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) fleet: Option<Fleet>,
    pub(crate) play: Target,
    publish: Option<PublishPlan>,
    pub(crate) pid: Option<u32>,
}

impl Server {
    /// Processes that serve the measured one.
    pub(crate) fn helpers(&self) -> Vec<u32> {
        self.fleet.as_ref().map_or_else(Vec::new, |fleet| {
            let [_, origin, operator] = fleet.pids();
            vec![origin, operator]
        })
    }

    /// What edge and origin hold now.
    ///
    /// # Errors
    /// If they are not this program's own, or do not say.
    pub(crate) fn memory(&self) -> Result<FleetMemory, BenchError> {
        self.fleet.as_ref().map_or_else(
            || Err(BenchError::Value(OWN_SERVER_ONLY.to_owned())),
            Fleet::memory,
        )
    }

    /// Begins to publish, unless somebody else does.
    pub(crate) fn publish(&self, shape: Shape) -> Result<Option<Publishers>, BenchError> {
        let Some(plan) = &self.publish else {
            return Ok(None);
        };
        Publishers::start(&PublishPlan {
            shape,
            ..plan.clone()
        })
        .map(Some)
    }

    /// The same with these streams, and where each is played.
    pub(crate) fn publish_many(
        &self,
        shape: Shape,
        count: usize,
    ) -> Result<(Publishers, Vec<Target>), BenchError> {
        let (Some(plan), true) = (&self.publish, self.fleet.is_some()) else {
            return Err(BenchError::Value(OWN_SERVER_ONLY.to_owned()));
        };
        let streams: Vec<String> = (0..count).map(|n| format!("bench{n}")).collect();
        let targets = streams
            .iter()
            .map(|name| Target {
                path: format!("/{APP}/{name}.flv?wait=20"),
                ..self.play.clone()
            })
            .collect();
        let publishers = Publishers::start(&PublishPlan {
            shape,
            streams,
            ..plan.clone()
        })?;
        Ok((publishers, targets))
    }
}

/// The floor at work.
#[derive(Debug)]
pub(crate) struct FloorServer {
    pub(crate) part: Part,
    pub(crate) play: Target,
}
