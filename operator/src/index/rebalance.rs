//! Which live streams would be elsewhere if they were placed now: what `headwater rebalance` moves, and nothing else does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use headwater_location::{Down, Endpoint, MemberId, Rehome, Role, StreamKey};

use super::ledger::{Current, Entry};
use super::{Effect, Index, SessionId};
use crate::placement::{View, solve};

/// Rounds over all streams: a move makes room for others.
const ROUNDS_MAX: usize = 4;

/// A stream that is to move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebalanced {
    /// The stream.
    pub key: StreamKey,
    /// Where its home is.
    pub from: MemberId,
    /// Where it is to be.
    pub to: MemberId,
}

impl Index {
    /// The streams that are to move so that each is where it would be placed now, and the orders to their ingresses;
    /// with `dry_run` only the streams.
    ///
    /// No move is to a member at its cap, counted in the order of the answer.
    pub fn rebalance(&mut self, dry_run: bool, now: Duration) -> (Vec<Rebalanced>, Vec<Effect>) {
        let settled: BTreeMap<StreamKey, Current> = self
            .ledger
            .iter()
            .filter_map(|(key, entry)| Some((key.clone(), Entry::current(entry)?)))
            .filter(|(_, current)| current.homes.len() == 1 && current.ingress.is_some())
            .collect();
        let moves = self.moves(&settled);
        let mut effects = Vec::new();
        if !dry_run {
            for moved in &moves {
                effects.extend(self.rehome(moved, settled.get(&moved.key)));
                self.reservations.reserve(&moved.key, &moved.to, now);
            }
        }
        (moves, effects)
    }

    fn moves(&self, settled: &BTreeMap<StreamKey, Current>) -> Vec<Rebalanced> {
        let mut loads: BTreeMap<&str, u64> = self
            .members
            .iter()
            .filter(|member| member.role == Role::Origin && member.takes_work())
            .map(|member| (&*member.id, self.ledger.homes(&member.id)))
            .collect();
        let mut homes: BTreeMap<&StreamKey, &str> = settled
            .iter()
            .filter_map(|(key, current)| Some((key, &**current.homes.first()?)))
            .collect();
        for _ in 0..ROUNDS_MAX {
            let mut changed = false;
            for (key, home) in &mut homes {
                // The stream is not a load against itself.
                if let Some(load) = loads.get_mut(home) {
                    *load = load.saturating_sub(1);
                }
                let placement = self.rules.as_ref().and_then(|rules| rules.placement(key));
                let allowed: BTreeMap<&str, u64> = loads
                    .iter()
                    .filter(|(id, _)| {
                        placement.is_none_or(|it| {
                            let member = self.members.get(id);
                            member.is_some_and(|member| it.allows(member, self.known.get(**id)))
                        })
                    })
                    .map(|(id, load)| (*id, *load))
                    .collect();
                let view = View {
                    ring: &self.ring,
                    loads: &allowed,
                    home: None,
                    reserved: None,
                };
                let chosen = solve(&view, key.as_str()).candidates.first().copied();
                let chosen = chosen
                    .and_then(|id| Some(&*self.members.get(id)?.id))
                    .unwrap_or(home);
                if let Some(load) = loads.get_mut(chosen) {
                    *load = load.saturating_add(1);
                }
                changed |= chosen != *home;
                *home = chosen;
            }
            if !changed {
                break;
            }
        }
        let moved = homes.into_iter().filter_map(|(key, to)| {
            let from = settled.get(key)?.homes.first()?;
            (**from != *to).then(|| Rebalanced {
                key: key.clone(),
                from: from.clone(),
                to: to.into(),
            })
        });
        moved.collect()
    }

    fn rehome(&self, moved: &Rebalanced, current: Option<&Current>) -> Option<Effect> {
        let current = current?;
        let ingress = &current.ingress.as_ref()?.member;
        let session = self.session_of(ingress)?;
        let home = self.members.get(&moved.to)?;
        let rehome = Rehome {
            key: moved.key.clone(),
            epoch: current.epoch,
            home: Endpoint {
                member: home.id.clone(),
                address: home.internal.clone(),
            },
        };
        Some(Effect::Send(session, Arc::new(Down::Rehome(rehome))))
    }

    /// The session of `member`, while it has one.
    pub(super) fn session_of(&self, member: &MemberId) -> Option<SessionId> {
        let mut sessions = self.sessions.iter();
        sessions
            .find(|(_, session)| session.member.id == *member)
            .map(|(id, _)| *id)
    }
}
