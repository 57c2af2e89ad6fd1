//! A publish, from the command to its last tag.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use headwater_admission::{Ended, Kind, OnDuplicate as Asked, Request};
use headwater_hub::{Opening, Stream};
use headwater_location::claim::OnDuplicate;
use headwater_location::{Carried, Part};
use headwater_media::rtmp::code;
use headwater_media::{StreamKey, Tag, TagKind};
use headwater_process::clock;
use headwater_process::drain::Hold;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::bitrate::Bitrate;
use super::error::{End, Refused};
use super::keeper;
use super::placing::{self, Wanted};
use super::session::{Order, Session};
use crate::shared::Shared;

/// What `connect` said of the connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Connected {
    pub(super) app: String,
    pub(super) tc_url: String,
    pub(super) agent: Option<String>,
    /// The client follows a request to connect again.
    pub(super) reconnects: bool,
}

/// A publish that was accepted.
#[derive(Debug)]
pub(super) struct Publish {
    shared: Arc<Shared>,
    session: Arc<Session>,
    stream: Arc<Stream>,
    keeper: AbortHandle,
    pub(super) bitrate: Bitrate,
    pub(super) orders: mpsc::Receiver<Order>,
    _hold: Hold,
}

impl Publish {
    /// Asks everybody who has a say. The order: name, admission, home.
    pub(super) async fn begin(
        shared: &Arc<Shared>,
        connected: &Connected,
        name: &str,
        peer: SocketAddr,
    ) -> Result<Publish, Refused> {
        let asked_at = clock::now();
        if shared.gives_up() {
            return Err(refused(
                "draining",
                code::PUBLISH_DENIED,
                "this server stops: connect again".to_owned(),
            ));
        }
        let (key, query) =
            StreamKey::from_rtmp(&connected.app, &connected.tc_url, name, &shared.hosts).map_err(
                |error| refused(error.reason(), code::PUBLISH_BAD_NAME, error.to_string()),
            )?;
        let request = Request {
            key: &key,
            query: &query,
            peer,
            agent: connected.agent.as_deref(),
        };
        let settings = shared
            .admission
            .publish(request)
            .await
            .map_err(|refusal| refused(refusal.reason(), code::PUBLISH_DENIED, refusal.text))?;
        // The callback knows this publisher, a policy the stream, the configuration neither.
        let policy = shared.settings(&key);
        let on_duplicate = match settings.on_duplicate {
            Some(Asked::Replace) => OnDuplicate::Replace,
            Some(Asked::Refuse) => OnDuplicate::Refuse,
            None => policy.on_duplicate.unwrap_or(shared.config.on_duplicate),
        };
        let wanted = Wanted {
            key: &key,
            publisher: peer.ip().to_string(),
            on_duplicate,
        };
        let granted = placing::place(shared, wanted).await?;
        let opening = Opening {
            epoch: granted.epoch,
            term: granted.placed.term,
            dts_offset: granted.dts_offset,
            first_sequence: 0,
        };
        let stream = shared.open(&key, opening).map_err(|error| {
            shared.home_over(&key, granted.epoch);
            refused("open", code::PUBLISH_DENIED, error.to_string())
        })?;
        let now = clock::now();
        let bits_per_second = settings
            .max_bitrate_bps
            .map(Into::into)
            .or(policy.max_bitrate_bps)
            .unwrap_or(shared.config.max_bitrate_bps);
        let (session, orders) = Session::new(
            key,
            granted.epoch,
            peer,
            connected.agent.clone(),
            granted.placed,
            now,
        );
        let session = Arc::new(session);
        shared.sessions.add(&session);
        shared.report_ingress(&session);
        if shared.gives_up() {
            // It began while this publisher was being placed.
            session.order(Order::Reconnect);
        }
        let keeper = tokio::spawn(keeper::keep(
            Arc::clone(shared),
            Arc::clone(&session),
            Arc::clone(&stream),
        ));
        shared.metrics.publishers.inc();
        shared
            .metrics
            .start_seconds
            .observe(now.saturating_sub(asked_at).as_secs_f64());
        let placed = session.placed();
        tracing::info!(
            key = %session.key, %peer, epoch = session.epoch, home = %placed.home, term = placed.term,
            agent = session.agent.as_deref().unwrap_or_default(), "publish"
        );
        Ok(Publish {
            shared: Arc::clone(shared),
            session,
            stream,
            keeper: keeper.abort_handle(),
            bitrate: Bitrate::new(bits_per_second, now),
            orders,
            _hold: shared.drain.hold("publishers"),
        })
    }

    /// Takes one message.
    pub(super) fn media(&self, kind: TagKind, wire_ms: u32, payload: Bytes) -> Result<(), End> {
        let now = clock::now();
        let (dts, sequence) = self.session.place(kind, wire_ms, payload.len(), now);
        self.stream.push(
            self.session.epoch,
            sequence,
            Tag { kind, dts, payload },
            now,
        )?;
        Ok(())
    }

    /// Ends it, and tells everybody who was told of its beginning.
    pub(super) fn end(self, end: &End) {
        let Publish {
            shared,
            session,
            stream,
            keeper,
            ..
        } = self;
        keeper.abort();
        let now = clock::now();
        let duration = now.saturating_sub(session.began);
        let uplink = session.uplink(now);
        let placed = session.placed();
        stream.end(session.epoch);
        shared.sessions.remove(&session);
        // A newer session of the name has its own report by now.
        if shared.sessions.newest(&session.key).is_none() {
            shared
                .locator
                .reports()
                .ended(&session.key, Part::Ingress, shared.seen(&session.key));
        }
        if placed.home == shared.me.member {
            shared.home_over(&session.key, session.epoch);
        }
        shared.linger(Arc::clone(&stream), session.epoch);
        shared.metrics.publishers.dec();
        shared.metrics.publish_ended(end.reason());
        shared.admission.ended(Ended {
            kind: Kind::Publish,
            key: session.key.clone(),
            peer: session.peer,
            duration,
            bytes: uplink.bytes,
            why: end.reason(),
        });
        tracing::info!(
            key = %session.key, peer = %session.peer, epoch = session.epoch, home = %placed.home,
            why = end.reason(), detail = %end, duration_s = (duration.as_secs_f64() * 1e3).round() / 1e3,
            bytes = uplink.bytes, tags = uplink.tags,
            late_ms = uplink.health.late_ms, gaps = uplink.health.gaps, jumps = uplink.health.jumps,
            "publish ended"
        );
    }
}

impl Shared {
    /// Tells the operators of a session whose publisher is here.
    pub(super) fn report_ingress(&self, session: &Session) {
        let placed = session.placed();
        self.locator.reports().changed(Carried {
            key: session.key.clone(),
            part: Part::Ingress,
            epoch: session.epoch,
            term: placed.term,
            ingress: Some(self.me.clone()),
            home: Some(placed.home),
            seen: self.seen(&session.key),
            viewers: 0,
        });
    }
}

fn refused(reason: &'static str, code: &'static str, text: String) -> Refused {
    Refused { reason, code, text }
}
