//! The way in for fuzzing: the judgement of signatures, with the time as a value.

use headwater_media::{Query, StreamKey};

use crate::keyring::Keyring;
use crate::sign::subject;
use crate::signature::Presented;
use crate::{AdmissionConfig, ConfigError, Kind, Refusal};

/// The part of [`Admission`](crate::Admission) that reads signatures.
#[derive(Debug)]
pub struct Gate(Keyring);

impl Gate {
    /// A gate with these keys.
    ///
    /// # Errors
    /// If the configuration is wrong.
    pub fn new(config: &AdmissionConfig) -> Result<Gate, ConfigError> {
        Keyring::new(config).map(Gate)
    }

    /// Judges what `query` presents. `Ok(true)`: a key was needed and fitted; `Ok(false)`: none was needed.
    ///
    /// # Errors
    /// Why the signature opens nothing.
    pub fn judge(
        &self,
        kind: Kind,
        key: &StreamKey,
        query: &Query,
        now_unix_s: u64,
    ) -> Result<bool, Refusal> {
        let presented = Presented::read(|name| query.get(name));
        self.0.judge(
            subject(kind, key),
            key.vhost(),
            key.app(),
            None,
            presented,
            now_unix_s,
        )
    }
}
