//! Claim and Release.

use super::parts::{endpoint, key};
use super::{WireError, optional_word, required, sentence, word};
use std::time::Duration;

use crate::claim::{Claim, OnAir, OnDuplicate, Release, Standing, Verdict};
use crate::{Seen, proto};

impl TryFrom<proto::ClaimRequest> for Claim {
    type Error = WireError;

    fn try_from(request: proto::ClaimRequest) -> Result<Claim, WireError> {
        Ok(Claim {
            key: key(&request.key)?,
            epoch: request.epoch,
            term: request.term,
            ingress: endpoint(request.ingress, "claim.ingress")?,
            publisher: optional_word(request.publisher, "claim.publisher")?,
            on_duplicate: match proto::OnDuplicate::try_from(request.on_duplicate) {
                Ok(proto::OnDuplicate::Unspecified | proto::OnDuplicate::Replace) => {
                    OnDuplicate::Replace
                }
                Ok(proto::OnDuplicate::Refuse) => OnDuplicate::Refuse,
                Ok(proto::OnDuplicate::Backup) => OnDuplicate::Backup,
                Err(_) => return Err(WireError::Meaningless("claim.on_duplicate")),
            },
            last: request.last.map(Seen::from),
            standing: request.standing.map(|standing| Standing {
                ready: standing.ready_ms.map(Duration::from_millis),
            }),
        })
    }
}

impl From<&Claim> for proto::ClaimRequest {
    fn from(claim: &Claim) -> proto::ClaimRequest {
        proto::ClaimRequest {
            key: claim.key.to_string(),
            epoch: claim.epoch,
            term: claim.term,
            ingress: Some((&claim.ingress).into()),
            publisher: claim.publisher.clone(),
            on_duplicate: match claim.on_duplicate {
                OnDuplicate::Replace => proto::OnDuplicate::Replace.into(),
                OnDuplicate::Refuse => proto::OnDuplicate::Refuse.into(),
                OnDuplicate::Backup => proto::OnDuplicate::Backup.into(),
            },
            last: claim.last.map(Into::into),
            standing: claim.standing.map(|standing| proto::Standing {
                ready_ms: standing.ready.map(millis),
            }),
        }
    }
}

impl TryFrom<proto::ClaimReply> for Verdict {
    type Error = WireError;

    fn try_from(reply: proto::ClaimReply) -> Result<Verdict, WireError> {
        use proto::claim_reply;
        Ok(match required(reply.verdict, "claim.verdict")? {
            claim_reply::Verdict::Accepted(accepted) => Verdict::Accepted {
                term: accepted.term,
                dts_offset_ms: accepted.dts_offset_ms,
            },
            claim_reply::Verdict::AtCap(proto::AtCap {}) => Verdict::AtCap,
            claim_reply::Verdict::Refused(refused) => Verdict::Refused {
                reason: word(refused.reason, "claim.reason")?,
                text: sentence(refused.text, "claim.text")?,
            },
            claim_reply::Verdict::Stale(stale) => Verdict::Stale { term: stale.term },
            claim_reply::Verdict::StandsBy(on) => Verdict::StandsBy(OnAir {
                ingress: on
                    .ingress
                    .map(|ingress| endpoint(Some(ingress), "claim.on"))
                    .transpose()?,
                silent: on.silent_ms.map(Duration::from_millis),
            }),
        })
    }
}

impl From<&Verdict> for proto::ClaimReply {
    fn from(verdict: &Verdict) -> proto::ClaimReply {
        use proto::claim_reply;
        let verdict = match verdict {
            Verdict::Accepted {
                term,
                dts_offset_ms,
            } => claim_reply::Verdict::Accepted(proto::Accepted {
                term: *term,
                dts_offset_ms: *dts_offset_ms,
            }),
            Verdict::AtCap => claim_reply::Verdict::AtCap(proto::AtCap {}),
            Verdict::Refused { reason, text } => claim_reply::Verdict::Refused(proto::Refused {
                reason: reason.clone(),
                text: text.clone(),
            }),
            Verdict::Stale { term } => claim_reply::Verdict::Stale(proto::Stale { term: *term }),
            Verdict::StandsBy(on) => claim_reply::Verdict::StandsBy(proto::StandsBy {
                ingress: on.ingress.as_ref().map(Into::into),
                silent_ms: on.silent.map(millis),
            }),
        };
        proto::ClaimReply {
            verdict: Some(verdict),
        }
    }
}

impl TryFrom<proto::ReleaseRequest> for Release {
    type Error = WireError;

    fn try_from(request: proto::ReleaseRequest) -> Result<Release, WireError> {
        Ok(Release {
            key: key(&request.key)?,
            epoch: request.epoch,
            term: request.term,
            code: word(request.code, "release.code")?,
            reason: sentence(request.reason, "release.reason")?,
            stands_by: request.stands_by,
        })
    }
}

impl From<&Release> for proto::ReleaseRequest {
    fn from(release: &Release) -> proto::ReleaseRequest {
        proto::ReleaseRequest {
            key: release.key.to_string(),
            epoch: release.epoch,
            term: release.term,
            code: release.code.clone(),
            reason: release.reason.clone(),
            stands_by: release.stands_by,
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
