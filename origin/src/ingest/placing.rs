//! Finding a home for a publish session: the operator's candidates are asked in order, and this origin itself at last.

use std::time::Duration;

use headwater_location::claim::{Claim, OnAir, OnDuplicate, Standing, Verdict};
use headwater_location::{Endpoint, MemberId, Placement, Seen, Source, term};
use headwater_media::rtmp::code;
use headwater_media::{Dts, StreamKey};
use headwater_process::clock;

use super::error::Refused;
use super::grant::{Granted, Placed};
use crate::shared::Shared;

/// How long a candidate has to answer a claim.
pub(super) const CLAIM_WITHIN: Duration = Duration::from_secs(1);
/// Rounds of Place: a second one leaves out whoever did not take the stream in the first.
const ROUNDS: usize = 2;
/// How often one candidate may tell of a higher term than the one it was asked with.
const STALE_MAX: usize = 3;

/// What became of one who wants to publish.
#[derive(Clone, Debug)]
pub(super) enum Placing {
    /// It may begin.
    Granted(Granted),
    /// Another session is on: it stands by.
    Behind {
        /// Who says so, and is to be asked when that changes.
        home: Endpoint,
        /// Who is on.
        on: OnAir,
    },
}

/// Who wants to publish what.
#[derive(Clone, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) key: &'a StreamKey,
    /// The network address, without its port.
    pub(super) publisher: String,
    pub(super) on_duplicate: OnDuplicate,
    /// It stands by already, and begins with a tag that came at this time of the process's clock.
    pub(super) ready: Option<Duration>,
    /// Who is not to be asked.
    pub(super) exclude: Option<MemberId>,
}

/// One candidate's answer.
enum Answer {
    Placed(Placing),
    Refused(Refused),
    /// It does not take the stream, or does not answer.
    Next,
}

/// The numbers of a session that looks for its home.
struct Numbers {
    highest: u64,
    epoch: u64,
}

impl Numbers {
    fn above(highest: u64) -> Numbers {
        Numbers {
            highest,
            epoch: term::next(highest, clock::unix_ms()),
        }
    }

    fn seen(&mut self, higher: u64) {
        if higher > self.highest {
            self.highest = higher;
        }
        if self.epoch <= self.highest {
            self.epoch = term::next(self.highest, clock::unix_ms());
        }
    }
}

/// Finds the home of a new session.
pub(super) async fn place(shared: &Shared, wanted: Wanted<'_>) -> Result<Placing, Refused> {
    let progress = shared
        .hub
        .get(wanted.key)
        .map(|stream| stream.progress())
        .unwrap_or_default();
    let mut numbers = Numbers::above(progress.epoch.max(progress.term));
    let mut last = shared.seen(wanted.key);
    let mut exclude: Vec<MemberId> = wanted.exclude.iter().cloned().collect();
    for _ in 0..ROUNDS {
        let candidates = match shared
            .locator
            .place(wanted.key, numbers.epoch, &exclude)
            .await
        {
            Ok(placement) => {
                numbers.seen(highest(&placement));
                last = later(last, placement.resume);
                placement.candidates
            }
            Err(error) => {
                tracing::debug!(key = %wanted.key, %error, "no home from the operators");
                Vec::new()
            }
        };
        let asked = exclude.len();
        for candidate in candidates {
            match ask(shared, &wanted, &mut numbers, last, &candidate).await {
                Answer::Placed(placing) => return Ok(placing),
                Answer::Refused(refused) => return Err(refused),
                Answer::Next => exclude.push(candidate.member),
            }
        }
        if exclude.len() == asked {
            break;
        }
    }
    // Nobody takes it. A publisher that is here and can be served is served.
    match ask(shared, &wanted, &mut numbers, last, &here(shared)).await {
        Answer::Placed(placing) => Ok(placing),
        Answer::Refused(refused) => Err(refused),
        Answer::Next => Err(Refused {
            reason: "no_home",
            code: code::PUBLISH_DENIED,
            text: "no server has room for another stream: try again later".to_owned(),
        }),
    }
}

/// This origin as a candidate.
pub(super) fn here(shared: &Shared) -> Source {
    Source {
        member: shared.me.member.clone(),
        role: headwater_location::Role::Origin,
        part: headwater_location::Part::Home,
        address: shared.me.address.clone(),
        site: headwater_location::Site::default(),
    }
}

