//! The home's own pull: from the ingress, from its oldest tag on, for as long as the session is alive.

use std::sync::Arc;
use std::time::Duration;

use headwater_hop::{
    EndReason, PullEnd, PullError, PullLimits, PullRequest, Refusal, Signal, StartAt, connect_by,
    run,
};
use headwater_hub::{FeedError, Stream};
use headwater_media::StreamKey;
use headwater_process::clock;
use tokio::sync::{Notify, watch};

use super::table::Home;
use crate::shared::Shared;

/// An ingress that answers and has not had the stream for so long has lost it.
const MISSING_MAX: Duration = Duration::from_secs(3);
/// An ingress that does not answer for so long is gone: its publisher cannot reach it either, or comes back elsewhere.
const SILENT_MAX: Duration = Duration::from_secs(10);
/// A connection that was silent for so long after it was suspected, heartbeats and all, is given up.
const DEAD_AFTER: Duration = Duration::from_secs(2);
/// A home that has been replaced serves on for this long, for readers who are still looking for the new one. Both have
/// the same tags, and it is within the second in which whoever hears a higher term lets go.
const LET_GO: Duration = Duration::from_millis(600);
const BACK_OFF_MIN: Duration = Duration::from_millis(10);
const BACK_OFF_MAX: Duration = Duration::from_millis(500);

/// Why this origin stops pulling a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    /// The publisher has left.
    Left,
    /// The ingress is gone, or has lost the session.
    Lost,
    /// Another session has the name.
    Replaced,
    /// Another origin is the session's home.
    Fenced,
    /// There is no room for the stream.
    Full,
}

