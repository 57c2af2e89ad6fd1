//! Asking other origins.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use headwater_process::clock;
use headwater_process::tls::Dialer;
use parking_lot::Mutex;
use thiserror::Error;
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::{Claim, Release, Verdict};
use crate::limits::MESSAGE_MAX_BYTES;
use crate::proto::origin_client::OriginClient;
use crate::wire::WireError;
use crate::{connector, proto};

/// Origins to which a connection is kept; beyond, the one unused for longest is closed.
const CHANNELS_MAX: usize = 256;

/// Why an origin gave no verdict: all but [`ClaimError::Refused`] are a reason to ask the next candidate.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ClaimError {
    /// It did not answer in time.
    #[error("{address} did not answer within {} ms", within.as_millis())]
    Timeout {
        /// Who was asked.
        address: String,
        /// The time that it had.
        within: Duration,
    },
    /// There is no connection to it.
    #[error("{address} cannot be reached: {text}")]
    Unreachable {
        /// Who was asked.
        address: String,
        /// What the transport says.
        text: String,
    },
    /// It does not take the question: this process's fault.
    #[error("{address} refuses the question: {text}")]
    Refused {
        /// Who was asked.
        address: String,
        /// What it says.
        text: String,
    },
    /// Its answer is not what the contract says.
    #[error("{address} answers what the contract does not know: {error}")]
    Wire {
        /// Who was asked.
        address: String,
        /// What is wrong.
        error: WireError,
    },
}

impl ClaimError {
    /// A label of a closed set.
    pub fn reason(&self) -> &'static str {
        match self {
            ClaimError::Timeout { .. } => "timeout",
            ClaimError::Unreachable { .. } => "unreachable",
            ClaimError::Refused { .. } => "refused",
            ClaimError::Wire { .. } => "wire",
        }
    }
}

/// Connections to other origins, opened when needed. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    dialer: Dialer,
    channels: Arc<Mutex<BTreeMap<String, Kept>>>,
}

#[derive(Debug)]
struct Kept {
    channel: Channel,
    used: Duration,
}

impl Origins {
    /// No connection yet.
    pub fn new() -> Origins {
        Origins::default()
    }

    /// No connection yet; `dialer` opens them.
    pub fn by(dialer: Dialer) -> Origins {
        Origins {
            dialer,
            ..Origins::default()
        }
    }

    /// Asks the origin at `address` (its internal port) to be the home; it has the time `within` to answer.
    ///
    /// # Errors
    /// If it gives no verdict; it may have taken the claim all the same, so the next one needs a higher term.
    pub async fn claim(
        &self,
        address: &str,
        claim: &Claim,
        within: Duration,
    ) -> Result<Verdict, ClaimError> {
        let mut client = self.client(address);
        let call = client.claim(proto::ClaimRequest::from(claim));
        let reply = self.answer(address, within, call).await?;
        Verdict::try_from(reply).map_err(|error| ClaimError::Wire {
            address: address.to_owned(),
            error,
        })
    }

    /// Tells the ingress at `address` that its session is over.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn release(
        &self,
        address: &str,
        release: &Release,
        within: Duration,
    ) -> Result<(), ClaimError> {
        let mut client = self.client(address);
        let call = client.release(proto::ReleaseRequest::from(release));
        let proto::ReleaseReply {} = self.answer(address, within, call).await?;
        Ok(())
    }

    async fn answer<T>(
        &self,
        address: &str,
        within: Duration,
        call: impl Future<Output = Result<tonic::Response<T>, Status>>,
    ) -> Result<T, ClaimError> {
        let address = address.to_owned();
        match tokio::time::timeout(within, call).await {
            Ok(Ok(reply)) => Ok(reply.into_inner()),
            Ok(Err(status)) if status.code() == Code::InvalidArgument => Err(ClaimError::Refused {
                address,
                text: status.message().to_owned(),
            }),
            Ok(Err(status)) => {
                self.forget(&address);
                Err(ClaimError::Unreachable {
                    address,
                    text: status.message().to_owned(),
                })
            }
            Err(_) => {
                // The next claim should not wait behind this one on a connection that may be dead.
                self.forget(&address);
                Err(ClaimError::Timeout { address, within })
            }
        }
    }

    fn forget(&self, address: &str) {
        self.channels.lock().remove(address);
    }

    fn client(&self, address: &str) -> OriginClient<Channel> {
        let now = clock::now();
        let mut channels = self.channels.lock();
        if !channels.contains_key(address) && channels.len() >= CHANNELS_MAX {
            let oldest = channels
                .iter()
                .min_by_key(|(_, kept)| kept.used)
                .map(|(address, _)| address.clone());
            if let Some(oldest) = oldest {
                channels.remove(&oldest);
            }
        }
        let kept = channels.entry(address.to_owned()).or_insert_with(|| Kept {
            channel: connector::lazy(&self.dialer, address),
            used: now,
        });
        kept.used = now;
        OriginClient::new(kept.channel.clone())
            .max_decoding_message_size(MESSAGE_MAX_BYTES)
            .max_encoding_message_size(MESSAGE_MAX_BYTES)
    }
}
