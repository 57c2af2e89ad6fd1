//! The promises that need a look at the whole cluster.

use super::*;
use crate::stage::{Joined, Show};
use headwater_location::ring::cap;
use headwater_location::{LocateRequest, PlaceRequest, Role, Site, StreamKey};
use headwater_operator::Operator;
use headwater_origin::Origin;

/// An operator tells of a dead member for no longer than this after its death: a second of silence, and two.
const DEAD_MAX_US: u64 = 3_000_000;
/// A viewer of a live stream has media that is no older at the end.
const FRESH_US: u64 = 2_000_000;
/// A viewer or publisher that began earlier before the end has found its stream by then.
const FOUND_US: u64 = 5_000_000;

/// A viewer of a stream that is on waits no longer for its next tag, as long as its edge and the publisher's origin run
/// as they should and reach each other: whatever happens to others. 300 ms of it are the patience with a line that loses
/// packets.
const GAP_MAX_US: u64 = 1_800_000;
/// What was disturbed counts as well again after so long.
const WELL_US: u64 = 4_000_000;
/// How often operators are asked for a place. Each is kept for five seconds and counts as a stream meanwhile.
const PROBE_EVERY_US: u64 = 6_000_000;
/// Places that may be kept at the same time for streams that are not there.
const KEPT_MAX: u64 = 3;
/// An operator knows of a drain after so long, whatever else goes on.
const LEAVING_US: u64 = 1_000_000;
/// An operator that the member reaches as it should knows of its drain after so long.
const TOLD_US: u64 = 250_000;
/// Clocks that differ by so much may number sessions in another order than they began.
const SKEWED_MS: u64 = 1_000;

/// What is counted over the whole run.
#[derive(Default)]
pub(super) struct Checks {
    /// Tags that edges say they left out.
    left_out: u64,
}

impl Checks {
    /// Takes over the counters of a process that ends.
    pub(super) fn count(&mut self, node: &Node) {
        if let Some(alive) = &node.alive
            && node.place.kind == Kind::Edge
        {
            self.left_out += left_out(&alive.registry);
        }
    }
}

