//! The task of one pull: it does what the course says and tells it what happens.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use headwater_hop::{PullRequest, StartAt};
use headwater_hub::Stream;
use headwater_location::{Carried, Located, LocatorError, Part, Seen, Sources};
use headwater_process::clock;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::sleep_until;

use super::course::{Action, Course, Ending, PathId, Standing, Times};
use super::finder::{self, Moves};
use super::path::{Errand, News, Running};
use super::{Pull, Shared};

/// News that may wait to be acted upon.
const NEWS_QUEUED: usize = 32;
/// How often the operator hears where the stream's time stands.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// The answer of a look-up.
type Answered = Result<Located, LocatorError>;

struct Carrying {
    shared: Arc<Shared>,
    pull: Arc<Pull>,
    course: Course,
    paths: BTreeMap<PathId, Running>,
    news: mpsc::Sender<(PathId, News)>,
    // Boxed: a channel holds places for 32 from its start on, however few it may queue.
    answers: mpsc::Sender<Box<Answered>>,
    lookup: Option<AbortHandle>,
    /// How long "not found" holds.
    cache: Duration,
    reported: Option<Duration>,
    /// What the operator was told last: session and term.
    told: Option<(u64, u64)>,
    /// Where what came last came from.
    served_by: Option<String>,
}

impl Drop for Carrying {
    fn drop(&mut self) {
        if let Some(lookup) = &self.lookup {
            lookup.abort();
        }
    }
}

/// Carries `pull` until nobody wants it or nobody has it any more.
pub(super) async fn run(shared: Arc<Shared>, pull: Arc<Pull>) {
    let (news, mut heard) = mpsc::channel(NEWS_QUEUED);
    let (answers, mut answered) = mpsc::channel(1);
    let config = &shared.upstream.config;
    let times = Times {
        linger: config.linger,
        grace: config.grace,
        return_wait: config.return_wait,
    };
    let mut carrying = Carrying {
        cache: config.negative_cache,
        course: Course::new(times, clock::now()),
        paths: BTreeMap::new(),
        news,
        answers,
        lookup: None,
        reported: None,
        told: None,
        served_by: None,
        shared,
        pull,
    };
    let mut moves: Option<Box<dyn Moves>> = None;
    while carrying.act() {
        let now = clock::now();
        let due = carrying.due(now);
        tokio::select! {
            biased;
            Some((path, news)) = heard.recv() => carrying.hear(path, news),
            Some(answer) = answered.recv() => {
                // Names that nobody knows are not followed: there may be very many.
                if moves.is_none() {
                    moves = Some(carrying.shared.upstream.finder.follow(carrying.pull.key()));
                }
                carrying.located(*answer);
            }
            sources = moved(&mut moves) => {
                let hops = carrying.pull.behind.hops();
                carrying.course.moved(finder::of_sources(&sources, hops), clock::now());
            }
            () = carrying.pull.changed.notified() => {
                let wanted = carrying.pull.interest.taken() > 0;
                carrying.course.wanted(wanted, clock::now());
                let serves = carrying.pull.behind.hops() > 1;
                carrying.course.serves_edges(serves, clock::now());
            }
            () = sleep_until(clock::instant(due)) => {
                carrying.course.tick(clock::now());
                carrying.report();
            }
        }
    }
}

/// When the operator is to hear of a stream next that it heard of at `reported`. One that is not live is not reported:
/// then its last report makes nothing due, or the task would not rest until it is live again.
fn report_due(reported: Option<Duration>, live: bool, now: Duration) -> Duration {
    reported.filter(|_| live).unwrap_or(now) + REPORT_EVERY
}

/// Waits for a move; for ever as long as none are followed.
async fn moved(moves: &mut Option<Box<dyn Moves>>) -> Sources {
    match moves {
        Some(moves) => moves.moved().await,
        None => std::future::pending().await,
    }
}

