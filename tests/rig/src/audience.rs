//! Several viewers of one stream, judged together.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::time::Instant;

use crate::compare::{self, Account};
use crate::viewer::{Seen, Viewer};

/// What several viewers got, over one run or many.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Tags with an identity that came.
    pub tags: usize,
    /// Tags that did not come, in holes.
    pub lost: u64,
    /// Tags that came again.
    pub doubled: u64,
    /// Steps back of a number, a stamp or a session.
    pub disordered: u64,
    /// Sequence headers beyond the first of each kind.
    pub headers_again: usize,
    /// Connections that ended.
    pub ended: usize,
    /// The longest silence of each viewer, in microseconds.
    pub gaps_us: Vec<u64>,
    /// The longest silence of each viewer before the fault, in microseconds: the stream's own pace, and what else the
    /// machine does.
    pub usual_us: Vec<u64>,
    /// The longest that the machine stood still for everybody.
    pub stalled: Duration,
}

impl Figures {
    /// Adds what one viewer got; silences count from `since_us` on.
    pub fn add(&mut self, seen: &Seen, since_us: u64) -> Account {
        let account = compare::account(&seen.tags);
        self.tags += account.tags;
        self.lost += account.lost;
        self.doubled += account.doubled;
        self.disordered += account.disordered;
        for kind in [8, 9] {
            let headers = seen.tags.iter().filter(|t| t.kind == kind && t.header);
            self.headers_again += headers.count().saturating_sub(1);
        }
        self.ended += usize::from(seen.end.is_some());
        self.gaps_us.push(longest_silence_us(seen, since_us));
        account
    }

    /// Adds another run's.
    pub fn merge(&mut self, other: Figures) {
        self.tags += other.tags;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.disordered += other.disordered;
        self.headers_again += other.headers_again;
        self.ended += other.ended;
        self.gaps_us.extend(other.gaps_us);
        self.usual_us.extend(other.usual_us);
        self.stalled = self.stalled.max(other.stalled);
    }

    /// The silence that `percent` of the viewers had at most.
    pub fn gap(&self, percent: usize) -> Duration {
        rank(&self.gaps_us, percent)
    }

    /// The silence before the fault that `percent` of the viewers had at most.
    pub fn usual(&self, percent: usize) -> Duration {
        rank(&self.usual_us, percent)
    }

    /// Whether each viewer got each tag once and in order, on a connection that is still there.
    ///
    /// # Errors
    /// If not, or if nothing came.
    pub fn is_whole(&self) -> anyhow::Result<()> {
        let faults = self.lost + self.doubled + self.disordered;
        ensure!(
            faults == 0 && self.ended == 0 && self.headers_again == 0 && self.tags > 0,
            "{} tags: {} lost, {} doubled, {} disordered, {} headers again, {} connections ended",
            self.tags,
            self.lost,
            self.doubled,
            self.disordered,
            self.headers_again,
            self.ended
        );
        Ok(())
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = |percent| self.gap(percent).as_millis();
        write!(
            f,
            "| {} | {} | {} | {} | {} / {} / {} |",
            self.gaps_us.len(),
            self.lost,
            self.doubled + self.disordered,
            self.usual(99).as_millis(),
            ms(50),
            ms(99),
            ms(100)
        )
    }
}

fn rank(times_us: &[u64], percent: usize) -> Duration {
    let mut times_us = times_us.to_vec();
    times_us.sort_unstable();
    let rank = (times_us.len() * percent).div_ceil(100).max(1) - 1;
    Duration::from_micros(times_us.get(rank).copied().unwrap_or(0))
}

/// The longest time from tag to tag, of those that came after `since_us`.
fn longest_silence_us(seen: &Seen, since_us: u64) -> u64 {
    let media: Vec<u64> = seen
        .tags
        .iter()
        .filter(|tag| tag.is_media())
        .map(|tag| tag.at_us)
        .collect();
    let pairs = media.iter().zip(media.iter().skip(1));
    pairs
        .filter(|(_, later)| **later >= since_us)
        .map(|(one, later)| later.saturating_sub(*one))
        .max()
        .unwrap_or(0)
}

