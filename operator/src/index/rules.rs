//! Policies as an operator holds them: what members are told, and where homes may be.

use std::collections::BTreeMap;

use headwater_location::limits::{POLICIES_CHUNK_MAX, POLICIES_MAX};
use headwater_location::policy::{Policies, Policy};
use headwater_location::{Down, Member, PoliciesChunk, StreamKey};

use super::Index;
use super::known::Known;

/// Which origins may be home; what is empty restricts nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restriction {
    /// Regions of which one must be the origin's.
    pub regions: Vec<String>,
    /// Zones of which one must be the origin's.
    pub zones: Vec<String>,
    /// Labels that the origin's node must all have.
    pub node_labels: BTreeMap<String, String>,
}

impl Restriction {
    /// Whether `member` may be a home, given what is `known` of it.
    pub fn allows(&self, member: &Member, known: Option<&Known>) -> bool {
        let among = |wanted: &[String], is: &String| wanted.is_empty() || wanted.contains(is);
        among(&self.regions, &member.site.region)
            && among(&self.zones, &member.site.zone)
            && self.node_labels.iter().all(|(name, value)| {
                known.and_then(|known| known.node_labels.get(name)) == Some(value)
            })
    }
}

/// One policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What members are told.
    pub policy: Policy,
    /// Where homes may be.
    pub placement: Restriction,
}

/// All policies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    policies: Policies,
    placements: BTreeMap<String, Restriction>,
}

/// What a policy does at present.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matched {
    /// Live streams for which it decides.
    pub streams: u64,
    /// The first few of them.
    pub examples: Vec<String>,
    /// Origins that may be homes under it and take new work.
    pub origins: u64,
}

/// As many examples as a reader wants to see.
const EXAMPLES_MAX: usize = 5;

impl Rules {
    /// The rules by name, the first [`POLICIES_MAX`] of them.
    pub fn new(mut rules: Vec<Rule>) -> Rules {
        rules.sort_by(|a, b| a.policy.name.cmp(&b.policy.name));
        rules.truncate(POLICIES_MAX);
        let placements = rules
            .iter()
            .map(|rule| (rule.policy.name.clone(), rule.placement.clone()))
            .collect();
        Rules {
            policies: Policies::new(rules.into_iter().map(|rule| rule.policy).collect()),
            placements,
        }
    }

    /// What members are told.
    pub fn policies(&self) -> &Policies {
        &self.policies
    }

    /// Where homes of `key` may be.
    pub(super) fn placement(&self, key: &StreamKey) -> Option<&Restriction> {
        self.placements.get(&self.policies.of(key)?.name)
    }

    /// [`Self::policies`] in messages.
    pub(super) fn chunks(&self) -> Vec<Down> {
        let mut chunks: Vec<PoliciesChunk> = self
            .policies
            .as_slice()
            .chunks(POLICIES_CHUNK_MAX)
            .map(|policies| PoliciesChunk {
                policies: policies.to_vec(),
                ..PoliciesChunk::default()
            })
            .collect();
        if chunks.is_empty() {
            chunks.push(PoliciesChunk::default());
        }
        if let Some(first) = chunks.first_mut() {
            first.begin = true;
        }
        if let Some(last) = chunks.last_mut() {
            last.complete = true;
        }
        chunks.into_iter().map(Down::Policies).collect()
    }
}

impl Index {
    /// What each policy does at present, by name.
    pub fn matched(&self) -> BTreeMap<String, Matched> {
        let Some(rules) = &self.rules else {
            return BTreeMap::new();
        };
        let origins = |placement: &Restriction| {
            let may = self.members.iter().filter(|member| {
                member.role == headwater_location::Role::Origin
                    && member.takes_work()
                    && placement.allows(member, self.known.get(&member.id))
            });
            u64::try_from(may.count()).unwrap_or(u64::MAX)
        };
        let mut matched: BTreeMap<String, Matched> = rules
            .placements
            .iter()
            .map(|(name, placement)| {
                let origins = origins(placement);
                (
                    name.clone(),
                    Matched {
                        origins,
                        ..Matched::default()
                    },
                )
            })
            .collect();
        let mut keys: Vec<&StreamKey> = self.ledger.iter().map(|(key, _)| key).collect();
        keys.sort();
        for key in keys {
            let Some(policy) = rules.policies.of(key) else {
                continue;
            };
            if let Some(matched) = matched.get_mut(&policy.name) {
                matched.streams = matched.streams.saturating_add(1);
                if matched.examples.len() < EXAMPLES_MAX {
                    matched.examples.push(key.to_string());
                }
            }
        }
        matched
    }
}