impl Carrying {
    /// Does what the course says; returns whether the pull goes on.
    fn act(&mut self) -> bool {
        while let Some(action) = self.course.next_action() {
            match action {
                Action::Locate => self.locate(),
                Action::LookBeyond => {
                    let hops = self.pull.behind.hops();
                    let beyond = self.shared.upstream.finder.beyond(self.pull.key());
                    self.course
                        .beyond(finder::addresses(&beyond, hops), clock::now());
                }
                Action::Open { path, address } => self.open(path, address),
                Action::Feed { path } => {
                    if let Some(running) = self.paths.get_mut(&path) {
                        running.feed();
                    }
                }
                Action::Drop { path } => {
                    self.paths.remove(&path);
                }
                Action::Finish => {
                    self.finish();
                    return false;
                }
            }
        }
        // Edges that pull from here look elsewhere too, but for a while with a publisher that has only left.
        let held = matches!(self.course.standing(), Standing::Live | Standing::Lost);
        let silent = held && !self.course.carrying();
        self.pull.stream.set_source_silent(silent);
        self.show();
        true
    }

    /// Shows where the pull stands to those who wait.
    fn show(&mut self) {
        let standing = self.course.standing();
        let changed = self
            .pull
            .standing
            .send_if_modified(|shown| std::mem::replace(shown, standing) != standing);
        self.pull
            .shielded
            .store(self.course.is_shielded(), Ordering::Relaxed);
        let upstream = self.course.upstream();
        let mut shown = self.pull.upstream.lock();
        if shown.as_deref() != upstream {
            *shown = upstream.map(str::to_owned);
        }
        drop(shown);
        if changed && standing == Standing::Live {
            self.shared.table.lock().found(self.pull.key());
        }
        if changed && standing == Standing::Missing {
            self.remember_missing();
        }
    }

    fn remember_missing(&self) {
        let now = clock::now();
        self.shared
            .table
            .lock()
            .missing(self.pull.key(), now + self.cache, now);
    }

    fn due(&self, now: Duration) -> Duration {
        let live = self.course.standing() == Standing::Live;
        let report = report_due(self.reported, live, now);
        self.course
            .next_timeout(now)
            .map_or(report, |due| due.min(report))
    }

    fn locate(&mut self) {
        let (shared, key) = (Arc::clone(&self.shared), self.pull.key().clone());
        let answers = self.answers.clone();
        let lookup = tokio::spawn(async move {
            let located = shared.upstream.finder.locate(&key).await;
            // It fails if the pull is over.
            let _ = answers.send(Box::new(located)).await;
        });
        self.lookup = Some(lookup.abort_handle());
    }

    fn located(&mut self, answered: Answered) {
        let (located, cache) = finder::read(answered, self.pull.behind.hops());
        if let Some(cache) = cache.filter(|cache| !cache.is_zero()) {
            self.cache = cache.min(self.shared.upstream.config.negative_cache);
        }
        self.course.located(located, clock::now());
    }

    fn open(&mut self, id: PathId, address: String) {
        let upstream = &self.shared.upstream;
        tracing::debug!(key = %self.pull.key(), source = address, "asking for the stream");
        upstream.metrics.paths.inc();
        let errand = Errand {
            id,
            address,
            request: PullRequest {
                key: self.pull.key().clone(),
                start: resume(&self.pull.stream),
                hops: self.pull.behind.hops(),
                known: self.course.known(),
            },
            limits: upstream.limits,
            dialer: upstream.dialer.clone(),
            metrics: upstream.hop.clone(),
            stream: Arc::clone(&self.pull.stream),
            news: self.news.clone(),
        };
        self.paths.insert(id, Running::start(errand));
    }

    /// Something was heard of a source.
    fn served(&mut self) {
        let by = self.course.upstream();
        if self.served_by.as_deref() == by {
            return;
        }
        tracing::info!(key = %self.pull.key(), source = by, "pulling");
        if self.served_by.is_some() {
            self.shared.upstream.metrics.moves.inc();
        }
        self.served_by = by.map(str::to_owned);
    }

