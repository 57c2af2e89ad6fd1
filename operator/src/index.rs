//! What one replica knows: members, their sessions and the ledger of streams, as a plain value.
//!
//! Events and `now` go in, effects come out; the shell in `serve` owns the sockets. Everything is rebuilt from
//! what members report, so a replica that starts anew is whole about a second later.

mod exceptions;
mod known;
mod ledger;
mod listing;
mod members;
mod past;
mod place;
mod rebalance;
mod reservations;
mod rules;
mod said;
mod sessions;
mod watches;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use headwater_location::limits::{SETTLE, SILENCE};
use headwater_location::ring::Ring;
use headwater_location::{Down, MemberId, MemberList, Order, StreamKey, Up};

use self::exceptions::ExceptionBook;
use self::ledger::Ledger;
use self::reservations::Reservations;
use self::sessions::{Session, Standing};
use self::watches::Watches;

pub use self::known::Known;
pub use self::listing::{Burden, Listing, MemberRow, StreamRow};
pub use self::rebalance::Rebalanced;
pub use self::rules::{Matched, Restriction, Rule, Rules};
pub use self::sessions::{CloseReason, SessionId};

/// How long a replica that starts waits for members that should be there.
const EXPECTED_MAX: Duration = Duration::from_secs(10);

/// Something happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A member said something in a session; the first word of a session is its Hello.
    Said(SessionId, Up),
    /// A session is over.
    Lost(SessionId),
    /// Somebody keeps new work away from a member, or no longer.
    Cordon(MemberId, bool),
    /// A member is to give its work up, or to take work again.
    Order(MemberId, Order),
    /// What a cluster's control plane knows of members, in place of what it knew before.
    Known(BTreeMap<MemberId, Known>),
    /// The members that should be there: until they have reported, this replica does not know what is missing.
    Expect(BTreeSet<MemberId>),
    /// Where the replicas of the operator are: members have a session with each.
    Operators(BTreeSet<SocketAddr>),
    /// The policies in force, in place of those before.
    Rules(Rules),
    /// Time passed.
    Tick,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Say it in one session.
    Send(SessionId, Arc<Down>),
    /// Say it in all sessions that have said Hello.
    Broadcast(Arc<Down>),
    /// End a session.
    Close(SessionId, CloseReason),
}

/// What one replica knows.
#[derive(Debug)]
pub struct Index {
    replica: String,
    allowed: Option<BTreeSet<MemberId>>,
    started: Duration,
    version: u64,
    sessions: BTreeMap<SessionId, Session>,
    /// Who is alive, with the standing that this replica gives it.
    members: MemberList,
    standings: BTreeMap<MemberId, Standing>,
    known: BTreeMap<MemberId, Known>,
    /// Who should be there; `None` while that is not known yet.
    expected: Option<BTreeSet<MemberId>>,
    /// Where the replicas are, as far as the cluster tells.
    operators: Vec<SocketAddr>,
    /// `None` while none have been read.
    rules: Option<Rules>,
    ring: Ring,
    /// Something has changed that the list is made of.
    members_changed: bool,
    /// Members came, went or moved since watchers were last told of it.
    places_changed: bool,
    /// The members do not know the list of this version yet.
    list_changed: bool,
    /// The exceptions are those of an earlier ring.
    ring_changed: bool,
    ledger: Ledger,
    reservations: Reservations,
    exceptions: ExceptionBook,
    watches: Watches,
}

impl Index {
    /// An empty index that starts `now`. Its member lists count from `version`; only members of `allowed` may
    /// join, or all if that is `None`.
    pub fn new(
        replica: &str,
        version: u64,
        allowed: Option<BTreeSet<MemberId>>,
        now: Duration,
    ) -> Index {
        Index {
            replica: replica.to_owned(),
            allowed,
            started: now,
            version,
            sessions: BTreeMap::new(),
            members: MemberList::default(),
            standings: BTreeMap::new(),
            known: BTreeMap::new(),
            expected: Some(BTreeSet::new()),
            operators: Vec::new(),
            rules: None,
            ring: Ring::new(Vec::<String>::new()),
            members_changed: false,
            places_changed: false,
            list_changed: false,
            ring_changed: false,
            ledger: Ledger::default(),
            reservations: Reservations::default(),
            exceptions: ExceptionBook::default(),
            watches: Watches::default(),
        }
    }

    /// An index that will hear who should be there.
    #[must_use]
    pub fn expecting(self) -> Index {
        Index {
            expected: None,
            ..self
        }
    }

