//! The edges that pull a stream from here.
//!
//! While there are any, the pull itself is from origins alone, or two edges could feed each other.

use parking_lot::Mutex;

/// For each edge behind a pull, the roles that its request has passed with this one.
#[derive(Debug, Default)]
pub(crate) struct Behind(Mutex<Vec<u32>>);

impl Behind {
    /// An edge comes; returns whether it is the only one.
    pub(crate) fn join(&self, hops: u32) -> bool {
        let mut edges = self.0.lock();
        edges.push(hops);
        edges.len() == 1
    }

    /// An edge that came with `hops` goes; returns whether it was the last.
    pub(crate) fn leave(&self, hops: u32) -> bool {
        let mut edges = self.0.lock();
        if let Some(index) = edges.iter().position(|it| *it == hops) {
            edges.swap_remove(index);
        }
        edges.is_empty()
    }

    /// The number of a request that is made for all of them: the most that any has passed, and 1 for own viewers alone.
    pub(crate) fn hops(&self) -> u32 {
        self.0.lock().iter().copied().max().unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_passed_as_many_roles_as_the_farthest_edge_that_is_still_there() {
        let behind = Behind::default();
        assert_eq!(behind.hops(), 1);
        assert!(behind.join(2));
        assert!(!behind.join(4));
        assert!(!behind.join(2));
        assert_eq!(behind.hops(), 4);
        assert!(!behind.leave(4));
        assert_eq!(behind.hops(), 2);
        assert!(!behind.leave(2));
        assert!(behind.leave(2));
        assert_eq!(behind.hops(), 1);
    }
}
