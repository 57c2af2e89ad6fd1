//! Place and Locate.

use std::time::Duration;

use super::parts::{key, sources};
use super::{WireError, list, optional_word, word};
use crate::limits::{CANDIDATES_MAX, EXCLUDE_MAX};
use crate::{
    Endpoint, Existing, LocateReply, LocateRequest, MemberId, PlaceReply, PlaceRequest, Seen, Site,
    Source, proto,
};

/// A wrong "not found" must not outlive the patience of a viewer.
const CACHE_MAX: Duration = Duration::from_secs(60);

impl TryFrom<proto::PlaceRequest> for PlaceRequest {
    type Error = WireError;

    fn try_from(request: proto::PlaceRequest) -> Result<PlaceRequest, WireError> {
        Ok(PlaceRequest {
            key: key(&request.key)?,
            ingress: word(request.ingress, "place.ingress")?.into(),
            epoch: request.epoch,
            exclude: list(request.exclude, EXCLUDE_MAX, "place.exclude", |id| {
                word(id, "place.exclude").map(MemberId::from)
            })?,
        })
    }
}

impl From<&PlaceRequest> for proto::PlaceRequest {
    fn from(request: &PlaceRequest) -> proto::PlaceRequest {
        proto::PlaceRequest {
            key: request.key.to_string(),
            ingress: request.ingress.to_string(),
            epoch: request.epoch,
            exclude: request.exclude.iter().map(ToString::to_string).collect(),
        }
    }
}

impl TryFrom<proto::PlaceReply> for PlaceReply {
    type Error = WireError;

    fn try_from(reply: proto::PlaceReply) -> Result<PlaceReply, WireError> {
        let existing = reply.existing.map(|session| {
            Ok::<_, WireError>(Existing {
                epoch: session.epoch,
                term: session.term,
                ingress: session.ingress.map(Endpoint::try_from).transpose()?,
            })
        });
        Ok(PlaceReply {
            candidates: list(
                reply.candidates,
                CANDIDATES_MAX,
                "place.candidates",
                Source::try_from,
            )?,
            existing: existing.transpose()?,
            highest_term: reply.highest_term,
            resume: reply.resume.map(Seen::from),
            settled: reply.settled,
        })
    }
}

impl From<&PlaceReply> for proto::PlaceReply {
    fn from(reply: &PlaceReply) -> proto::PlaceReply {
        proto::PlaceReply {
            candidates: reply.candidates.iter().map(Into::into).collect(),
            existing: reply.existing.as_ref().map(|existing| proto::Session {
                epoch: existing.epoch,
                term: existing.term,
                ingress: existing.ingress.as_ref().map(Into::into),
            }),
            highest_term: reply.highest_term,
            resume: reply.resume.map(Into::into),
            settled: reply.settled,
        }
    }
}

impl TryFrom<proto::LocateRequest> for LocateRequest {
    type Error = WireError;

    fn try_from(request: proto::LocateRequest) -> Result<LocateRequest, WireError> {
        Ok(LocateRequest {
            key: key(&request.key)?,
            member: optional_word(request.member, "locate.member")?.into(),
            site: Site {
                region: optional_word(request.region, "locate.region")?,
                zone: optional_word(request.zone, "locate.zone")?,
            },
        })
    }
}

impl From<&LocateRequest> for proto::LocateRequest {
    fn from(request: &LocateRequest) -> proto::LocateRequest {
        proto::LocateRequest {
            key: request.key.to_string(),
            member: request.member.to_string(),
            region: request.site.region.clone(),
            zone: request.site.zone.clone(),
        }
    }
}

impl TryFrom<proto::LocateReply> for LocateReply {
    type Error = WireError;

    fn try_from(reply: proto::LocateReply) -> Result<LocateReply, WireError> {
        let sources = sources(reply.epoch, reply.term, reply.sources)?;
        if reply.found && sources.sources.is_empty() {
            return Err(WireError::Missing("locate.sources"));
        }
        Ok(LocateReply {
            sources,
            cache: Duration::from_millis(reply.cache_ms.into()).min(CACHE_MAX),
            left_ago: reply.left_ms.map(|ms| Duration::from_millis(ms.into())),
            settled: reply.settled,
        })
    }
}

impl From<&LocateReply> for proto::LocateReply {
    fn from(reply: &LocateReply) -> proto::LocateReply {
        proto::LocateReply {
            found: !reply.sources.sources.is_empty(),
            epoch: reply.sources.epoch,
            term: reply.sources.term,
            sources: reply.sources.sources.iter().map(Into::into).collect(),
            cache_ms: u32::try_from(reply.cache.min(CACHE_MAX).as_millis()).unwrap_or(u32::MAX),
            left_ms: reply
                .left_ago
                .map(|ago| u32::try_from(ago.as_millis()).unwrap_or(u32::MAX)),
            settled: reply.settled,
        }
    }
}
