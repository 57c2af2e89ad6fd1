//! What members say in their sessions, and what the end of a session means.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use headwater_location::limits::{MEMBER_STREAMS_MAX, MEMBER_WATCHES_MAX, MEMBERS_MAX};
use headwater_location::{Down, Heartbeat, Member, Part, Report, StreamKey, StreamReport, Up};

use super::ledger::News;
use super::sessions::{CloseReason, Session, SessionId};
use super::{Effect, Index, Rules, known};

impl Index {
    pub(super) fn said(
        &mut self,
        id: SessionId,
        up: Up,
        now: Duration,
        touched: &mut BTreeSet<StreamKey>,
        effects: &mut Vec<Effect>,
    ) {
        let said = match up {
            Up::Hello(member) => self.hello(id, member, now, touched, effects),
            Up::Report(report) => self.report(id, report, now, touched),
            Up::Heartbeat(beat) => self.heartbeat(id, beat, now),
            Up::Watch(keys) => self.watch(id, keys, now, effects),
            Up::Unwatch(keys) => {
                for key in keys {
                    self.watches.remove(id, &key);
                }
                self.heard(id, now)
            }
        };
        if let Err(reason) = said {
            self.lost(id, now, touched);
            effects.push(Effect::Close(id, reason));
        }
    }

    fn heard(&mut self, id: SessionId, now: Duration) -> Result<(), CloseReason> {
        let session = self.sessions.get_mut(&id).ok_or(CloseReason::NoHello)?;
        session.heard = now;
        self.ledger.heard(&session.member.id, now);
        Ok(())
    }

    fn hello(
        &mut self,
        id: SessionId,
        member: Member,
        now: Duration,
        touched: &mut BTreeSet<StreamKey>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), CloseReason> {
        if self
            .allowed
            .as_ref()
            .is_some_and(|allowed| !allowed.contains(&member.id))
        {
            return Err(CloseReason::NotAllowed);
        }
        if self.sessions.contains_key(&id) {
            return Err(CloseReason::HelloTwice);
        }
        let older = self
            .sessions
            .iter()
            .find(|(_, session)| session.member.id == member.id)
            .map(|(older, session)| (*older, session.member.incarnation));
        if let Some((older, incarnation)) = older {
            if incarnation > member.incarnation {
                return Err(CloseReason::Replaced);
            }
            if incarnation == member.incarnation {
                // The same process on a new connection: its parts stay until its snapshot says otherwise.
                self.sessions.remove(&older);
                self.watches.remove_session(older);
            } else {
                self.lost(older, now, touched);
            }
            effects.push(Effect::Close(older, CloseReason::Replaced));
        } else if self.sessions.len() >= MEMBERS_MAX {
            return Err(CloseReason::TooMany);
        }
        let standing = self.standings.get(&member.id);
        let drain = standing.and_then(|standing| standing.drain.clone());
        self.sessions.insert(id, Session::new(member, now));
        self.members_changed = true;
        // The newcomer gets everything whole at once; the others hear of it with the next tick.
        self.relist();
        for chunk in self.member_chunks(now) {
            effects.push(Effect::Send(id, Arc::new(chunk)));
        }
        for chunk in self.exceptions.whole() {
            effects.push(Effect::Send(id, Arc::new(chunk)));
        }
        for chunk in self.rules.iter().flat_map(Rules::chunks) {
            effects.push(Effect::Send(id, Arc::new(chunk)));
        }
        if let Some(order) = drain {
            effects.push(Effect::Send(id, Arc::new(Down::Order(order))));
        }
        Ok(())
    }

    fn report(
        &mut self,
        id: SessionId,
        report: Report,
        now: Duration,
        touched: &mut BTreeSet<StreamKey>,
    ) -> Result<(), CloseReason> {
        let session = self.sessions.get_mut(&id).ok_or(CloseReason::NoHello)?;
        session.heard = now;
        let member = session.member.id.clone();
        self.ledger.heard(&member, now);
        if report.begin {
            session.named = Some(BTreeSet::new());
        }
        for StreamReport { carried, ended } in report.streams {
            let (key, part) = (carried.key.clone(), carried.part);
            if ended {
                self.ledger.end(&member, &key, part, Some(&carried), now);
                touched.insert(key);
                continue;
            }
            if let Some(named) = &mut session.named {
                named.insert((key.clone(), part));
            }
            if part == Part::Home {
                self.reservations.release(&key);
            }
            let news = self.ledger.set(&member, carried, now);
            if news == News::Part && self.ledger.parts(&member) > MEMBER_STREAMS_MAX {
                return Err(CloseReason::TooMany);
            }
            // Time goes on in every report of every stream: nobody has to hear of that.
            if news != News::Time {
                touched.insert(key);
            }
        }
        if report.complete {
            let named = session.named.take().unwrap_or_default();
            session.whole = true;
            for (key, part) in self.ledger.parts_of(&member) {
                if !named.contains(&(key.clone(), part)) {
                    self.ledger.end(&member, &key, part, None, now);
                    touched.insert(key);
                }
            }
        }
        Ok(())
    }

    fn heartbeat(
        &mut self,
        id: SessionId,
        beat: Heartbeat,
        now: Duration,
    ) -> Result<(), CloseReason> {
        let session = self.sessions.get_mut(&id).ok_or(CloseReason::NoHello)?;
        session.heard = now;
        session.load = beat.load;
        self.ledger.heard(&session.member.id, now);
        let member = &mut session.member;
        let before = (member.ready, member.draining, member.revision);
        let after = (beat.ready, beat.draining, beat.revision);
        (member.ready, member.draining, member.revision) = after;
        self.members_changed |= before != after;
        Ok(())
    }

    fn watch(
        &mut self,
        id: SessionId,
        keys: Vec<StreamKey>,
        now: Duration,
        effects: &mut Vec<Effect>,
    ) -> Result<(), CloseReason> {
        let session = self.sessions.get_mut(&id).ok_or(CloseReason::NoHello)?;
        session.heard = now;
        if self.watches.of(id).saturating_add(keys.len()) > MEMBER_WATCHES_MAX {
            return Err(CloseReason::TooMany);
        }
        let site = known::site(&self.members, &session.member);
        for key in keys {
            let sources = self.ledger.sources(&key, &self.members, &site);
            self.watches.add(id, &key, sources.clone());
            let moved = Down::Move { key, sources };
            effects.push(Effect::Send(id, Arc::new(moved)));
        }
        Ok(())
    }

    pub(super) fn lost(&mut self, id: SessionId, now: Duration, touched: &mut BTreeSet<StreamKey>) {
        let Some(session) = self.sessions.remove(&id) else {
            return;
        };
        self.members_changed = true;
        self.watches.remove_session(id);
        let member = &session.member.id;
        self.reservations.release_all(member);
        for (key, part) in self.ledger.parts_of(member) {
            self.ledger.end(member, &key, part, None, now);
            touched.insert(key);
        }
    }
}
