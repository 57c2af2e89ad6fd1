//! What a cluster's control plane knows of members, beside what they say themselves.

use std::collections::BTreeMap;

use headwater_location::{Member, MemberList, Site};

/// What is known of one member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Where its node stands; fills in what the member does not know of itself.
    pub site: Site,
    /// Labels of its node.
    pub node_labels: BTreeMap<String, String>,
    /// It is to get no new work.
    pub cordoned: bool,
}

/// Where the member of a session stands, with what was filled in.
pub(super) fn site(members: &MemberList, member: &Member) -> Site {
    members
        .get(&member.id)
        .map_or_else(|| member.site.clone(), |listed| listed.site.clone())
}
