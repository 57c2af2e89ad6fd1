//! The sources that may be asked, in the order to try, each with the rest that it needs after a failure.

use std::time::Duration;

/// The rest after a first failure; it doubles with each further one.
const REST_MIN: Duration = Duration::from_millis(100);
const REST_MAX: Duration = Duration::from_secs(2);
/// Sources that are kept.
const CANDIDATES_MAX: usize = 16;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Candidate {
    address: String,
    /// Not to be asked before; `None`: never asked without success so far.
    rest_until: Option<Duration>,
    failures: u32,
}

impl Candidate {
    fn new(address: String) -> Candidate {
        Candidate {
            address,
            rest_until: None,
            failures: 0,
        }
    }
}

/// The list.
#[derive(Clone, Debug, Default)]
pub(super) struct Candidates(Vec<Candidate>);

impl Candidates {
    /// A new list; those who stay keep their rest.
    pub(super) fn replace(&mut self, addresses: Vec<String>) {
        let mut old = std::mem::take(&mut self.0);
        for address in addresses.into_iter().take(CANDIDATES_MAX) {
            if self.contains(&address) {
                continue;
            }
            let known = old
                .iter()
                .position(|c| c.address == address)
                .map(|index| old.swap_remove(index));
            self.0
                .push(known.unwrap_or_else(|| Candidate::new(address)));
        }
    }

    /// Puts `address` at the end, if it is not there.
    pub(super) fn add(&mut self, address: String) {
        if !self.contains(&address) && self.0.len() < CANDIDATES_MAX {
            self.0.push(Candidate::new(address));
        }
    }

    /// Puts `address` at the front.
    pub(super) fn prefer(&mut self, address: String) {
        self.0.retain(|c| c.address != address);
        self.0.insert(0, Candidate::new(address));
        self.0.truncate(CANDIDATES_MAX);
    }

    pub(super) fn remove(&mut self, address: &str) {
        self.0.retain(|c| c.address != address);
    }

    pub(super) fn first(&self) -> Option<&str> {
        self.0.first().map(|c| c.address.as_str())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn contains(&self, address: &str) -> bool {
        self.0.iter().any(|c| c.address == address)
    }

    /// Whether each has been asked without success.
    pub(super) fn all_tried(&self) -> bool {
        self.0.iter().all(|c| c.rest_until.is_some())
    }

    /// The first that may be asked at `now` and is not `taken`.
    pub(super) fn pick(&self, now: Duration, taken: impl Fn(&str) -> bool) -> Option<String> {
        let free =
            |c: &&Candidate| c.rest_until.is_none_or(|until| now >= until) && !taken(&c.address);
        self.0.iter().find(free).map(|c| c.address.clone())
    }

    /// When those that rest may be asked again.
    pub(super) fn wakes(&self) -> impl Iterator<Item = Duration> {
        self.0.iter().filter_map(|c| c.rest_until)
    }

    pub(super) fn rest(&mut self, address: &str, until: Duration) {
        if let Some(candidate) = self.0.iter_mut().find(|c| c.address == address) {
            candidate.rest_until = Some(until);
        }
    }

    pub(super) fn rest_all(&mut self, until: Duration) {
        for candidate in &mut self.0 {
            candidate.rest_until = Some(until);
        }
    }

    /// All may be asked at once: there is news.
    pub(super) fn wake(&mut self) {
        for candidate in &mut self.0 {
            candidate.rest_until = None;
        }
    }

    pub(super) fn failed(&mut self, address: &str, now: Duration) {
        if let Some(candidate) = self.0.iter_mut().find(|c| c.address == address) {
            let rest = REST_MIN
                .saturating_mul(1 << candidate.failures.min(8))
                .min(REST_MAX);
            candidate.rest_until = Some(now + rest);
            candidate.failures = candidate.failures.saturating_add(1);
        }
    }

    pub(super) fn succeeded(&mut self, address: &str) {
        if let Some(candidate) = self.0.iter_mut().find(|c| c.address == address) {
            candidate.rest_until = None;
            candidate.failures = 0;
        }
    }
}
