//! Rounds: a stream's live viewers in groups that are written to one behind the other, spread over the tick.
//!
//! Writing to very many viewers takes a good part of the tick, and whoever comes last waits for all before. In groups that
//! have their own moments in the tick, nobody waits for more than the group, at the same number of writes. Each group has
//! windows of its own, as long as the tick: encoding them once more costs nothing beside the writes, and one window is
//! one plain write. So have rtc viewers, who are written to at each tag.

use std::time::Duration;

use headwater_hub::{LatePolicy, Mode, Ring};

use crate::format::Format;
use crate::window::{Needs, Windows};

/// A group has at least so many viewers.
const GROUP_MIN: usize = 500;
/// So many seats side by side are in one group: what the kernel and we hold of them was mostly made one after the other, and
/// is written to in that order.
const NEIGHBOURS: usize = 32;
/// Between two rounds lies at least so much.
const STEP_MIN: Duration = Duration::from_millis(25);

/// The windows of viewers who are written to at the same moments, and how many those are.
#[derive(Debug)]
struct Audience {
    needs: Needs,
    viewers: usize,
    windows: Vec<Windows>,
}

/// The windows of all viewers of a stream, and whose turn it is.
#[derive(Debug)]
pub(crate) struct Rounds {
    rtc: Audience,
    live: Audience,
    turn: usize,
}

impl Audience {
    fn new(ring: &Ring) -> Audience {
        Audience {
            needs: Needs::default(),
            viewers: 0,
            windows: vec![Windows::follow(ring)],
        }
    }

    fn of(&self, number: usize) -> Option<&Windows> {
        self.windows.get(group_of(number, self.windows.len()))
    }

    fn close(&mut self, group: usize, ring: &Ring, policy: &LatePolicy) {
        if let Some(windows) = self.windows.get_mut(group) {
            windows.close(ring, &self.needs, policy);
        }
    }
}

impl Rounds {
    /// No viewers yet, who will begin at the end of `ring`.
    pub(crate) fn new(ring: &Ring) -> Rounds {
        Rounds {
            rtc: Audience::new(ring),
            live: Audience::new(ring),
            turn: 0,
        }
    }

    fn audience(&mut self, mode: Mode) -> &mut Audience {
        match mode {
            Mode::Rtc => &mut self.rtc,
            Mode::Live => &mut self.live,
        }
    }

    /// One more viewer.
    pub(crate) fn seat(&mut self, mode: Mode, format: Format, ring: &Ring) {
        let audience = self.audience(mode);
        if audience.viewers == 0 {
            // While there was nobody, nobody closed windows.
            *audience = Audience::new(ring);
        }
        audience.viewers = audience.viewers.saturating_add(1);
        audience.needs.add(format);
    }

    /// One viewer less.
    pub(crate) fn unseat(&mut self, mode: Mode, format: Format) {
        let audience = self.audience(mode);
        audience.viewers = audience.viewers.saturating_sub(1);
        audience.needs.remove(format);
    }

    /// How many viewers have `mode`.
    pub(crate) fn viewers(&self, mode: Mode) -> usize {
        match mode {
            Mode::Rtc => self.rtc.viewers,
            Mode::Live => self.live.viewers,
        }
    }

    /// The windows of the viewer on seat `number`.
    pub(crate) fn windows(&self, mode: Mode, number: usize) -> Option<&Windows> {
        match mode {
            Mode::Rtc => self.rtc.windows.first(),
            Mode::Live => self.live.of(number),
        }
    }

    /// Closes a window for the viewer on seat `number`, and those who share it.
    pub(crate) fn close(&mut self, mode: Mode, number: usize, ring: &Ring, policy: &LatePolicy) {
        let audience = self.audience(mode);
        let group = group_of(number, audience.windows.len());
        audience.close(group, ring, policy);
    }

    /// Forgets the windows of rtc viewers: all in step have them.
    pub(crate) fn clear_rtc(&mut self) {
        self.rtc.windows.iter_mut().for_each(Windows::clear);
    }

    /// The time from round to round where live viewers are written to every `tick`.
    pub(crate) fn step(&self, tick: Duration) -> Duration {
        tick / u32::try_from(self.groups(tick)).unwrap_or(1)
    }

    fn groups(&self, tick: Duration) -> usize {
        let steps = usize::try_from(tick.as_millis() / STEP_MIN.as_millis()).unwrap_or(1);
        (self.live.viewers / GROUP_MIN).min(steps).max(1)
    }

