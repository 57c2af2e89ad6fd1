//! What is to happen in a world: a function of its seed.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use headwater_location::claim::OnDuplicate;

use crate::node::{Kind, Place, Settings};
use crate::seed::Seed;

/// Faults begin no earlier, so that streams are on.
const FAULTS_FROM_US: u64 = 6_000_000;
/// Everything is whole again by then.
const FAULTS_UNTIL_US: u64 = 22_000_000;
/// Everybody has found a place again by then.
pub(crate) const END_US: u64 = 34_000_000;

/// How large a world is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) origins: usize,
    pub(crate) edges: usize,
    pub(crate) operators: usize,
    pub(crate) streams: usize,
    pub(crate) viewers: usize,
}

/// One worker thread plays all publishers, one all viewers, one those with slow lines.
pub(crate) const PUBLISHERS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 0, 1));
pub(crate) const VIEWERS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 2, 0, 1));
pub(crate) const SLOW_VIEWERS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 2, 0, 2));

/// Something that happens to the cluster.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// kill -9: the kernel closes its connections.
    Kill(Place),
    /// The machine loses its power: nobody hears of it.
    PowerCut(Place),
    /// A new process takes the place of a dead one.
    Start(Place),
    /// SIGSTOP.
    Stop(Place),
    /// SIGCONT.
    Continue(Place),
    /// It gets the processor only once in so many microseconds.
    Slow(Place, u64),
    /// SIGTERM: it drains, and ends.
    Drain(Place),
    /// What goes from one machine to another is held.
    Cut(IpAddr, IpAddr),
    /// No longer.
    Heal(IpAddr, IpAddr),
    /// Segments of a thousand that are lost between two machines.
    Lossy(IpAddr, IpAddr, u64),
}

/// The whole of it.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) size: Size,
    /// By time, in microseconds.
    pub(crate) faults: Vec<(u64, Fault)>,
    /// Some fault may make the cluster slower than its streams: skips that are counted are no loss.
    pub(crate) slows: bool,
    /// What each wall clock is wrong by, in milliseconds.
    pub(crate) skew_max_ms: u64,
    pub(crate) settings: Settings,
    /// Each publisher loses its line once in each of these times; if it is not said, some do at any time.
    pub(crate) moves: Option<Vec<(u64, u64)>>,
}

impl Plan {
    pub(crate) fn new(number: u64, seed: &mut Seed) -> Plan {
        let small = Size {
            origins: 3,
            edges: 3,
            operators: 2,
            streams: 6,
            viewers: 20,
        };
        let large = Size {
            origins: 5,
            edges: 8,
            operators: 2,
            streams: 50,
            viewers: 200,
        };
        let size = if number % 10 == 9 { large } else { small };
        let mut plan = Plan {
            size,
            faults: Vec::new(),
            slows: false,
            skew_max_ms: if seed.chance(300) { 30_000 } else { 20 },
            settings: Settings {
                on_duplicate: if number % 5 == 3 {
                    OnDuplicate::Backup
                } else {
                    OnDuplicate::Replace
                },
                origin_tick: (number % 2 == 1).then_some(Duration::from_millis(40)),
                edge_tick: (number % 3 == 1).then_some(Duration::from_millis(60)),
                regions: number % 4 == 2 || number % 40 == 19,
            },
            moves: None,
        };
        if number % 10 == 6 {
            plan.without_operators(seed);
        } else {
            for _ in 0..seed.within(1, 4) {
                plan.add(seed);
            }
        }
        plan.faults.sort_by_key(|(at_us, _)| *at_us);
        plan
    }

    /// Whether some operator lives through it all: who ends takes along what it knows of streams that have ended.
    pub(crate) fn remembers(&self) -> bool {
        let ends = |fault: &Fault, operator: usize| match fault {
            Fault::Kill(place) | Fault::PowerCut(place) | Fault::Drain(place) => {
                place.kind == Kind::Operator && place.index == operator
            }
            Fault::Start(_)
            | Fault::Stop(_)
            | Fault::Continue(_)
            | Fault::Slow(..)
            | Fault::Cut(..)
            | Fault::Heal(..)
            | Fault::Lossy(..) => false,
        };
        (0..self.size.operators)
            .any(|operator| !self.faults.iter().any(|(_, fault)| ends(fault, operator)))
    }