    /// Whether it has heard of everything that is alive.
    pub fn settled(&self, now: Duration) -> bool {
        let age = now.saturating_sub(self.started);
        // A member that never completes its snapshot holds nobody up, and one that never comes only for a while.
        if age < EXPECTED_MAX && !self.all_are_there() {
            return false;
        }
        age >= SETTLE.saturating_mul(2)
            || age >= SETTLE && self.sessions.values().all(|session| session.whole)
    }

    fn all_are_there(&self) -> bool {
        let Some(expected) = &self.expected else {
            return false;
        };
        let whole: BTreeSet<&MemberId> = self
            .sessions
            .values()
            .filter(|session| session.whole)
            .map(|session| &session.member.id)
            .collect();
        expected.iter().all(|id| whole.contains(id))
    }

    /// All members that are alive.
    pub fn members(&self) -> &MemberList {
        &self.members
    }

    /// How many streams anybody has a part in.
    pub fn streams(&self) -> usize {
        self.ledger.len()
    }

    /// Takes an event in; the effects are in the order to carry them out.
    pub fn apply(&mut self, event: Event, now: Duration) -> Vec<Effect> {
        let mut effects = Vec::new();
        let mut touched = BTreeSet::new();
        let ticked = matches!(event, Event::Tick);
        match event {
            Event::Said(session, up) => {
                self.said(session, up, now, &mut touched, &mut effects);
            }
            Event::Lost(session) => self.lost(session, now, &mut touched),
            Event::Cordon(member, cordoned) => {
                self.standing(member, |standing| standing.cordoned = cordoned);
            }
            Event::Order(member, order) => self.order(&member, order, &mut effects),
            Event::Known(known) => {
                self.known = known;
                self.members_changed = true;
            }
            Event::Expect(expected) => self.expected = Some(expected),
            Event::Operators(operators) => self.operators(operators),
            Event::Rules(rules) => self.rule(rules, &mut effects),
            Event::Tick => self.tick(now, &mut touched, &mut effects),
        }
        self.relist();
        if ticked {
            self.publish_members(now, &mut effects);
            touched.extend(self.watched_anew());
        }
        self.follow_up(touched, &mut effects);
        effects
    }

    fn order(&mut self, member: &MemberId, order: Order, effects: &mut Vec<Effect>) {
        let drain = match &order {
            Order::Drain { .. } => Some(order.clone()),
            Order::Undrain => None,
        };
        self.standing(member.clone(), |standing| standing.drain = drain);
        if let Some(session) = self.session_of(member) {
            effects.push(Effect::Send(session, Arc::new(Down::Order(order))));
        }
    }

    fn rule(&mut self, rules: Rules, effects: &mut Vec<Effect>) {
        if self.rules.as_ref() == Some(&rules) {
            return;
        }
        let chunks = rules.chunks();
        effects.extend(chunks.into_iter().map(|it| Effect::Broadcast(Arc::new(it))));
        self.rules = Some(rules);
    }

    /// Changes what was decided about `member`; nothing is kept of one that is like all.
    fn standing(&mut self, member: MemberId, change: impl FnOnce(&mut Standing)) {
        let mut standing = self.standings.remove(&member).unwrap_or_default();
        change(&mut standing);
        self.members_changed = true;
        if standing != Standing::default() {
            self.standings.insert(member, standing);
        }
    }

    fn tick(
        &mut self,
        now: Duration,
        touched: &mut BTreeSet<StreamKey>,
        effects: &mut Vec<Effect>,
    ) {
        let silent: Vec<SessionId> = self
            .sessions
            .iter()
            .filter(|(_, session)| now.saturating_sub(session.heard) > SILENCE)
            .map(|(id, _)| *id)
            .collect();
        for id in silent {
            self.lost(id, now, touched);
            effects.push(Effect::Close(id, CloseReason::Silent));
        }
        self.reservations.expire(now);
        self.ledger.forget(now);
    }

    /// Broadcasts the exceptions and moves that changed with the streams `touched`.
    fn follow_up(&mut self, touched: BTreeSet<StreamKey>, effects: &mut Vec<Effect>) {
        let changes = self.exceptions.update(&touched, &self.ledger, &self.ring);
        effects.extend(
            changes
                .into_iter()
                .map(|it| Effect::Broadcast(Arc::new(it))),
        );
        for key in touched {
            for (id, last) in self.watches.watchers(&key) {
                let Some(session) = self.sessions.get(id) else {
                    continue;
                };
                let site = known::site(&self.members, &session.member);
                let sources = self.ledger.sources(&key, &self.members, &site);
                if *last != sources {
                    last.clone_from(&sources);
                    let key = key.clone();
                    effects.push(Effect::Send(*id, Arc::new(Down::Move { key, sources })));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
