//! One world: a cluster, its publishers and viewers, and what happens to them, in steps of virtual time.

mod checks;

use std::collections::BTreeMap;
use std::net::IpAddr;

use headwater_process::drain::Phase;

use crate::machine::Process;
use crate::network::{Network, Quality};
use crate::node::{self, Alive, Kind, Place};
use crate::plan::{END_US, Fault, PUBLISHERS, Plan, SLOW_VIEWERS, VIEWERS};
use crate::seed::Seed;
use crate::stage::{House, Stage};
use crate::timeline::Timeline;
use crate::{kernel, panics, publisher, viewer};

/// Processes run for so long before the network carries what they said. No segment is faster.
const STRIDE_US: u64 = 5_000;
/// The promises that need a look at the whole cluster are checked so often.
const CHECK_EVERY_US: u64 = 250_000;
/// A process that has drained says goodbye for so long before it exits.
const GOODBYE_US: u64 = 300_000;

/// A place of the cluster and what is there.
struct Node {
    place: Place,
    alive: Option<Alive>,
    stopped: bool,
    /// It runs only once in so many microseconds.
    every_us: u64,
    /// When it died, if it is dead.
    dead_since_us: Option<u64>,
    /// When its drain ended.
    ended_us: Option<u64>,
    /// Since when it runs as it should.
    well_since_us: u64,
    /// Since when it is to take no new work.
    leaving_since_us: Option<u64>,
    skew_ms: i64,
    seed: Seed,
}

/// How a world ended.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) violations: Vec<String>,
    /// Tags that viewers got, in all.
    pub(crate) tags: u64,
    /// Sessions whose number was below an older one's.
    pub(crate) below: usize,
}

struct World {
    plan: Plan,
    network: Network,
    nodes: Vec<Node>,
    stage: Stage,
    actors: Vec<Process>,
    checks: checks::Checks,
    /// Since when directions between machines carry as they should, if they ever did not.
    lines: BTreeMap<(IpAddr, IpAddr), u64>,
    now_us: u64,
}

/// Lives through the world of `number`.
pub(crate) fn run(number: u64, timeline: &Timeline) -> Outcome {
    kernel::set_now(0);
    panics::watch();
    let mut seed = Seed::new(number);
    let plan = Plan::new(number, &mut seed);
    let mut world = World::new(plan, seed, timeline.clone());
    world.live();
    let sights = world.stage.sights();
    Outcome {
        violations: world.stage.violations(),
        tags: sights.iter().map(|sight| sight.tags).sum(),
        below: world.stage.below(),
    }
}

impl World {
    fn new(plan: Plan, mut seed: Seed, timeline: Timeline) -> World {
        let quality = Quality {
            delay_us: STRIDE_US,
            jitter_us: seed.within(0, 10_000),
            loss_permille: 0,
            rate: 0,
        };
        let network = Network::new(seed.fork(), quality);
        network.narrow(SLOW_VIEWERS);
        let size = plan.size;
        let stage = Stage::new(size, timeline);
        let mut nodes = Vec::new();
        for (kind, count) in [
            (Kind::Operator, size.operators),
            (Kind::Origin, size.origins),
            (Kind::Edge, size.edges),
        ] {
            for index in 0..count {
                let skew = seed.within(0, 2 * plan.skew_max_ms).cast_signed();
                nodes.push(Node {
                    place: Place { kind, index },
                    alive: None,
                    stopped: false,
                    every_us: 0,
                    dead_since_us: None,
                    ended_us: None,
                    well_since_us: 0,
                    leaving_since_us: None,
                    skew_ms: skew - plan.skew_max_ms.cast_signed(),
                    seed: seed.fork(),
                });
            }
        }
        for edge in (0..size.edges).map(|index| Place {
            kind: Kind::Edge,
            index,
        }) {
            let rate = Quality {
                rate: 3_000,
                ..quality
            };
            network.set_quality(edge.ip(), SLOW_VIEWERS, Some(rate));
        }
        let mut world = World {
            plan,
            network,
            nodes,
            stage,
            actors: Vec::new(),
            checks: checks::Checks::default(),
            lines: BTreeMap::new(),
            now_us: 0,
        };
        for index in 0..world.nodes.len() {
            world.start(index);
        }
        world.cast(&mut seed);
        world
    }

