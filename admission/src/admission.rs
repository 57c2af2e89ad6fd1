//! The one gate that publishes and plays pass.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use headwater_media::{Query, StreamKey};
use headwater_process::clock;
use headwater_process::metrics::{MetricsError, Registry};
use thiserror::Error;

use crate::callback::{Callback, Event, Yes};
use crate::client::Client;
use crate::config::{AdmissionConfig, CallbackEvent, ConfigError, OnError};
use crate::ends::{Ended, Ends};
use crate::keyring::Keyring;
use crate::keys::PolicyKeys;
use crate::metrics::{Grounds, Metrics};
use crate::sign::subject;
use crate::signature::{Presented, SIGNATURES};
use crate::target::Target;
use crate::{Kind, Refusal, Settings};

const AGENT_MAX_CHARS: usize = 256;
const PATTERNS_SHOWN: usize = 5;

/// Somebody who wants to publish or play.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Which stream.
    pub key: &'a StreamKey,
    /// The parameters of the address that was used.
    pub query: &'a Query,
    /// From where.
    pub peer: SocketAddr,
    /// What it says it is: `flashVer` of RTMP, `User-Agent` of HTTP. The callback gets its first 256 characters.
    pub agent: Option<&'a str>,
    /// What a policy says of the stream's keys, in place of the configuration.
    pub policy: Option<&'a PolicyKeys>,
}

/// Why there is no admission.
#[derive(Debug, Error)]
pub enum AdmissionError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The metrics are there already.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
}

/// Decides who may publish and play. A clone is the same gate.
///
/// A signature is judged first, if the app has keys, and then the callback is asked, if there is one; both must agree.
#[derive(Clone)]
pub struct Admission(Arc<Gate>);

struct Gate {
    keyring: Keyring,
    events: HashSet<CallbackEvent>,
    on_error: OnError,
    url: String,
    callback: Option<Callback>,
    ends: Option<Ends>,
    metrics: Metrics,
}

impl Admission {
    /// Makes the gate and, if the callback hears of ends, begins the task that tells it; so call it within a runtime.
    ///
    /// # Errors
    /// If the configuration does not pass its check, or `registry` has an admission's metrics already.
    pub fn new(config: &AdmissionConfig, registry: &Registry) -> Result<Self, AdmissionError> {
        let keyring = Keyring::new(config)?;
        let metrics = Metrics::new(registry)?;
        let mut gate = Gate {
            keyring,
            events: HashSet::new(),
            on_error: config.callback.on_error,
            url: String::new(),
            callback: None,
            ends: None,
            metrics: metrics.clone(),
        };
        let settings = &config.callback;
        if !settings.url.is_empty() {
            let target = Target::parse(&settings.url).map_err(ConfigError::Url)?;
            let client = Arc::new(Client::new(target, settings.timeout));
            gate.events = settings.wanted();
            gate.url = client.shown();
            if [Kind::Publish, Kind::Play]
                .map(CallbackEvent::end)
                .iter()
                .any(|end| gate.events.contains(end))
            {
                let in_flight_max = settings.max_in_flight.div_ceil(4);
                gate.ends = Some(Ends::start(
                    client.clone(),
                    settings.max_queued_ends,
                    in_flight_max,
                    metrics,
                ));
            }
            gate.callback = Some(Callback::new(
                client,
                settings.on_error,
                settings.max_in_flight,
            ));
        }
        Ok(Admission(Arc::new(gate)))
    }

    /// Whether `request` may publish, and how.
    ///
    /// # Errors
    /// The refusal, with a text for whoever asked.
    pub async fn publish(&self, request: Request<'_>) -> Result<Settings, Refusal> {
        self.decide(Kind::Publish, request).await
    }

    /// Whether `request` may play, and how.
    ///
    /// # Errors
    /// The refusal, with a text for whoever asked.
    pub async fn play(&self, request: Request<'_>) -> Result<Settings, Refusal> {
        self.decide(Kind::Play, request).await
    }

    /// Tells the callback in the background, if it wants to know; what its queue cannot hold is counted and dropped.
    pub fn ended(&self, ended: Ended) {
        if let Some(ends) = &self.0.ends
            && self.0.events.contains(&CallbackEvent::end(ended.kind))
        {
            ends.push(ended);
        }
    }

    /// Waits until the callback was told of every end so far (or did not take it); the last thing before the process
    /// ends.
    pub async fn told(&self) {
        if let Some(ends) = &self.0.ends {
            ends.told().await;
        }
    }