fn left_out(registry: &headwater_process::metrics::Registry) -> u64 {
    let text = String::from_utf8(registry.encode()).unwrap();
    text.lines()
        .filter(|line| {
            line.starts_with("headwater_hub_dropped_tags_total")
                || line.starts_with("headwater_hop_gap_tags_total")
                || line.starts_with("headwater_hub_gap_tags_total")
        })
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

impl World {
    pub(super) fn check(&mut self) {
        for panic in panics::take() {
            self.stage.violation(self.now_us, &panic);
        }
        let mut wrong = Vec::new();
        for node in &self.nodes {
            if let Some(alive) = &node.alive
                && !node.stopped
                && node.every_us == 0
                && let Some(operator) = &alive.operator
            {
                let name = node.place.name();
                let at = node.place.ip();
                let seen = alive.process.run(async { self.ask(operator, at) });
                wrong.extend(seen.into_iter().map(|text| format!("{name} {text}")));
            }
        }
        self.number();
        wrong.extend(self.gaps());
        let wires = self.network.wires();
        let wires_max =
            200 + 20 * (self.plan.size.viewers + self.plan.size.streams * self.plan.size.edges);
        if wires > wires_max || self.network.bytes() > 64 << 20 {
            wrong.push(format!(
                "{wires} connections with {} bytes",
                self.network.bytes()
            ));
        }
        for text in wrong {
            self.stage.violation(self.now_us, &text);
        }
    }

    /// What an operator says that it must not.
    fn ask(&self, operator: &Operator, at: IpAddr) -> Vec<String> {
        let mut wrong = Vec::new();
        for stream in 0..self.plan.size.streams {
            let key = publisher::key(stream);
            let request = LocateRequest {
                key: key.clone(),
                member: "observer".into(),
                site: Site::default(),
            };
            for source in operator.locate(&request).sources.sources {
                let dead = self
                    .member(&source.member)
                    .and_then(|node| node.dead_since_us);
                if let Some(since_us) = dead.filter(|at_us| self.now_us - at_us > DEAD_MAX_US) {
                    let ms = (self.now_us - since_us) / 1000;
                    let text = format!(
                        "sends edges for {key} to {}, dead for {ms} ms",
                        source.member
                    );
                    wrong.push(text);
                }
            }
        }
        if self.now_us.is_multiple_of(PROBE_EVERY_US) {
            wrong.extend(self.probe(operator));
        }
        wrong.extend(self.leaving(operator, at));
        wrong
    }

    /// Asks for a place while a member drains, for a stream that never comes: one name, so that one place is kept.
    fn leaving(&self, operator: &Operator, at: IpAddr) -> Vec<String> {
        let told = |node: &&Node| {
            let line = self.lines.get(&(node.place.ip(), at));
            let since_us = node.leaving_since_us.max(line.copied());
            let well = node.alive.is_some() && !node.stopped && node.every_us == 0;
            let long_ago = |at_us: u64| self.now_us.saturating_sub(at_us) > TOLD_US;
            well && node.leaving_since_us.is_some() && since_us.is_some_and(long_ago)
        };
        let leaving: Vec<String> = self
            .nodes
            .iter()
            .filter(told)
            .map(|node| node.place.name())
            .collect();
        if leaving.is_empty() {
            return Vec::new();
        }
        let request = PlaceRequest {
            key: "default/probe/leaving".parse().unwrap(),
            ingress: "observer".into(),
            epoch: 1,
            exclude: Vec::new(),
        };
        let candidates = operator.place(&request).candidates;
        candidates
            .iter()
            .filter(|source| leaving.iter().any(|name| **name == *source.member))
            .map(|source| format!("places at {}, which drains", source.member))
            .collect()
    }

    /// Asks for a place for a stream that never comes.
    fn probe(&self, operator: &Operator) -> Vec<String> {
        let listing = operator.listing();
        let homes: BTreeMap<&str, u64> = listing
            .members
            .iter()
            .filter(|row| row.member.role == Role::Origin && row.member.takes_work())
            .map(|row| (&*row.member.id, row.homes))
            .collect();
        let total: u64 = homes.values().sum();
        let cap = cap(total + KEPT_MAX, homes.len());
        let key: StreamKey = format!("default/probe/{}", self.now_us).parse().unwrap();
        let request = PlaceRequest {
            key,
            ingress: "observer".into(),
            epoch: 1,
            exclude: Vec::new(),
        };
        let mut wrong = Vec::new();
        for candidate in operator.place(&request).candidates {
            let id = &*candidate.member;
            if homes.get(id).is_none_or(|homes| *homes >= cap) {
                wrong.push(format!(
                    "places at {id}, where the cap of {cap} is reached: {homes:?}"
                ));
            }
            let leaving = self.member(id).and_then(|node| node.leaving_since_us);
            if leaving.is_some_and(|at_us| self.now_us - at_us > LEAVING_US) {
                wrong.push(format!("places at {id}, which drains"));
            }
        }
        wrong
    }

    fn member(&self, id: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.place.name() == id)
    }

    /// Looks at once which number a session has that has just begun: one with a number below an older one's may be sent
    /// away before the next check.
    pub(super) fn number_new(&self) {
        if self.plan.skew_max_ms >= SKEWED_MS && self.stage.lacks_numbers() {
            self.number();
        }
    }

    /// Looks which number each stream's session has, where clocks are so far apart that it may be below an older one's.
    fn number(&self) {
        if self.plan.skew_max_ms < SKEWED_MS {
            return;
        }
        for (index, node) in self.origins() {
            let Some(alive) = node.alive.as_ref().filter(|_| !node.stopped) else {
                continue;
            };
            let facts = alive
                .process
                .run(async { alive.origin.as_ref().map(Origin::streams) });
            let facts = facts.unwrap_or_default();
            for stream in 0..self.plan.size.streams {
                let here = |show: &mut Show| show.on && show.origin == index;
                let key = publisher::key(stream).to_string();
                let found = facts
                    .iter()
                    .find(|it| it.key == key && it.role.contains("ingress"));
                if let Some(fact) = found
                    && self.stage.show(stream, here)
                {
                    self.stage.numbered(self.now_us, stream, fact.epoch);
                }
            }
        }
    }

    fn origins(&self) -> impl Iterator<Item = (usize, &Node)> {
        let places = (0..self.plan.size.origins).map(|index| Place {
            kind: Kind::Origin,
            index,
        });
        places.map(|place| (place.index, &self.nodes[self.index(place)]))
    }

    /// Viewers that wait for a next tag for too long.
    fn gaps(&self) -> Vec<String> {
        let long_ago = |at_us: u64| self.now_us.saturating_sub(at_us) > WELL_US;
        let mut wrong = Vec::new();
        for (viewer, sight) in self.stage.sights().iter().enumerate() {
            let Some(Joined {
                edge,
                process,
                since_us: joined_us,
            }) = sight.joined
            else {
                continue;
            };
            // Nobody tells a viewer of a machine that has lost its power.
            if process != self.stage.edge(edge, |house| house.started) {
                continue;
            }
            let show = self.stage.show(sight.stream, |show| show.clone());
            let waits_us = self.now_us - sight.last_us.max(show.since_us).max(joined_us);
            let below = self.stage.is_below(sight.stream, show.session);
            if !show.on || below || sight.slow || waits_us <= GAP_MAX_US {
                continue;
            }
            let places = [(Kind::Edge, edge), (Kind::Origin, show.origin)]
                .map(|(kind, index)| Place { kind, index });
            let well = places.iter().all(|place| {
                let node = &self.nodes[self.index(*place)];
                node.alive.is_some()
                    && node.leaving_since_us.is_none()
                    && !node.stopped
                    && node.every_us == 0
                    && long_ago(node.well_since_us)
            });
            let [edge_ip, origin_ip] = places.map(Place::ip);
            let lines = [(edge_ip, origin_ip), (origin_ip, edge_ip)];
            let reach = lines
                .iter()
                .all(|line| self.lines.get(line).is_none_or(|at_us| long_ago(*at_us)));
            if well && reach && long_ago(show.since_us) && long_ago(joined_us) {
                wrong.push(format!(
                    "viewer-{viewer} of {} at edge-{edge} waits for {} ms for session {} on origin-{}",
                    publisher::name(sight.stream),
                    waits_us / 1000,
                    show.session,
                    show.origin
                ));
            }
        }
        wrong
    }

    pub(super) fn check_end(&mut self) {
        for index in 0..self.nodes.len() {
            self.checks.count(&self.nodes[index]);
        }
        let sights = self.stage.sights();
        for stream in 0..self.plan.size.streams {
            let show = self.stage.show(stream, |show| show.clone());
            let name = publisher::name(stream);
            if show.wanted && !show.on && self.now_us - show.wanted_since_us > FOUND_US {
                let text = format!("{name} is not on at the end");
                self.stage.violation(self.now_us, &text);
            }
            for (number, sight) in sights
                .iter()
                .enumerate()
                .filter(|(_, it)| it.stream == stream)
            {
                let settled = show.on
                    && self.now_us - show.since_us > FOUND_US
                    && sight.wants
                    && self.now_us - sight.since_us > FOUND_US;
                let fresh = sight.session == show.session && self.now_us - sight.last_us < FRESH_US;
                if settled && !fresh && !sight.slow {
                    let text = format!(
                        "viewer-{number} of {name} has nothing of session {}: its last tag is of session {}, {} ms ago",
                        show.session,
                        sight.session,
                        (self.now_us - sight.last_us) / 1000
                    );
                    self.stage.violation(self.now_us, &text);
                }
            }
        }
        let skipped: u64 = sights
            .iter()
            .filter(|it| !it.slow)
            .map(|it| it.skipped)
            .sum();
        let all: u64 = sights.iter().map(|it| it.skipped).sum();
        if skipped > 0 && !self.plan.slows {
            let text =
                format!("viewers with good lines missed {skipped} tags while nothing was slow");
            self.stage.violation(self.now_us, &text);
        }
        if all > 0 && self.checks.left_out == 0 {
            let text = format!("viewers missed {all} tags, and nobody counted them");
            self.stage.violation(self.now_us, &text);
        }
    }
}