    /// Publishers and viewers get their parts.
    fn cast(&mut self, seed: &mut Seed) {
        let size = self.plan.size;
        let addresses = |kind, count: usize, port: u16| -> Vec<String> {
            (0..count)
                .map(|index| format!("{}:{port}", Place { kind, index }.ip()))
                .collect()
        };
        let origins = addresses(Kind::Origin, size.origins, 1935);
        let edges = addresses(Kind::Edge, size.edges, 8080);
        let actor = |name, ip: IpAddr, seed: &mut Seed| {
            Process::new(&self.network, name, ip, 0, 0, seed.fork())
        };
        let publishers = actor("publishers", PUBLISHERS, seed);
        let viewers = actor("viewers", VIEWERS, seed);
        let slow = actor("slow", SLOW_VIEWERS, seed);
        for stream in 0..size.streams {
            let from_us = seed.within(500_000, 4_000_000);
            let mut periods = vec![(from_us, u64::MAX / 2)];
            if seed.chance(250) {
                let end_us = seed.within(10_000_000, 20_000_000);
                periods[0].1 = end_us;
                if seed.chance(600) {
                    periods.push((end_us + seed.within(300_000, 4_000_000), u64::MAX / 2));
                }
            }
            let part = publisher::Part {
                stream,
                periods,
                moves: match &self.plan.moves {
                    Some(times) => times
                        .iter()
                        .map(|(from_us, until_us)| seed.within(*from_us, *until_us))
                        .collect(),
                    None if seed.chance(300) => vec![seed.within(5_000_000, 24_000_000)],
                    None => Vec::new(),
                },
                origins: origins.clone(),
                seed: seed.fork(),
            };
            publishers.spawn(publisher::run(part, self.stage.clone()));
        }
        for number in 0..size.viewers {
            let from_us = seed.within(1_000_000, 12_000_000);
            let slow_line = seed.chance(100);
            let part = viewer::Part {
                viewer: number,
                stream: number % size.streams,
                from_us,
                until_us: if seed.chance(200) {
                    from_us + seed.within(2_000_000, 15_000_000)
                } else {
                    u64::MAX / 2
                },
                rtc: seed.chance(200),
                slow: slow_line,
                agree: !self.plan.slows && self.plan.remembers(),
                edges: edges.clone(),
                edge: seed.index(size.edges),
                seed: seed.fork(),
            };
            let machine = if slow_line { &slow } else { &viewers };
            machine.spawn(viewer::run(part, self.stage.clone()));
        }
        self.actors = vec![publishers, viewers, slow];
    }

    fn live(&mut self) {
        let mut faults = std::mem::take(&mut self.plan.faults).into_iter().peekable();
        while self.now_us < END_US && self.stage.violations().is_empty() {
            while let Some((_, fault)) = faults.next_if(|(at_us, _)| *at_us <= self.now_us) {
                self.happen(fault);
            }
            kernel::set_now(self.now_us);
            self.network.deliver(self.now_us);
            let until_us = self.now_us + STRIDE_US;
            for node in &mut self.nodes {
                let turn = node.every_us == 0 || until_us % node.every_us < STRIDE_US;
                if let Some(alive) = &mut node.alive
                    && !node.stopped
                    && turn
                {
                    alive.process.step(until_us, STRIDE_US);
                }
            }
            for actor in &mut self.actors {
                actor.step(until_us, STRIDE_US);
            }
            self.now_us = until_us;
            self.exit();
            self.number_new();
            if self.now_us.is_multiple_of(CHECK_EVERY_US) {
                self.check();
            }
        }
        if self.stage.violations().is_empty() {
            self.check_end();
        }
    }

    fn note(&self, text: &str) {
        self.stage.timeline.note(self.now_us, text);
    }

    fn index(&self, place: Place) -> usize {
        self.nodes
            .iter()
            .position(|node| node.place == place)
            .unwrap()
    }

