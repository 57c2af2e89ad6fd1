//! The settings by which a member finds the others.

use headwater_process::documented;
use serde::{Deserialize, Serialize};

use crate::limits::{MEMBERS_MAX, OPERATORS_MAX, WORD_MAX_BYTES};
use crate::member::{Member, Role, Site};

documented! {
    /// Where a process stands in the cluster and how it finds the others.
    #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct LocationConfig {
        /// `host:port` of each operator replica; without any, the members below are all there is.
        pub operators: Vec<String>,
        /// `host:port` of a name whose addresses are all operator replicas, such as a headless Service; they are asked
        /// for again every second.
        pub operators_name: String,
        /// Members that are known without an operator; all processes need the same list.
        pub members: Vec<StaticMember>,
        /// What this process calls itself, unlike any other; empty: its role and internal address.
        pub id: String,
        /// `host:port` at which other roles reach this process; empty: the address of its internal port.
        pub advertise: String,
        /// Region that this process runs in.
        pub region: String,
        /// Zone that this process runs in.
        pub zone: String,
    }
}

/// A member that is known without an operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticMember {
    /// What it calls itself.
    pub id: String,
    /// What it does.
    pub role: Role,
    /// `host:port` at which other roles reach it.
    pub internal: String,
    /// Region that it runs in.
    #[serde(default)]
    pub region: String,
    /// Zone that it runs in.
    #[serde(default)]
    pub zone: String,
}

impl LocationConfig {
    /// Finds settings that cannot work.
    ///
    /// # Errors
    /// A sentence that names the setting and says what to write.
    pub fn check(&self) -> Result<(), String> {
        if self.operators.len() > OPERATORS_MAX {
            return Err(format!(
                "location.operators has more than {OPERATORS_MAX} addresses"
            ));
        }
        for address in &self.operators {
            check_address("location.operators", address)?;
        }
        if !self.operators_name.is_empty() {
            check_address("location.operators_name", &self.operators_name)?;
        }
        if !self.advertise.is_empty() {
            check_address("location.advertise", &self.advertise)?;
        }
        if self.members.len() > MEMBERS_MAX {
            return Err(format!(
                "location.members has more than {MEMBERS_MAX} members"
            ));
        }
        for (index, member) in self.members.iter().enumerate() {
            check_word("location.members: id", &member.id)?;
            check_address("location.members: internal", &member.internal)?;
            let earlier = self.members.iter().take(index);
            if earlier.map(|it| &it.id).any(|id| *id == member.id) {
                return Err(format!("location.members has two members `{}`", member.id));
            }
        }
        Ok(())
    }

    /// How this process describes itself: its role, and `internal`, the `host:port` of its internal port.
    pub fn member(&self, role: Role, internal: &str) -> Member {
        let internal = if self.advertise.is_empty() {
            internal
        } else {
            &self.advertise
        };
        let id = if self.id.is_empty() {
            format!("{}-{internal}", role.label())
        } else {
            self.id.clone()
        };
        Member {
            site: Site {
                region: self.region.clone(),
                zone: self.zone.clone(),
            },
            ..Member::new(&id, role, internal)
        }
    }
}

impl From<&StaticMember> for Member {
    fn from(member: &StaticMember) -> Member {
        Member {
            site: Site {
                region: member.region.clone(),
                zone: member.zone.clone(),
            },
            version: String::new(),
            ..Member::new(&member.id, member.role, &member.internal)
        }
    }
}

fn check_word(setting: &str, text: &str) -> Result<(), String> {
    if text.is_empty() || text.len() > WORD_MAX_BYTES || text.chars().any(char::is_control) {
        return Err(format!(
            "{setting} `{}` is empty, longer than {WORD_MAX_BYTES} bytes or not one line",
            text.escape_default()
        ));
    }
    Ok(())
}

fn check_address(setting: &str, text: &str) -> Result<(), String> {
    check_word(setting, text)?;
    let port = text.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    if port.is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
        return Err(format!(
            "{setting} `{text}` is not an address; write for example `origin-0:7000` or `[::1]:7000`"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_named() {
        let member = |id: &str, internal: &str| StaticMember {
            id: id.to_owned(),
            role: Role::Origin,
            internal: internal.to_owned(),
            region: String::new(),
            zone: String::new(),
        };
        let with = |operators: &[&str], members: &[StaticMember]| LocationConfig {
            operators: operators.iter().map(ToString::to_string).collect(),
            members: members.to_vec(),
            ..LocationConfig::default()
        };
        for (name, config, complaint) in [
            ("nothing", with(&[], &[]), None),
            (
                "fine",
                with(&["op:7100", "[::1]:7100"], &[member("a", "a:1")]),
                None,
            ),
            ("no port", with(&["op"], &[]), Some("`op`")),
            ("no host", with(&[":7100"], &[]), Some("`:7100`")),
            (
                "twice",
                with(&[], &[member("a", "a:1"), member("a", "b:1")]),
                Some("two members `a`"),
            ),
            ("empty id", with(&[], &[member("", "a:1")]), Some("id")),
        ] {
            match (config.check(), complaint) {
                (Ok(()), None) => {}
                (Err(text), Some(part)) => assert!(text.contains(part), "{name}: {text}"),
                (got, _) => panic!("{name}: {got:?}"),
            }
        }
    }

    #[test]
    fn a_member_is_named_after_its_role_and_address_unless_it_has_a_name() {
        let config = LocationConfig::default();
        let member = config.member(Role::Edge, "127.0.0.1:7001");
        assert_eq!(&*member.id, "edge-127.0.0.1:7001");
        let named = LocationConfig {
            id: "edge-0".to_owned(),
            advertise: "edge-0.edge:7001".to_owned(),
            ..config
        };
        let member = named.member(Role::Edge, "0.0.0.0:7001");
        assert_eq!(
            (&*member.id, &*member.internal),
            ("edge-0", "edge-0.edge:7001")
        );
    }
}