    /// Whether everybody may publish and play.
    pub fn is_open(&self) -> bool {
        [Kind::Publish, Kind::Play]
            .into_iter()
            .all(|kind| !self.0.keyring.signs(kind) && !self.asks(kind))
    }

    /// One sentence for the start: what is open and what is not.
    pub fn describe(&self) -> String {
        if self.is_open() {
            return "anybody may publish and play: set admission.keys or admission.callback.url to change that"
                .to_owned();
        }
        let mut text = format!(
            "{}; {}",
            self.describe_kind(Kind::Publish),
            self.describe_kind(Kind::Play)
        );
        if self.asks(Kind::Publish) || self.asks(Kind::Play) {
            let fails = match self.0.on_error {
                OnError::Allow => "allowed",
                OnError::Deny => "refused",
            };
            text.push_str(&format!(
                "; while the callback at {} fails, all that ask it are {fails}",
                self.0.url
            ));
        }
        text
    }

    fn describe_kind(&self, kind: Kind) -> String {
        let patterns: Vec<String> = self
            .0
            .keyring
            .patterns(kind)
            .map(ToString::to_string)
            .collect();
        let mut shown = patterns
            .get(..PATTERNS_SHOWN)
            .unwrap_or(&patterns)
            .join(", ");
        if let Some(more) = patterns
            .len()
            .checked_sub(PATTERNS_SHOWN)
            .filter(|more| *more > 0)
        {
            shown.push_str(&format!(" and {more} more"));
        }
        match (shown.is_empty(), self.asks(kind)) {
            (true, false) => format!("anybody may {kind}"),
            (true, true) => format!("the callback decides who may {kind}"),
            (false, false) => format!("to {kind} needs a signed address ({shown})"),
            (false, true) => {
                format!("to {kind} needs a signed address ({shown}) and the callback's yes")
            }
        }
    }

    fn asks(&self, kind: Kind) -> bool {
        self.0.callback.is_some() && self.0.events.contains(&CallbackEvent::begin(kind))
    }

    async fn decide(&self, kind: Kind, request: Request<'_>) -> Result<Settings, Refusal> {
        match self.judge(kind, request).await {
            Ok((settings, grounds)) => {
                self.0.metrics.allowed(kind, grounds);
                Ok(settings)
            }
            Err(refusal) => {
                self.0.metrics.refused(kind, refusal.reason);
                Err(refusal)
            }
        }
    }

    async fn judge(
        &self,
        kind: Kind,
        request: Request<'_>,
    ) -> Result<(Settings, Grounds), Refusal> {
        let Request { key, query, .. } = request;
        let signed = self.0.keyring.judge(
            subject(kind, key),
            key.vhost(),
            key.app(),
            request.policy,
            Presented::read(|name| query.get(name)),
            clock::unix_ms() / 1000,
        )?;
        let Some(callback) = self.0.callback.as_ref().filter(|_| self.asks(kind)) else {
            let grounds = if signed {
                Grounds::Signed
            } else {
                Grounds::Open
            };
            return Ok((Settings::default(), grounds));
        };
        let began = clock::now();
        let answer = callback.ask(kind, &question(kind, request)).await;
        self.0
            .metrics
            .waited(clock::now().saturating_sub(began).as_secs_f64());
        match answer? {
            Yes::Answered(settings) => Ok((settings, Grounds::Callback)),
            Yes::FailedOpen => Ok((Settings::default(), Grounds::FailedOpen)),
        }
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Admission").field(&self.describe()).finish()
    }
}

fn question(kind: Kind, request: Request<'_>) -> Event<'_> {
    let mut query = BTreeMap::new();
    for (name, value) in request.query.iter() {
        if !SIGNATURES.contains(&name) {
            query.entry(name).or_insert(value);
        }
    }
    let agent = request.agent.map(|agent| {
        let end = agent.char_indices().nth(AGENT_MAX_CHARS).map(|(at, _)| at);
        end.and_then(|end| agent.get(..end)).unwrap_or(agent)
    });
    Event {
        event: CallbackEvent::begin(kind),
        key: request.key.as_str(),
        vhost: request.key.vhost(),
        app: request.key.app(),
        stream: request.key.stream(),
        peer: request.peer,
        agent,
        query: Some(query),
        duration_ms: None,
        bytes: None,
        why: None,
    }
}