    fn start(&mut self, index: usize) {
        let operators = self.plan.size.operators;
        let node = &mut self.nodes[index];
        if node.alive.is_some() {
            return;
        }
        self.network.set_dark(node.place.ip(), false);
        let seed = node.seed.fork();
        node.alive = Some(node::start(
            node.place,
            operators,
            &self.network,
            self.now_us,
            node.skew_ms,
            seed,
            self.plan.settings,
        ));
        node.dead_since_us = None;
        node.stopped = false;
        node.every_us = 0;
        node.ended_us = None;
        node.well_since_us = self.now_us;
        node.leaving_since_us = None;
        let place = node.place;
        self.house(place, |house| {
            house.started += 1;
            house.serves = true;
        });
    }

    fn end(&mut self, index: usize) {
        let now_us = self.now_us;
        self.checks.count(&self.nodes[index]);
        let node = &mut self.nodes[index];
        if node.alive.take().is_some() {
            node.dead_since_us = Some(now_us);
        }
        node.stopped = false;
        let place = node.place;
        self.house(place, |house| house.serves = false);
    }

    fn house(&self, place: Place, then: impl FnOnce(&mut House)) {
        match place.kind {
            Kind::Origin => self.stage.origin(place.index, then),
            Kind::Edge => self.stage.edge(place.index, then),
            Kind::Operator => {}
        }
    }

    /// Processes that have drained exit.
    fn exit(&mut self) {
        for index in 0..self.nodes.len() {
            let node = &mut self.nodes[index];
            let over = node
                .alive
                .as_ref()
                .is_some_and(|alive| alive.drain.phase() == Phase::Ended);
            if over && self.now_us - *node.ended_us.get_or_insert(self.now_us) >= GOODBYE_US {
                let name = node.place.name();
                self.note(&format!("{name} has drained and exits"));
                self.end(index);
            }
        }
    }

    fn happen(&mut self, fault: Fault) {
        match fault {
            Fault::Kill(place) => {
                self.note(&format!("{} is killed", place.name()));
                self.end(self.index(place));
            }
            Fault::PowerCut(place) => {
                self.note(&format!("{} loses its power", place.name()));
                self.network.set_dark(place.ip(), true);
                self.end(self.index(place));
            }
            Fault::Start(place) => {
                let index = self.index(place);
                // One that drains and is not done is killed by then, as Kubernetes does.
                if self.nodes[index]
                    .alive
                    .as_ref()
                    .is_some_and(|it| !it.drain.is_serving())
                {
                    self.end(index);
                }
                if self.nodes[index].alive.is_none() {
                    self.note(&format!("{} starts again", place.name()));
                    self.start(index);
                }
            }
            Fault::Stop(place) => {
                self.note(&format!("{} is stopped", place.name()));
                let index = self.index(place);
                self.nodes[index].stopped = true;
            }
            Fault::Continue(place) => {
                self.note(&format!("{} continues", place.name()));
                let index = self.index(place);
                self.nodes[index].stopped = false;
                self.nodes[index].well_since_us = self.now_us;
            }
            Fault::Slow(place, every_us) => {
                self.note(&format!("{} runs every {every_us} us", place.name()));
                let index = self.index(place);
                self.nodes[index].every_us = every_us;
                self.nodes[index].well_since_us = self.now_us;
            }
            Fault::Drain(place) => {
                self.note(&format!("{} drains", place.name()));
                let index = self.index(place);
                if let Some(alive) = &self.nodes[index].alive {
                    alive.process.run(async { alive.drain.begin() });
                    self.house(place, |house| house.serves = false);
                    self.nodes[index]
                        .leaving_since_us
                        .get_or_insert(self.now_us);
                }
            }
            Fault::Cut(from, to) => {
                self.note(&format!("{from} no longer reaches {to}"));
                self.network.cut(from, to, true);
                self.lines.insert((from, to), u64::MAX);
            }
            Fault::Heal(from, to) => {
                self.note(&format!("{from} reaches {to} again"));
                self.network.cut(from, to, false);
                self.lines.insert((from, to), self.now_us);
            }
            Fault::Lossy(from, to, loss_permille) => {
                self.note(&format!("{from} to {to} loses {loss_permille} of 1000"));
                let quality = (loss_permille > 0).then(|| Quality {
                    loss_permille,
                    ..self.network.quality()
                });
                self.network.set_quality(from, to, quality);
                let well_us = if loss_permille > 0 {
                    u64::MAX
                } else {
                    self.now_us
                };
                self.lines.insert((from, to), well_us);
            }
        }
    }
}