/// Viewers in the background.
#[derive(Debug)]
pub struct Audience {
    viewers: Vec<Viewer>,
}

impl Audience {
    /// `each` viewers of each of `urls`.
    pub fn start(urls: &[String], each: usize, epoch: Instant) -> Audience {
        let viewers = urls
            .iter()
            .flat_map(|url| (0..each).map(|_| Viewer::start(url, epoch)))
            .collect();
        Audience { viewers }
    }

    /// Waits until each has got `more` media tags beyond those that it has.
    ///
    /// # Errors
    /// If one does not get them; says which.
    pub async fn goes_on(&mut self, more: usize) -> anyhow::Result<()> {
        let media = |seen: &Seen| seen.tags.iter().filter(|tag| tag.is_media()).count();
        let wanted: Vec<usize> = self
            .viewers
            .iter()
            .map(|viewer| viewer.with(media) + more)
            .collect();
        for (number, (viewer, wanted)) in self.viewers.iter_mut().zip(wanted).enumerate() {
            viewer
                .until(crate::SOON, |seen| media(seen) >= wanted)
                .await
                .with_context(|| format!("viewer {number}"))?;
        }
        Ok(())
    }

    /// Waits until each has got a tag of `session`.
    ///
    /// # Errors
    /// If one gets none; says which.
    pub async fn sees(&mut self, session: u64) -> anyhow::Result<()> {
        for (number, viewer) in self.viewers.iter_mut().enumerate() {
            let of_it = |seen: &Seen| {
                let last = seen.tags.iter().rev().find_map(|tag| tag.identity);
                last.is_some_and(|(of, _)| of == session)
            };
            viewer
                .until(crate::SOON, of_it)
                .await
                .with_context(|| format!("viewer {number}"))?;
        }
        Ok(())
    }

    /// What each has got.
    pub fn seen(&self) -> Vec<Seen> {
        self.viewers.iter().map(Viewer::seen).collect()
    }

    /// What all have got; silences count from `since_us` on.
    pub fn figures(&self, since_us: u64) -> Figures {
        let mut figures = Figures::default();
        for viewer in &self.viewers {
            viewer.with(|seen| figures.add(seen, since_us));
        }
        figures
    }
}

#[cfg(test)]
mod tests {
    use headwater_media::TagKind;

    use super::*;
    use crate::{Record, identity};

    fn seen(numbers: &[u64]) -> Seen {
        let tags = numbers
            .iter()
            .map(|&number| {
                let body = identity::audio(1, number, 100);
                let ms = u32::try_from(number * 20).unwrap();
                Record::of(TagKind::Audio, ms, &body, number * 20_000)
            })
            .collect();
        Seen { tags, end: None }
    }

    #[test]
    fn silences_count_from_the_fault_on_and_holes_are_told() {
        let mut figures = Figures::default();
        figures.add(&seen(&[0, 10, 11, 12, 13]), 220_000);
        assert_eq!(figures.gap(100), Duration::from_millis(20));
        assert!(figures.is_whole().is_err(), "nine are missing");
        let mut whole = Figures::default();
        for _ in 0..99 {
            whole.add(&seen(&[4, 5, 6]), 0);
        }
        let mut late = seen(&[4, 5, 6]);
        late.tags[2].at_us += 500_000;
        whole.add(&late, 0);
        assert!(whole.is_whole().is_ok());
        assert_eq!(whole.gap(99), Duration::from_millis(20));
        assert_eq!(whole.gap(100), Duration::from_millis(520));
        late.end = Some(Ok(()));
        whole.add(&late, 0);
        assert!(whole.is_whole().is_err(), "a connection ended");
    }
}