async fn ask(
    shared: &Shared,
    wanted: &Wanted<'_>,
    numbers: &mut Numbers,
    last: Option<Seen>,
    candidate: &Source,
) -> Answer {
    for _ in 0..STALE_MAX {
        let epoch = numbers.epoch;
        let claim = Claim {
            key: wanted.key.clone(),
            epoch,
            term: numbers.highest,
            ingress: shared.me.clone(),
            publisher: wanted.publisher.clone(),
            on_duplicate: wanted.on_duplicate,
            last,
            standing: wanted.ready.map(|arrived| Standing {
                ready: Some(clock::now().saturating_sub(arrived)),
            }),
        };
        match verdict(shared, candidate, &claim).await {
            Some(Verdict::Accepted {
                term,
                dts_offset_ms,
            }) => {
                let placed = Placed {
                    term,
                    home: candidate.member.clone(),
                };
                return Answer::Placed(Placing::Granted(Granted {
                    epoch,
                    placed,
                    dts_offset: Dts(dts_offset_ms),
                }));
            }
            Some(Verdict::Refused { reason, text }) => {
                return Answer::Refused(Refused {
                    reason: label(&reason),
                    code: code::PUBLISH_BAD_NAME,
                    text,
                });
            }
            Some(Verdict::StandsBy(on)) => {
                let home = Endpoint {
                    member: candidate.member.clone(),
                    address: candidate.address.clone(),
                };
                return Answer::Placed(Placing::Behind { home, on });
            }
            Some(Verdict::Stale { term }) => numbers.seen(term.max(epoch)),
            Some(Verdict::AtCap) | None => return Answer::Next,
        }
    }
    Answer::Next
}

/// Claims at `candidate`; `None` if it gives no verdict.
pub(super) async fn verdict(shared: &Shared, candidate: &Source, claim: &Claim) -> Option<Verdict> {
    if candidate.member == shared.me.member {
        return Some(shared.take_claim(claim));
    }
    match shared
        .origins
        .claim(&candidate.address, claim, CLAIM_WITHIN)
        .await
    {
        Ok(verdict) => Some(verdict),
        Err(error) => {
            tracing::warn!(key = %claim.key, home = %candidate.member, %error, "claim without a verdict");
            None
        }
    }
}

/// The address at which the other members reach `member`, as far as it is known.
pub(super) fn endpoint(shared: &Shared, member: &MemberId) -> Option<Endpoint> {
    let members = shared.locator.members();
    let list = members.borrow();
    list.get(member).map(|known| Endpoint {
        member: member.clone(),
        address: known.internal.clone(),
    })
}

fn highest(placement: &Placement) -> u64 {
    let existing = placement
        .existing
        .as_ref()
        .map_or(0, |session| session.epoch.max(session.term));
    existing.max(placement.highest_term)
}

/// Of two readings of one stream's time the one that is further by now.
fn later(one: Option<Seen>, other: Option<Seen>) -> Option<Seen> {
    let unix_ms = clock::unix_ms();
    one.into_iter()
        .chain(other)
        .max_by_key(|seen| seen.stream_dts_ms_at(unix_ms))
}

/// Another member's word as one of a closed set.
fn label(reason: &str) -> &'static str {
    match reason {
        "in_use" => "in_use",
        "rivals" => "rivals",
        _ => "home_refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_above_all_that_was_seen_and_stays_if_it_is() {
        let mut numbers = Numbers::above(5);
        let first = numbers.epoch;
        assert!(first > 5);
        numbers.seen(first - 1);
        assert_eq!((numbers.epoch, numbers.highest), (first, first - 1));
        numbers.seen(first);
        assert!(numbers.epoch > first);
        let far = u64::MAX - 10;
        numbers.seen(far);
        assert_eq!((numbers.epoch, numbers.highest), (far + 1, far));
        numbers.seen(3);
        assert_eq!((numbers.epoch, numbers.highest), (far + 1, far));
    }

    #[test]
    fn the_reading_that_is_further_by_now_counts() {
        let seen = |stream_dts_ms, unix_ms| {
            Some(Seen {
                stream_dts_ms,
                unix_ms,
            })
        };
        for (name, one, other, want) in [
            ("none", None, None, None),
            ("one", seen(1, 1), None, seen(1, 1)),
            (
                "shown last, of a stream that is behind",
                seen(100, 5_000),
                seen(90, 10),
                seen(90, 10),
            ),
            (
                "shown first, of a stream that is behind",
                seen(100, 10),
                seen(4_000, 5_000),
                seen(100, 10),
            ),
        ] {
            assert_eq!(later(one, other), want, "{name}");
            assert_eq!(later(other, one), want, "{name}");
        }
    }
}
