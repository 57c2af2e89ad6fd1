//! The one source of randomness, so that a simulation can bring its own.

use std::hash::{BuildHasher, RandomState};

/// A number that nobody can foretell; it is for jitter, not for secrets.
pub fn number() -> u64 {
    #[cfg(feature = "simulation")]
    if let Some(number) = crate::simulation::with(|host| host.random()) {
        return number;
    }
    RandomState::new().hash_one(0_u8)
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_differ() {
        assert_ne!(super::number(), super::number());
    }
}
