//! The fan-out of one stream: one task that writes to all its viewers.
//!
//! It is woken by the stream's first new tag after a rest, then by the tick; rtc viewers are served at every tag. Sockets
//! that are full wake it one by one.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use headwater_hub::{HubMetrics, LatePolicy, Liveness, Mode, Progress, Stream};
use headwater_process::clock;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep_until;

use crate::beat::Beat;
use crate::cadence::Cadence;
use crate::metrics::DeliveryMetrics;
use crate::ready::ReadyQueue;
use crate::release::{Release, Releases};
use crate::run::Run;
use crate::seat::{Reading, Seat, Turn};
use crate::viewer::{EndReason, Viewer};
use crate::window::{Needs, Windows};
use crate::writer::Writer;

/// Viewers that may wait to be seated.
const JOINS_QUEUED: usize = 1_024;
/// Seats that are written to before other tasks have their turn.
const SEATS_PER_TURN: usize = 256;
/// How often a fan-out whose viewers are to go looks whom it can let go, though no tag comes.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// From this tick on a stream that is pulled may come by the tick too. At a shorter one, looking whether anything has come
/// costs more than being woken for it.
const PACED_FROM: Duration = Duration::from_millis(20);

thread_local! {
    /// Scratch memory for what one seat alone needs. A start-up burst makes it large, so streams do not have one each.
    static OWN_RUN: RefCell<Run> = RefCell::default();
}

/// What all fan-outs of a role share.
#[derive(Debug)]
pub struct FanoutSettings {
    /// The process-wide tick.
    pub cadence: Arc<Cadence>,
    /// The late-viewer policy.
    pub policy: LatePolicy,
    /// A viewer whose socket takes nothing for this long is ended.
    pub stuck_max: Duration,
    /// Counts what viewers lose.
    pub hub_metrics: Arc<HubMetrics>,
    /// Counts what is delivered.
    pub metrics: Arc<DeliveryMetrics>,
    /// Says when viewers are to go.
    pub releases: Releases,
}

/// The way into a stream's fan-out. When the last clone is gone, the fan-out ends with its last viewer.
#[derive(Clone, Debug)]
pub struct Fanout {
    // Boxed: a channel holds places for 32 from its start on.
    joins: mpsc::Sender<Box<Viewer>>,
}

impl Fanout {
    /// Starts the fan-out of `stream` on the current runtime.
    pub fn start(stream: Arc<Stream>, settings: Arc<FanoutSettings>) -> Fanout {
        let (joins, queue) = mpsc::channel(JOINS_QUEUED);
        let progress = stream.subscribe();
        let windows = stream.with_ring(Windows::follow);
        let releases = settings.releases.subscribe();
        settings.cadence.began();
        let release = releases.borrow().clone();
        let hall = Hall {
            stream,
            settings,
            seats: Vec::new(),
            free: Vec::new(),
            ready: Arc::default(),
            windows,
            needs: Needs::default(),
            rtc_seats: 0,
            release,
        };
        tokio::spawn(hall.serve(queue, progress, releases));
        Fanout { joins }
    }

    /// Seats `viewer`.
    ///
    /// # Errors
    /// The viewer is handed back if the fan-out has ended.
    pub async fn join(&self, viewer: Viewer) -> Result<(), Box<Viewer>> {
        self.joins
            .send(Box::new(viewer))
            .await
            .map_err(|refused| refused.0)
    }
}

struct Hall {
    stream: Arc<Stream>,
    settings: Arc<FanoutSettings>,
    seats: Vec<Option<Seat>>,
    free: Vec<usize>,
    ready: Arc<ReadyQueue>,
    windows: Windows,
    needs: Needs,
    rtc_seats: usize,
    release: Option<Arc<Release>>,
}

