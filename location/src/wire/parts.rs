//! The pieces that messages are made of.

use std::sync::Arc;

use super::{WireError, list, optional_word, required, sentence, word};
use crate::limits::{KEY_MAX_BYTES, SOURCES_MAX};
use crate::{
    Carried, Endpoint, Member, Part, Role, Seen, Site, Source, Sources, StreamKey, StreamReport,
    proto,
};

pub(super) fn key(text: &str) -> Result<StreamKey, WireError> {
    if text.is_empty() {
        return Err(WireError::Missing("key"));
    }
    if text.len() > KEY_MAX_BYTES {
        return Err(WireError::TooLong("key"));
    }
    text.parse().map_err(|_| WireError::Meaningless("key"))
}

fn role(number: i32) -> Result<Role, WireError> {
    match proto::Role::try_from(number) {
        Ok(proto::Role::Origin) => Ok(Role::Origin),
        Ok(proto::Role::Edge) => Ok(Role::Edge),
        Ok(proto::Role::Unspecified) | Err(_) => Err(WireError::Meaningless("role")),
    }
}

fn role_number(role: Role) -> i32 {
    match role {
        Role::Origin => proto::Role::Origin.into(),
        Role::Edge => proto::Role::Edge.into(),
    }
}

fn part(number: i32) -> Result<Part, WireError> {
    match proto::Part::try_from(number) {
        Ok(proto::Part::Ingress) => Ok(Part::Ingress),
        Ok(proto::Part::Home) => Ok(Part::Home),
        Ok(proto::Part::Carrier) => Ok(Part::Carrier),
        Ok(proto::Part::Unspecified) | Err(_) => Err(WireError::Meaningless("part")),
    }
}

fn part_number(part: Part) -> i32 {
    match part {
        Part::Ingress => proto::Part::Ingress.into(),
        Part::Home => proto::Part::Home.into(),
        Part::Carrier => proto::Part::Carrier.into(),
    }
}

impl TryFrom<proto::Member> for Member {
    type Error = WireError;

    fn try_from(member: proto::Member) -> Result<Member, WireError> {
        Ok(Member {
            id: word(member.id, "member.id")?.into(),
            role: role(member.role)?,
            internal: word(member.internal, "member.internal")?,
            site: Site {
                region: optional_word(member.region, "member.region")?,
                zone: optional_word(member.zone, "member.zone")?,
            },
            version: optional_word(member.version, "member.version")?,
            ready: member.ready,
            cordoned: member.cordoned,
            draining: member.draining,
            rtmp_url: sentence(member.rtmp_url, "member.rtmp_url")?,
            http_url: sentence(member.http_url, "member.http_url")?,
            incarnation: member.incarnation,
            revision: member.revision,
        })
    }
}

impl From<&Member> for proto::Member {
    fn from(member: &Member) -> proto::Member {
        proto::Member {
            id: member.id.to_string(),
            role: role_number(member.role),
            internal: member.internal.clone(),
            region: member.site.region.clone(),
            zone: member.site.zone.clone(),
            version: member.version.clone(),
            ready: member.ready,
            cordoned: member.cordoned,
            draining: member.draining,
            rtmp_url: member.rtmp_url.clone(),
            http_url: member.http_url.clone(),
            incarnation: member.incarnation,
            revision: member.revision,
        }
    }
}

impl From<proto::Seen> for Seen {
    fn from(seen: proto::Seen) -> Seen {
        Seen {
            stream_dts_ms: seen.stream_dts_ms,
            unix_ms: seen.unix_ms,
        }
    }
}

impl From<Seen> for proto::Seen {
    fn from(seen: Seen) -> proto::Seen {
        proto::Seen {
            stream_dts_ms: seen.stream_dts_ms,
            unix_ms: seen.unix_ms,
        }
    }
}

impl TryFrom<proto::Endpoint> for Endpoint {
    type Error = WireError;

    fn try_from(endpoint: proto::Endpoint) -> Result<Endpoint, WireError> {
        Ok(Endpoint {
            member: word(endpoint.member, "endpoint.member")?.into(),
            address: word(endpoint.address, "endpoint.address")?,
        })
    }
}

impl From<&Endpoint> for proto::Endpoint {
    fn from(endpoint: &Endpoint) -> proto::Endpoint {
        proto::Endpoint {
            member: endpoint.member.to_string(),
            address: endpoint.address.clone(),
        }
    }
}

impl TryFrom<proto::StreamReport> for StreamReport {
    type Error = WireError;

    fn try_from(report: proto::StreamReport) -> Result<StreamReport, WireError> {
        let home = optional_word(report.home, "stream.home")?;
        Ok(StreamReport {
            carried: Carried {
                key: key(&report.key)?,
                part: part(report.part)?,
                epoch: report.epoch,
                term: report.term,
                ingress: report.ingress.map(Endpoint::try_from).transpose()?,
                home: (!home.is_empty()).then(|| Arc::from(home)),
                seen: report.seen.map(Seen::from),
                viewers: report.viewers,
            },
            ended: report.ended,
        })
    }
}

impl From<&StreamReport> for proto::StreamReport {
    fn from(report: &StreamReport) -> proto::StreamReport {
        let carried = &report.carried;
        proto::StreamReport {
            key: carried.key.to_string(),
            epoch: carried.epoch,
            term: carried.term,
            part: part_number(carried.part),
            ingress: carried.ingress.as_ref().map(proto::Endpoint::from),
            home: carried
                .home
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            seen: carried.seen.map(proto::Seen::from),
            viewers: carried.viewers,
            ended: report.ended,
        }
    }
}

impl TryFrom<proto::Source> for Source {
    type Error = WireError;

    fn try_from(source: proto::Source) -> Result<Source, WireError> {
        Ok(Source {
            member: word(source.member, "source.member")?.into(),
            role: role(source.role)?,
            part: part(source.part)?,
            address: word(source.address, "source.address")?,
            site: Site {
                region: optional_word(source.region, "source.region")?,
                zone: optional_word(source.zone, "source.zone")?,
            },
        })
    }
}

impl From<&Source> for proto::Source {
    fn from(source: &Source) -> proto::Source {
        proto::Source {
            member: source.member.to_string(),
            role: role_number(source.role),
            part: part_number(source.part),
            address: source.address.clone(),
            region: source.site.region.clone(),
            zone: source.site.zone.clone(),
        }
    }
}

pub(super) fn sources(
    epoch: u64,
    term: u64,
    sources: Vec<proto::Source>,
) -> Result<Sources, WireError> {
    Ok(Sources {
        epoch,
        term,
        sources: list(sources, SOURCES_MAX, "sources", Source::try_from)?,
    })
}

pub(super) fn endpoint(
    endpoint: Option<proto::Endpoint>,
    field: &'static str,
) -> Result<Endpoint, WireError> {
    required(endpoint, field)?.try_into()
}
