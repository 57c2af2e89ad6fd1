//! The keys of a stream that a policy gives, in place of those of the configuration.

use serde::Serialize;
use thiserror::Error;

use crate::config::{KeyPair, TakenSchemes};

/// Keys for both purposes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SigningKeys {
    /// Which signatures are taken.
    pub scheme: TakenSchemes,
    /// The keys for publishing; none: open to everybody.
    pub publish: KeyPair,
    /// The keys for playing; none: open to everybody.
    pub play: KeyPair,
}

/// What a policy says of the keys of its streams.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyKeys {
    /// These are in force.
    Known(SigningKeys),
    /// There should be keys and nobody could read them: nobody may.
    Unread,
}

/// Keys that cannot be used. A key is never quoted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeysError {
    /// No key signs.
    #[error("there is neither a key for publishing nor one for playing")]
    Nothing,
    /// A key is no key.
    #[error("the {which} key for {purpose}: {problem}")]
    Key {
        /// `publish` or `play`.
        purpose: &'static str,
        /// `main` or `backup`.
        which: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl SigningKeys {
    /// Checks every key.
    ///
    /// # Errors
    /// The first one that cannot be used.
    pub fn check(&self) -> Result<(), KeysError> {
        for (purpose, pair) in [("publish", &self.publish), ("play", &self.play)] {
            pair.usable().map_err(|(which, problem)| KeysError::Key {
                purpose,
                which,
                problem,
            })?;
        }
        if self.publish.main.is_none() && self.play.main.is_none() {
            return Err(KeysError::Nothing);
        }
        Ok(())
    }
}
