mod any_order;
mod placing;
mod sessions;
mod settling;
mod sources;

use std::collections::BTreeMap;

use headwater_location::{
    Carried, Endpoint, Heartbeat, LocateRequest, Member, Part, PlaceReply, PlaceRequest, Report,
    Role, Site, Sources, StreamReport,
};

use super::*;

fn key(name: &str) -> StreamKey {
    format!("default/live/{name}").parse().unwrap()
}

fn names(sources: &[headwater_location::Source]) -> Vec<String> {
    sources.iter().map(|it| it.member.to_string()).collect()
}

/// An index with a clock and members that behave.
struct Scenario {
    index: Index,
    now: Duration,
    sessions: BTreeMap<String, SessionId>,
    next: SessionId,
}

impl Scenario {
    fn new() -> Scenario {
        Scenario {
            index: Index::new("replica", 1, None, Duration::ZERO),
            now: Duration::ZERO,
            sessions: BTreeMap::new(),
            next: 1,
        }
    }

    fn with_origins(ids: &[&str]) -> Scenario {
        let mut scenario = Scenario::new();
        for id in ids {
            scenario.join(id, Role::Origin);
        }
        scenario.apply(Event::Tick);
        scenario
    }

    fn apply(&mut self, event: Event) -> Vec<Effect> {
        self.index.apply(event, self.now)
    }

    fn say(&mut self, id: &str, up: Up) -> Vec<Effect> {
        let session = self.sessions[id];
        self.apply(Event::Said(session, up))
    }

    fn join(&mut self, id: &str, role: Role) -> Vec<Effect> {
        let session = self.next;
        self.next += 1;
        self.sessions.insert(id.to_owned(), session);
        let member = Member::new(id, role, &format!("{id}:7000"));
        let effects = self.apply(Event::Said(session, Up::Hello(member)));
        self.say(
            id,
            Up::Report(Report {
                begin: true,
                complete: true,
                streams: Vec::new(),
            }),
        );
        effects
    }

    fn leave(&mut self, id: &str) -> Vec<Effect> {
        let session = self.sessions.remove(id).unwrap();
        self.apply(Event::Lost(session))
    }

    fn report(&mut self, id: &str, carried: Carried, ended: bool) -> Vec<Effect> {
        let report = Report {
            streams: vec![StreamReport { carried, ended }],
            ..Report::default()
        };
        self.say(id, Up::Report(report))
    }

    fn place(&mut self, key: &StreamKey, exclude: &[&str]) -> PlaceReply {
        let request = PlaceRequest {
            key: key.clone(),
            ingress: "ingress".into(),
            epoch: 1,
            exclude: exclude.iter().map(|id| MemberId::from(*id)).collect(),
        };
        self.index.place(&request, self.now)
    }

    fn locate(&self, key: &StreamKey) -> Sources {
        let request = LocateRequest {
            key: key.clone(),
            member: "edge".into(),
            site: Site::default(),
        };
        self.index.locate(&request, self.now).sources
    }

    fn left_ago(&self, key: &StreamKey) -> Option<Duration> {
        let request = LocateRequest {
            key: key.clone(),
            member: "edge".into(),
            site: Site::default(),
        };
        self.index.locate(&request, self.now).left_ago
    }
}

fn carried(key: &StreamKey, part: Part, epoch: u64, term: u64, ingress: &str) -> Carried {
    Carried {
        key: key.clone(),
        part,
        epoch,
        term,
        ingress: Some(Endpoint {
            member: ingress.into(),
            address: format!("{ingress}:7000"),
        }),
        home: None,
        seen: None,
        viewers: 0,
    }
}
