//! One fan-out task: the viewers of a stream that it writes to, on the thread that it stays on.
//!
//! It is woken by the stream's first new tag after a rest, then by the tick, in which very many viewers have their turns
//! one group after the other; rtc viewers are served at every tag. Sockets that are full wake it one by one.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use headwater_hub::{AtOnce, Liveness, Mode, Progress, Stream};
use headwater_process::clock;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep_until;

use crate::beat::Beat;
use crate::ready::ReadyQueue;
use crate::release::Release;
use crate::rounds::Rounds;
use crate::run::Run;
use crate::seat::{Reading, Seat, Turn};
use crate::settings::FanoutSettings;
use crate::threads::Place;
use crate::viewer::{EndReason, Viewer};
use crate::writer::Writer;

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

/// The viewers of one task.
pub(crate) struct Hall {
    stream: Arc<Stream>,
    settings: Arc<FanoutSettings>,
    place: Place,
    seats: Vec<Option<Seat>>,
    free: Vec<usize>,
    ready: Arc<ReadyQueue>,
    rounds: Rounds,
    release: Option<Arc<Release>>,
    /// Held while its viewers do not look at the tick.
    at_once: Option<AtOnce>,
    /// Written since it was counted last: a counter that all threads share is not touched for each write.
    sent: u64,
}

impl Hall {
    /// An empty one, for `stream`, at `place`.
    pub(crate) fn new(stream: Arc<Stream>, settings: Arc<FanoutSettings>, place: Place) -> Hall {
        let rounds = stream.with_ring(Rounds::new);
        settings.cadence.began();
        Hall {
            stream,
            settings,
            place,
            seats: Vec::new(),
            free: Vec::new(),
            ready: Arc::default(),
            rounds,
            release: None,
            at_once: None,
            sent: 0,
        }
    }

    /// Seats who comes and writes to them, until nobody can come any more and the last has gone.
    pub(crate) async fn serve(
        mut self,
        mut joins: mpsc::Receiver<Box<Viewer>>,
        mut progress: watch::Receiver<Progress>,
        mut releases: watch::Receiver<Option<Arc<Release>>>,
    ) {
        self.release = releases.borrow().clone();
        let mut woken = Vec::new();
        let mut beat = Beat::default();
        let mut open = true;
        let mut look = None;
        while open || self.seated() > 0 {
            self.count_sent();
            let ready = Arc::clone(&self.ready);
            // Biased: tags before sockets before newcomers, and the same order in every run of a simulation.
            tokio::select! {
                biased;
                () = until(beat.due()), if beat.due().is_some() => self.round(&mut beat).await,
                changed = progress.changed(), if beat.due().is_none() || self.hears_each_change() => {
                    if changed.is_err() {
                        return;
                    }
                    if self.has_rtc() {
                        self.serve_rtc();
                    }
                    if beat.hears(self.step(), self.is_paced(), clock::now()) {
                        self.round(&mut beat).await;
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
        self.has_rtc() || self.is_paced()
    }

    /// Whether tags come by the tick already.
    fn is_paced(&self) -> bool {
        !self.has_rtc() && self.stream.pacing().is_paced()
    }

    fn count_sent(&mut self) {
        let sent = std::mem::take(&mut self.sent);
        if sent > 0 {
            self.settings.metrics.sent(sent);
            self.place.sent(sent);
        }
    }

    fn has_rtc(&self) -> bool {
        self.rounds.viewers(Mode::Rtc) > 0
    }

    /// The time between two rounds.
    fn step(&self) -> Duration {
        self.rounds.step(self.settings.cadence.tick())
    }

    /// Says to whoever feeds the stream when its viewers look.
    fn say_when_viewers_look(&mut self) {
        let tick = self.settings.cadence.tick();
        // Groups look at different times. Beside the writes to so many viewers, being woken for each tag is nothing.
        let together = !self.has_rtc() && self.rounds.step(tick) == tick;
        let pacing = self.stream.pacing();
        pacing.want((tick >= PACED_FROM).then_some(tick));
        // The stream's other halls say what they want themselves.
        self.at_once = match self.at_once.take() {
            _ if together => None,
            Some(already) => Some(already),
            None => Some(pacing.at_once()),
        };
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
        let policy = &self.settings.policy;
        let rounds = &mut self.rounds;
        let writer = self.stream.with_ring(|ring| {
            rounds.seat(mode, format, ring);
            // What is there already is sent at once: the newcomer does not wait for the tick.
            rounds.close(mode, number, ring, policy);
            Writer::join(ring, mode, format, policy, head)
        });
        let mut seat = Seat::new(viewer, writer, self.ready.waker(number), now);
        if mode == Mode::Live {
            self.settings.cadence.joined();
        }
        self.say_when_viewers_look();
        if let Some(release) = &self.release {
            seat.is_to_leave(release.leave());
        }
        if let Some(place) = self.seats.get_mut(number) {
            *place = Some(seat);
        }
        self.serve_woken(number);
    }

    fn serve_rtc(&mut self) {
        let (rounds, policy) = (&mut self.rounds, &self.settings.policy);
        self.stream
            .with_ring(|ring| rounds.close(Mode::Rtc, 0, ring, policy));
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
        self.rounds.clear_rtc();
    }

    /// Writes to the viewers whose turn it is.
    async fn round(&mut self, beat: &mut Beat) {
        let now = clock::now();
        beat.ticks(now);
        self.say_when_viewers_look();
        // The end may have come with the last tags: nothing would wake the seats that have them for it again.
        let closed = self.stream.progress().liveness == Liveness::Closed;
        if closed {
            self.serve_rtc();
        }
        let tick = self.settings.cadence.tick();
        let (rounds, policy) = (&mut self.rounds, &self.settings.policy);
        let round = self
            .stream
            .with_ring(|ring| rounds.begin(tick, closed, ring, policy));
        for number in 0..self.seats.len() {
            if round.has(number) {
                self.write(number, now);
            }
            if closed {
                self.write_late(number, now);
            }
            if number % SEATS_PER_TURN == SEATS_PER_TURN - 1 {
                tokio::task::yield_now().await;
            }
        }
        let rounds = &mut self.rounds;
        let behind = self
            .stream
            .with_ring(|ring| rounds.finish(round, tick, ring));
        if behind {
            beat.due_within(self.step(), clock::now());
        }
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
            rounds,
            settings,
            sent,
            ..
        } = self;
        let Some(Some(seat)) = seats.get_mut(number) else {
            return;
        };
        let Some(windows) = rounds.windows(seat.writer.mode(), number) else {
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
        *sent = sent.saturating_add(seat.bytes().saturating_sub(before));
        self.after(number, turn, now);
    }

    /// Writes to a seat whose socket has room what only it needs.
    fn write_late(&mut self, number: usize, now: Duration) {
        let Hall {
            stream,
            seats,
            rounds,
            settings,
            sent,
            ..
        } = self;
        let Some(Some(seat)) = seats.get_mut(number) else {
            return;
        };
        let Some(windows) = rounds.windows(seat.writer.mode(), number) else {
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
        *sent = sent.saturating_add(seat.bytes().saturating_sub(before));
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
        let mode = seat.writer.mode();
        self.rounds.unseat(mode, seat.writer.format());
        if mode == Mode::Live {
            self.settings.cadence.left();
        }
        self.place.left();
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
        self.count_sent();
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