    /// Begins the next round and closes its windows. `all` groups have it together, also where there are to be more of them
    /// or fewer: behind it all viewers in step are at the same tag.
    pub(crate) fn begin(
        &mut self,
        tick: Duration,
        all: bool,
        ring: &Ring,
        policy: &LatePolicy,
    ) -> Round {
        self.turn = self.turn.wrapping_add(1);
        let groups = self.live.windows.len();
        let regroup = self.groups(tick) != groups;
        let round = if all || regroup || groups <= 1 {
            Round::All
        } else {
            Round::Of {
                group: self.turn % groups,
                groups,
            }
        };
        if self.live.viewers > 0 {
            for group in (0..groups).filter(|group| round.has_group(*group)) {
                self.live.close(group, ring, policy);
            }
        }
        round
    }

    /// All of `round` have been written to. Returns whether a group has yet to have what `ring` holds.
    pub(crate) fn finish(&mut self, round: Round, tick: Duration, ring: &Ring) -> bool {
        let served = self.live.windows.iter_mut().enumerate();
        for (_, windows) in served.filter(|(group, _)| round.has_group(*group)) {
            windows.clear();
        }
        if round == Round::All {
            let groups = self.groups(tick);
            self.live.windows.truncate(groups);
            while let Some(last) = self
                .live
                .windows
                .last()
                .filter(|_| self.live.windows.len() < groups)
            {
                let another = Windows::behind(last);
                self.live.windows.push(another);
            }
        }
        let end = ring.next_position();
        self.live.viewers > 0 && self.live.windows.iter().any(|windows| windows.end() < end)
    }
}

/// Who is written to in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Round {
    All,
    Of { group: usize, groups: usize },
}

impl Round {
    /// Whether it is the round of the viewer on seat `number`.
    pub(crate) fn has(self, number: usize) -> bool {
        match self {
            Round::All => true,
            Round::Of { group, groups } => group_of(number, groups) == group,
        }
    }

    fn has_group(self, number: usize) -> bool {
        match self {
            Round::All => true,
            Round::Of { group, .. } => number == group,
        }
    }
}

/// The group of the viewer on seat `number`, where there are `groups`.
fn group_of(number: usize, groups: usize) -> usize {
    number / NEIGHBOURS % groups.max(1)
}

#[cfg(test)]
mod tests {
    use headwater_hub::RingLimits;

    use super::*;

    const TICK: Duration = Duration::from_millis(100);

    fn rounds(ring: &Ring, viewers: usize) -> Rounds {
        let mut rounds = Rounds::new(ring);
        for _ in 0..viewers {
            rounds.seat(Mode::Live, Format::FlvPlain, ring);
        }
        rounds
    }

    #[test]
    fn groups_grow_with_the_viewers_and_have_their_time_within_the_tick() {
        let ring = Ring::new(RingLimits::default());
        for (viewers, tick_ms, step_ms) in [
            (0, 5, 5),
            (100, 10, 10),
            (999, 99, 99),
            (1_000, 100, 50),
            (2_000, 100, 25),
            (10_000, 100, 25),
            (10_000, 20, 20),
        ] {
            let step = rounds(&ring, viewers).step(Duration::from_millis(tick_ms));
            assert_eq!(
                step,
                Duration::from_millis(step_ms),
                "{viewers} viewers, tick {tick_ms} ms"
            );
        }
    }

    #[test]
    fn every_seat_has_its_turn_once_in_as_many_rounds_as_there_are_groups() {
        let ring = Ring::new(RingLimits::default());
        let policy = LatePolicy::default();
        let mut rounds = rounds(&ring, 2_000);
        let turns = |rounds: &mut Rounds, count: usize| {
            let mut had = [0; 8 * NEIGHBOURS];
            for _ in 0..count {
                let round = rounds.begin(TICK, false, &ring, &policy);
                for (seat, times) in had.iter_mut().enumerate() {
                    *times += usize::from(round.has(seat));
                }
                rounds.finish(round, TICK, &ring);
            }
            for neighbours in had.chunks(NEIGHBOURS) {
                let together = neighbours.iter().all(|times| *times == neighbours[0]);
                assert!(together, "seats side by side are one group");
            }
            had
        };
        assert_eq!(
            turns(&mut rounds, 1),
            [1; 8 * NEIGHBOURS],
            "groups are made in a round of all"
        );
        assert_eq!(turns(&mut rounds, 4), [1; 8 * NEIGHBOURS]);
        assert_eq!(turns(&mut rounds, 8), [2; 8 * NEIGHBOURS]);
        for _ in 0..1_900 {
            rounds.unseat(Mode::Live, Format::FlvPlain);
        }
        assert_eq!(
            turns(&mut rounds, 2),
            [2; 8 * NEIGHBOURS],
            "so few are one group"
        );
    }
}