impl Hall {
    async fn serve(
        mut self,
        mut joins: mpsc::Receiver<Box<Viewer>>,
        mut progress: watch::Receiver<Progress>,
        mut releases: watch::Receiver<Option<Arc<Release>>>,
    ) {
        let mut woken = Vec::new();
        let mut beat = Beat::default();
        let mut open = true;
        let mut look = None;
        while open || self.seated() > 0 {
            let ready = Arc::clone(&self.ready);
            // Biased: tags before sockets before newcomers, and the same order in every run of a simulation.
            tokio::select! {
                biased;
                () = until(beat.due()), if beat.due().is_some() => {
                    beat.ticks(clock::now());
                    self.tick().await;
                }
                changed = progress.changed(), if beat.due().is_none() || self.hears_each_change() => {
                    if changed.is_err() {
                        return;
                    }
                    let now = clock::now();
                    if beat.hears(&self.settings.cadence, self.is_paced(), now) {
                        beat.ticks(now);
                        self.tick().await;
                        continue;
                    }
                    if self.rtc_seats > 0 {
                        self.serve_rtc();
                    }
                }
                Ok(release) = next_release(&mut releases) => {
                    self.let_go(release);
                    look = Some(clock::now());
                }
                () = until(look), if look.is_some() => {
                    look = Some(clock::now().saturating_add(LOOK_AGAIN));
                    self.look().await;
                }
                () = ready.wait(&mut woken) => {
                    for seat in woken.drain(..) {
                        self.serve_woken(seat);
                    }
                    tokio::task::yield_now().await;
                }
                viewer = joins.recv(), if open => match viewer {
                    Some(viewer) => self.seat(*viewer),
                    None => open = false,
                },
            }
        }
    }

    /// Whether a change may have to be acted upon before the tick that is due.
    fn hears_each_change(&self) -> bool {
        self.rtc_seats > 0 || self.is_paced()
    }

    /// Whether tags come by the tick already.
    fn is_paced(&self) -> bool {
        self.rtc_seats == 0 && self.stream.pacing().is_paced()
    }

    /// Says to whoever feeds the stream when its viewers look.
    fn say_when_viewers_look(&self) {
        let tick = self.settings.cadence.tick();
        let every = (self.rtc_seats == 0 && tick >= PACED_FROM).then_some(tick);
        self.stream.pacing().want(every);
    }

    fn seated(&self) -> usize {
        self.seats.len().saturating_sub(self.free.len())
    }

    fn seat(&mut self, viewer: Viewer) {
        let now = clock::now();
        let number = self.free.pop().unwrap_or_else(|| {
            self.seats.push(None);
            self.seats.len().saturating_sub(1)
        });
        let (mode, format, head) = (viewer.mode, viewer.format, viewer.head.clone());
        let writer = self
            .stream
            .with_ring(|ring| Writer::join(ring, mode, format, &self.settings.policy, head));
        let mut seat = Seat::new(viewer, writer, self.ready.waker(number), now);
        self.needs.add(format);
        match mode {
            Mode::Rtc => self.rtc_seats = self.rtc_seats.saturating_add(1),
            Mode::Live => self.settings.cadence.joined(),
        }
        self.say_when_viewers_look();
        if let Some(release) = &self.release {
            seat.is_to_leave(release.leave());
        }
        if let Some(place) = self.seats.get_mut(number) {
            *place = Some(seat);
        }
        // What is there already is sent at once: the newcomer does not wait for the tick.
        self.close_window();
        self.serve_woken(number);
    }

    fn close_window(&mut self) {
        let Hall {
            stream,
            windows,
            needs,
            settings,
            ..
        } = self;
        stream.with_ring(|ring| windows.close(ring, needs, &settings.policy));
    }

    fn serve_rtc(&mut self) {
        self.close_window();
        let now = clock::now();
        for number in 0..self.seats.len() {
            let rtc = self
                .seats
                .get(number)
                .and_then(Option::as_ref)
                .is_some_and(|s| s.writer.mode() == Mode::Rtc);
            if rtc {
                self.write(number, now);
            }
        }
        if self.rtc_seats == self.seated() {
            self.windows.clear();
        }
    }

    async fn tick(&mut self) {
        self.say_when_viewers_look();
        self.close_window();
        let now = clock::now();
        // The end may have come with the last tags: nothing would wake the seats that have them for it again.
        let closed = self.stream.progress().liveness == Liveness::Closed;
        for number in 0..self.seats.len() {
            self.write(number, now);
            if closed {
                self.write_late(number, now);
            }
            if number % SEATS_PER_TURN == SEATS_PER_TURN - 1 {
                tokio::task::yield_now().await;
            }
        }
        self.windows.clear();
    }

    /// Tells every viewer when it is to go.
    fn let_go(&mut self, release: Arc<Release>) {
        for seat in self.seats.iter_mut().flatten() {
            seat.is_to_leave(release.leave());
        }
        self.release = Some(release);
    }

