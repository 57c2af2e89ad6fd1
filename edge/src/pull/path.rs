//! One path: one pull from one source, as a task that tells the course what happens.

use std::sync::Arc;
use std::time::Duration;

use headwater_hop::{
    Event, Feed, Heard, HopMetrics, Pull, PullError, PullLimits, PullRequest, Refusal, Signal,
};
use headwater_hub::{FeedError, Stream};
use headwater_process::clock;
use headwater_process::tls::Dialer;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use super::course::{Ending, PathId};
use super::lateness::Lateness;

/// A publisher that sends nothing for so long may be on elsewhere.
const DRY: Duration = Duration::from_secs(1);

/// What a path tells.
#[derive(Debug)]
pub(super) enum News {
    /// The source would serve it.
    Answered { term: u64, epoch: u64 },
    /// Something was heard: at first, or after a silence.
    Heard,
    /// Nothing was heard for a while.
    Silent,
    /// It falls behind the stream.
    Slow,
    /// It is alive and brings no tag for a while, or brings some again.
    Dry(bool),
    /// A higher term.
    Term(u64),
    /// The source will close; the stream goes on there.
    Moved(String),
    /// It is over.
    Ended(Ending, &'static str),
}

/// What a path needs.
pub(super) struct Errand {
    pub(super) id: PathId,
    pub(super) address: String,
    pub(super) request: PullRequest,
    pub(super) limits: PullLimits,
    pub(super) dialer: Dialer,
    pub(super) metrics: HopMetrics,
    pub(super) stream: Arc<Stream>,
    pub(super) news: mpsc::Sender<(PathId, News)>,
}

/// A path that runs; dropping it closes the connection.
#[derive(Debug)]
pub(super) struct Running {
    task: AbortHandle,
    go: Option<oneshot::Sender<()>>,
}

impl Running {
    pub(super) fn start(errand: Errand) -> Running {
        let (go, gone) = oneshot::channel();
        let task = tokio::spawn(walk(errand, gone)).abort_handle();
        Running { task, go: Some(go) }
    }

    /// Lets it feed the stream.
    pub(super) fn feed(&mut self) {
        if let Some(go) = self.go.take() {
            // It fails if the path has just ended, of which it tells itself.
            let _ = go.send(());
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn walk(errand: Errand, go: oneshot::Receiver<()>) {
    let (ending, reason) = match headwater_hop::connect_by(
        &errand.dialer,
        &errand.address,
        &errand.request,
        &errand.limits,
        &errand.metrics,
    )
    .await
    {
        Err(error) => ending_of(&error),
        Ok(mut pull) => {
            let head = *pull.head();
            tell(
                &errand,
                News::Answered {
                    term: head.term,
                    epoch: head.epoch,
                },
            )
            .await;
            if go.await.is_err() {
                return;
            }
            carry(&errand, &mut pull).await
        }
    };
    tracing::debug!(key = %errand.request.key, source = errand.address, reason, "path ended");
    tell(&errand, News::Ended(ending, reason)).await;
}

async fn tell(errand: &Errand, news: News) {
    // Nobody listens any more: then this task is about to be aborted.
    let _ = errand.news.send((errand.id, news)).await;
}

/// Feeds the stream until the pull ends.
async fn carry(errand: &Errand, pull: &mut Pull) -> (Ending, &'static str) {
    let mut feed = match Feed::open(&errand.stream, pull.head()) {
        Ok(feed) => feed,
        Err(error) => return stale(error),
    };
    let mut first = true;
    let mut lateness = Lateness::default();
    let mut brought = clock::now();
    let mut dry = false;
    loop {
        let event = match feed.hear(pull).await {
            Ok(Heard::Event(event)) => event,
            Ok(Heard::Alive) => {
                tell(errand, News::Heard).await;
                continue;
            }
            Ok(Heard::Suspect(_)) => {
                first = false;
                tell(errand, News::Silent).await;
                continue;
            }
            Err(error) => return ending_of(&error),
        };
        let ended = if let Event::Ended(reason) = event {
            Some(reason)
        } else {
            None
        };
        let now = pull.heard_at();
        let slow = if let Event::Tag { tag, .. } = &event {
            brought = now;
            lateness.is_slow(tag.dts, now)
        } else {
            false
        };
        let signal = match feed.take(event, now) {
            Ok(signal) => signal,
            Err(error) => return stale(error),
        };
        if let Some(reason) = ended {
            let ending = match reason {
                headwater_hop::EndReason::PublisherLeft => Ending::PublisherLeft,
                headwater_hop::EndReason::Replaced => Ending::Replaced,
                headwater_hop::EndReason::Closed => Ending::Closed,
            };
            return (ending, reason.as_str());
        }
        if std::mem::take(&mut first) {
            tell(errand, News::Heard).await;
        }
        let was_dry = std::mem::replace(&mut dry, now >= brought + DRY);
        if was_dry != dry {
            tell(errand, News::Dry(dry)).await;
        }
        if slow {
            tell(errand, News::Slow).await;
        }
        match signal {
            Some(Signal::Term(term)) => tell(errand, News::Term(term)).await,
            Some(Signal::Moved { to, .. }) => tell(errand, News::Moved(to)).await,
            Some(Signal::Gap(tags)) => {
                tracing::warn!(key = %errand.request.key, source = errand.address, tags, "tags were lost upstream");
            }
            Some(Signal::Suspect(_) | Signal::Alive) | None => {}
        }
    }
}

fn stale(error: FeedError) -> (Ending, &'static str) {
    let ending = match error {
        FeedError::StaleEpoch { .. } | FeedError::StaleTerm { .. } | FeedError::Closed => {
            Ending::Stale
        }
        FeedError::Hole { .. } => Ending::Broken,
    };
    (ending, error.reason())
}

fn ending_of(error: &PullError) -> (Ending, &'static str) {
    let ending = match error {
        PullError::Refused(Refusal::NotHere(elsewhere)) => Ending::NotHere {
            term: elsewhere.term,
            addresses: [&elsewhere.home, &elsewhere.ingress]
                .into_iter()
                .flatten()
                .cloned()
                .collect(),
        },
        PullError::Refused(_) => Ending::Refused,
        PullError::Connect(_)
        | PullError::Dead(_)
        | PullError::NoAnswer(_)
        | PullError::Status(_)
        | PullError::Http(_)
        | PullError::Request(_)
        | PullError::Head(_)
        | PullError::Receive(_) => Ending::Broken,
    };
    (ending, error.reason())
}