    fn hear(&mut self, path: PathId, news: News) {
        let now = clock::now();
        let before = self.pull.source();
        match news {
            News::Answered { term, epoch } => self.course.answered(path, term, epoch, now),
            News::Heard => {
                self.course.heard(path, now);
                self.served();
                self.report();
            }
            News::Silent => {
                tracing::info!(key = %self.pull.key(), source = before, "the source is silent");
                self.course.silent(path, now);
            }
            News::Slow => {
                tracing::info!(key = %self.pull.key(), source = before, "the source is slower than the stream");
                self.course.slow(path, now);
            }
            News::Dry(dry) => self.course.dry(path, dry, now),
            News::Term(term) => self.course.term_heard(term, now),
            News::Moved(to) => self.course.redirected(to, now),
            News::Ended(ending, reason) => {
                self.paths.remove(&path);
                self.shared.upstream.metrics.path_ended(ending.reason());
                if ending == Ending::PublisherLeft {
                    tracing::info!(key = %self.pull.key(), "the publisher has left; viewers are kept for a while");
                } else if self.course.standing() == Standing::Live {
                    tracing::info!(key = %self.pull.key(), source = before, reason, "the source is gone");
                }
                self.course.ended(path, ending, now);
            }
        }
    }

    /// Tells the operator what is carried: at once where session or term are new, else now and then.
    fn report(&mut self) {
        let now = clock::now();
        let progress = self.pull.stream.progress();
        if progress.epoch == 0 || self.course.standing() != Standing::Live {
            return;
        }
        let told = (progress.epoch, progress.term);
        let recent = self.reported.is_some_and(|at| now < at + REPORT_EVERY);
        if recent && self.told == Some(told) {
            return;
        }
        self.reported = Some(now);
        self.told = Some(told);
        self.shared.upstream.finder.carries(Carried {
            key: self.pull.key().clone(),
            part: Part::Carrier,
            epoch: progress.epoch,
            term: self.course.term().max(progress.term),
            ingress: None,
            home: None,
            seen: seen(&self.pull.stream, now),
            viewers: u32::try_from(self.pull.viewers()).unwrap_or(u32::MAX),
        });
    }

    fn finish(&mut self) {
        let now = clock::now();
        {
            // Under the lock, so that whoever enters next finds neither this pull nor its stream.
            let mut table = self.shared.table.lock();
            table.remove(&self.pull);
            self.shared.upstream.registry.remove(&self.pull.stream, now);
        }
        if self.told.is_some() {
            self.shared
                .upstream
                .finder
                .dropped(self.pull.key(), seen(&self.pull.stream, now));
            tracing::info!(key = %self.pull.key(), "no longer pulled");
        }
        self.paths.clear();
        self.pull.stream.close();
        *self.pull.fanout.lock() = None;
        self.pull.standing.send_replace(Standing::Over);
        self.shared.upstream.metrics.pulls.dec();
    }
}

/// Where the next path begins: behind the last tag, whoever it came from.
fn resume(stream: &Stream) -> StartAt {
    let epoch = stream.progress().epoch;
    match stream.next_sequence().checked_sub(1) {
        Some(sequence) if epoch > 0 => StartAt::After { epoch, sequence },
        _ => StartAt::Live,
    }
}

fn seen(stream: &Stream, now: Duration) -> Option<Seen> {
    let (last, ago) = stream.last_shown(now)?;
    let ago_ms = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
    Some(Seen {
        stream_dts_ms: last.0,
        unix_ms: clock::unix_ms().saturating_sub(ago_ms),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_stream_that_is_live_is_due_to_be_reported() {
        let (reported, now) = (Duration::from_secs(20), Duration::from_secs(25));
        let next = now + REPORT_EVERY;
        assert_eq!(report_due(None, true, now), next);
        assert_eq!(
            report_due(Some(reported), true, now),
            reported + REPORT_EVERY
        );
        assert_eq!(report_due(Some(reported), false, now), next);
    }
}