    /// Lets go who is to go now.
    async fn look(&mut self) {
        let now = clock::now();
        for number in 0..self.seats.len() {
            // A socket that is full wakes its seat when it has room.
            if self.goes(number, now) {
                self.write_late(number, now);
            }
            if number % SEATS_PER_TURN == SEATS_PER_TURN - 1 {
                tokio::task::yield_now().await;
            }
        }
    }

    fn goes(&mut self, number: usize, now: Duration) -> bool {
        let Hall { stream, seats, .. } = self;
        let seat = seats.get_mut(number).and_then(Option::as_mut);
        seat.is_some_and(|seat| seat.leaves(stream, now) && seat.writer.blocked_since().is_none())
    }

    fn serve_woken(&mut self, number: usize) {
        let now = clock::now();
        let Some(Some(seat)) = self.seats.get_mut(number) else {
            return;
        };
        let turn = seat.read();
        if let Turn::Over(reason) = turn {
            self.unseat(number, reason, now);
            return;
        }
        if turn == Turn::Again {
            self.ready.push(number);
        }
        self.write_late(number, now);
    }

    /// Writes to a seat at its cadence: the shared windows if it is in step, unless its socket is full.
    fn write(&mut self, number: usize, now: Duration) {
        let Hall {
            stream,
            seats,
            windows,
            settings,
            ..
        } = self;
        let Some(Some(seat)) = seats.get_mut(number) else {
            return;
        };
        seat.leaves(stream, now);
        if let Some(since) = seat.writer.blocked_since() {
            if now.saturating_sub(since) > settings.stuck_max {
                self.unseat(number, EndReason::Stuck, now);
            }
            return;
        }
        if !seat.in_step(windows) {
            self.write_late(number, now);
            return;
        }
        let before = seat.bytes();
        let turn = seat.write_windows(windows, now);
        settings.metrics.sent(seat.bytes().saturating_sub(before));
        self.after(number, turn, now);
    }

    /// Writes to a seat whose socket has room what only it needs.
    fn write_late(&mut self, number: usize, now: Duration) {
        let Hall {
            stream,
            seats,
            windows,
            settings,
            ..
        } = self;
        let Some(Some(seat)) = seats.get_mut(number) else {
            return;
        };
        seat.leaves(stream, now);
        let reading = Reading {
            stream,
            windows,
            policy: &settings.policy,
        };
        let before = seat.bytes();
        let turn = OWN_RUN.with_borrow_mut(|run| seat.write_own(&reading, run, now));
        settings.metrics.sent(seat.bytes().saturating_sub(before));
        if *seat.writer.dropped() != seat.dropped_counted {
            settings
                .hub_metrics
                .dropped(&seat.dropped_counted, seat.writer.dropped());
            seat.dropped_counted = *seat.writer.dropped();
        }
        self.after(number, turn, now);
    }

    fn after(&mut self, number: usize, turn: Turn, now: Duration) {
        match turn {
            Turn::Rest => {}
            Turn::Again => self.ready.push(number),
            Turn::Over(reason) => self.unseat(number, reason, now),
        }
    }

    fn unseat(&mut self, number: usize, reason: EndReason, now: Duration) {
        let Some(seat) = self.seats.get_mut(number).and_then(Option::take) else {
            return;
        };
        self.free.push(number);
        self.needs.remove(seat.writer.format());
        match seat.writer.mode() {
            Mode::Rtc => self.rtc_seats = self.rtc_seats.saturating_sub(1),
            Mode::Live => self.settings.cadence.left(),
        }
        self.settings.metrics.ended(reason);
        self.settings
            .hub_metrics
            .dropped(&seat.dropped_counted, seat.writer.dropped());
        seat.end(reason, now);
    }
}

impl Drop for Hall {
    fn drop(&mut self) {
        for number in 0..self.seats.len() {
            self.unseat(number, EndReason::Shutdown, clock::now());
        }
        self.settings.cadence.ended();
    }
}

/// The next release that begins.
async fn next_release(
    releases: &mut watch::Receiver<Option<Arc<Release>>>,
) -> Result<Arc<Release>, watch::error::RecvError> {
    loop {
        releases.changed().await?;
        if let Some(release) = releases.borrow_and_update().clone() {
            return Ok(release);
        }
    }
}

async fn until(due: Option<Duration>) {
    if let Some(due) = due {
        sleep_until(clock::instant(due)).await;
    }
}