/// One attempt's end.
enum Attempt {
    Over(Over),
    /// It brought something and broke.
    Broken(&'static str),
    /// Not even that. `here`: the ingress answered.
    Failed {
        reason: &'static str,
        here: bool,
    },
}

/// Pulls `home`'s session until it is over.
pub(super) async fn keep(shared: Arc<Shared>, key: StreamKey, home: Home) {
    let began = clock::now();
    let epoch = home.epoch;
    // A drain waits until the stream has another home.
    let _hold = shared.drain.hold("homes");
    tracing::info!(%key, epoch, ingress = %home.ingress.member, "home: pulling from the ingress");
    let over = tokio::select! {
        biased;
        over = pull(&shared, &key, &home) => over,
        () = shared.drain.ended() => Over::Left,
    };
    let lasted_s = clock::now().saturating_sub(began).as_secs_f64();
    tracing::info!(%key, epoch, ingress = %home.ingress.member, why = over.as_str(), lasted_s, "home: session over");
    let was_home = shared.home_over(&key, epoch);
    let Some(stream) = shared
        .hub
        .get(&key)
        .filter(|stream| stream.progress().epoch == epoch)
    else {
        return;
    };
    match over {
        // Edges look elsewhere; nothing here is of use to them.
        Over::Fenced if was_home => shared.drop_stream(&stream),
        Over::Left | Over::Lost | Over::Replaced | Over::Full | Over::Fenced => {
            stream.end(epoch);
            shared.linger(stream, epoch);
        }
    }
}

async fn pull(shared: &Shared, key: &StreamKey, home: &Home) -> Over {
    let mut back_off = BACK_OFF_MIN;
    let mut failing: Option<(Duration, bool)> = None;
    loop {
        if shared
            .homes
            .get(key)
            .is_none_or(|now| now.epoch != home.epoch)
        {
            return Over::Replaced;
        }
        let reason = match attempt(shared, key, home).await {
            Attempt::Over(over) => return over,
            Attempt::Broken(reason) => {
                (back_off, failing) = (BACK_OFF_MIN, None);
                reason
            }
            Attempt::Failed { reason, here } => {
                let now = clock::now();
                let (since, was_here) = *failing.get_or_insert((now, here));
                if was_here != here {
                    failing = Some((now, here));
                }
                let patience = if here { MISSING_MAX } else { SILENT_MAX };
                if now.saturating_sub(since) > patience {
                    return Over::Lost;
                }
                reason
            }
        };
        tracing::debug!(%key, epoch = home.epoch, reason, "home: pulling again");
        tokio::time::sleep(back_off).await;
        back_off = back_off.saturating_mul(2).min(BACK_OFF_MAX);
    }
}

async fn attempt(shared: &Shared, key: &StreamKey, home: &Home) -> Attempt {
    let Ok(stream) = shared.hub.get_or_create(key) else {
        return Attempt::Over(Over::Full);
    };
    let request = PullRequest {
        key: key.clone(),
        start: resume(&stream, home.epoch),
        hops: 1,
        known: None,
    };
    let limits = PullLimits::default();
    let mut pull = match connect_by(
        &shared.dialer,
        &home.ingress.address,
        &request,
        &limits,
        &shared.metrics.hop,
    )
    .await
    {
        Ok(pull) => pull,
        Err(error) => {
            stream.set_source_silent(true);
            let here = matches!(
                error,
                PullError::Refused(Refusal::NotHere(_) | Refusal::Behind { .. })
            );
            return Attempt::Failed {
                reason: error.reason(),
                here,
            };
        }
    };
    if pull.head().epoch != home.epoch {
        // Older: the ingress has not opened the session yet. Newer: the claim for that one is on its way.
        return Attempt::Failed {
            reason: "another_session",
            here: true,
        };
    }
    stream.set_source_silent(false);
    let fenced = Notify::new();
    let let_go = async {
        fenced.notified().await;
        tokio::time::sleep(LET_GO).await;
    };
    let silent = watch::Sender::new(false);
    let end = tokio::select! {
        biased;
        end = run(&mut pull, &stream, |signal| match signal {
            Signal::Term(term) if shared.homes.get(key).is_none_or(|home| term > home.term) => {
                fenced.notify_one();
            }
            // Edges that can reach the ingress go there.
            Signal::Suspect(_) => {
                stream.set_source_silent(true);
                silent.send_replace(true);
            }
            Signal::Alive => {
                stream.set_source_silent(false);
                silent.send_replace(false);
            }
            Signal::Term(_) | Signal::Moved { .. } | Signal::Gap(_) => {}
        }) => end,
        () = dead(silent.subscribe()) => return Attempt::Broken("silent"),
        () = let_go => return Attempt::Over(Over::Fenced),
    };
    match end {
        PullEnd::Ended(EndReason::PublisherLeft) => Attempt::Over(Over::Left),
        PullEnd::Ended(EndReason::Replaced) | PullEnd::Stale(FeedError::StaleEpoch { .. }) => {
            Attempt::Over(Over::Replaced)
        }
        PullEnd::Stale(FeedError::StaleTerm { .. }) => Attempt::Over(Over::Fenced),
        PullEnd::Ended(EndReason::Closed)
        | PullEnd::Stale(FeedError::Hole { .. } | FeedError::Closed)
        | PullEnd::Failed(_) => Attempt::Broken(end.reason()),
    }
}

/// Returns when the ingress has been silent for too long: a machine that lost its power closes no connection.
async fn dead(mut silent: watch::Receiver<bool>) {
    loop {
        // An error means that the pull is over, and this with it.
        if silent.wait_for(|silent| *silent).await.is_err() {
            return std::future::pending().await;
        }
        let spoke = silent.wait_for(|silent| !*silent);
        if tokio::time::timeout(DEAD_AFTER, spoke).await.is_err() {
            return;
        }
    }
}

/// All of the session, or what follows the last tag that is here.
fn resume(stream: &Stream, epoch: u64) -> StartAt {
    let next = stream.next_sequence();
    match next
        .checked_sub(1)
        .filter(|_| stream.progress().epoch == epoch)
    {
        Some(sequence) => StartAt::After { epoch, sequence },
        None => StartAt::Oldest,
    }
}

impl Over {
    fn as_str(self) -> &'static str {
        match self {
            Over::Left => "publisher_left",
            Over::Lost => "ingress_lost",
            Over::Replaced => "replaced",
            Over::Fenced => "fenced",
            Over::Full => "full",
        }
    }
}