    /// All operators die for a while. Either clocks are far apart and each publisher moves twice, so that only who remembers
    /// the old session knows which numbers are taken; or an origin is cut off, and comes back with what it was the home of
    /// while nobody says that others are by now.
    fn without_operators(&mut self, seed: &mut Seed) {
        let from_us = seed.within(FAULTS_FROM_US, FAULTS_FROM_US + 3_000_000);
        let back_us = from_us + seed.within(3_000_000, 6_000_000);
        let until_us = seed.within(FAULTS_UNTIL_US - 4_000_000, FAULTS_UNTIL_US - 1_000_000);
        // A stream that has to be looked for is found late.
        self.slows = true;
        for index in 0..self.size.operators {
            let place = Place {
                kind: Kind::Operator,
                index,
            };
            self.faults.push((from_us, Fault::Kill(place)));
            self.faults.push((until_us, Fault::Start(place)));
        }
        if seed.chance(500) {
            self.skew_max_ms = 30_000;
            // Operators that have just come back do not know all numbers yet.
            self.moves = Some(vec![(from_us, back_us), (back_us, until_us - 2_000_000)]);
            return;
        }
        self.skew_max_ms = 20;
        let lonely = seed.index(self.size.origins);
        let place = |kind, index| Place { kind, index }.ip();
        let origins = (0..self.size.origins).filter(|index| *index != lonely);
        let edges = 0..self.size.edges;
        let others: Vec<IpAddr> = origins
            .map(|index| place(Kind::Origin, index))
            .chain(edges.map(|index| place(Kind::Edge, index)))
            .collect();
        let lonely = place(Kind::Origin, lonely);
        for other in others {
            for (from, to) in [(lonely, other), (other, lonely)] {
                self.faults.push((from_us, Fault::Cut(from, to)));
                self.faults.push((back_us, Fault::Heal(from, to)));
            }
        }
    }

    fn any(&self, seed: &mut Seed) -> Place {
        // Origins are what most promises are about.
        let (kind, count) = match seed.within(0, 9) {
            0..=5 => (Kind::Origin, self.size.origins),
            6..=7 => (Kind::Edge, self.size.edges),
            _ => (Kind::Operator, self.size.operators),
        };
        Place {
            kind,
            index: seed.index(count),
        }
    }

    fn add(&mut self, seed: &mut Seed) {
        let from_us = seed.within(FAULTS_FROM_US, FAULTS_UNTIL_US - 2_000_000);
        let until_us = seed.within(from_us + 300_000, FAULTS_UNTIL_US.min(from_us + 9_000_000));
        let place = self.any(seed);
        let (begin, end) = match seed.within(0, 9) {
            0..=2 => (vec![Fault::Kill(place)], vec![Fault::Start(place)]),
            3 => (vec![Fault::PowerCut(place)], vec![Fault::Start(place)]),
            4 => {
                self.slows = true;
                (vec![Fault::Stop(place)], vec![Fault::Continue(place)])
            }
            5 => {
                self.slows = true;
                let every_us = seed.within(20, 300) * 1000;
                (
                    vec![Fault::Slow(place, every_us)],
                    vec![Fault::Slow(place, 0)],
                )
            }
            6 => {
                let gone_us = (until_us + 5_500_000).max(from_us + 6_000_000);
                self.faults.push((gone_us, Fault::Start(place)));
                (vec![Fault::Drain(place)], Vec::new())
            }
            7 | 8 => {
                self.slows = true;
                self.partition(place, seed)
            }
            _ => {
                self.slows = true;
                let (from, to) = (place.ip(), self.other(place, seed).ip());
                let permille = seed.within(10, 100);
                (
                    vec![
                        Fault::Lossy(from, to, permille),
                        Fault::Lossy(to, from, permille),
                    ],
                    vec![Fault::Lossy(from, to, 0), Fault::Lossy(to, from, 0)],
                )
            }
        };
        self.faults
            .extend(begin.into_iter().map(|it| (from_us, it)));
        self.faults.extend(end.into_iter().map(|it| (until_us, it)));
    }

    fn other(&self, place: Place, seed: &mut Seed) -> Place {
        loop {
            let other = self.any(seed);
            if other != place {
                return other;
            }
        }
    }

    fn partition(&self, place: Place, seed: &mut Seed) -> (Vec<Fault>, Vec<Fault>) {
        let mut all = Vec::new();
        for (kind, count) in [
            (Kind::Origin, self.size.origins),
            (Kind::Edge, self.size.edges),
            (Kind::Operator, self.size.operators),
        ] {
            all.extend((0..count).map(|index| Place { kind, index }.ip()));
        }
        let me = place.ip();
        let others: Vec<IpAddr> = match seed.within(0, 3) {
            // From everybody in the cluster, from one kind, or from one.
            0 => all.into_iter().filter(|ip| *ip != me).collect(),
            1 => {
                let kind = self.any(seed).kind;
                let index = 0;
                let like = Place { kind, index }.ip();
                let net = |ip: &IpAddr| match ip {
                    IpAddr::V4(ip) => ip.octets()[2],
                    IpAddr::V6(_) => 0,
                };
                all.into_iter()
                    .filter(|ip| *ip != me && net(ip) == net(&like))
                    .collect()
            }
            _ => vec![self.other(place, seed).ip()],
        };
        let ways = seed.within(0, 2);
        let mut begin = Vec::new();
        let mut end = Vec::new();
        for other in others {
            for (from, to) in [(me, other), (other, me)]
                .into_iter()
                .enumerate()
                .filter_map(|(way, pair)| (ways == 2 || ways == way as u64).then_some(pair))
            {
                begin.push(Fault::Cut(from, to));
                end.push(Fault::Heal(from, to));
            }
        }
        (begin, end)
    }
}
