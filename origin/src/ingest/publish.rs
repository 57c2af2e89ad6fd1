//! A publish, from the command to its last tag.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headwater_admission::{Ended, Kind, OnDuplicate as Asked, Request};
use headwater_hub::{FeedError, Headers, RegistryError, Role};
use headwater_location::claim::{self, OnDuplicate};
use headwater_location::{Endpoint, MemberId};
use headwater_media::rtmp::code;
use headwater_media::{Dts, StreamKey, Tag, TagKind};
use headwater_process::clock;
use headwater_process::drain::Hold;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::backup::Backup;
use super::bitrate::Bitrate;
use super::error::{End, Refused};
use super::grant::{Cue, Granted};
use super::on_air::OnAir;
use super::placing::{self, Placing, Wanted};
use super::publisher::{Order, Publisher};
use super::vigil;
use crate::shared::{OpenError, Shared};

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
    publisher: Arc<Publisher>,
    part: Part,
    /// What this publisher has in force, as long as it may have to stand by (`on_duplicate: backup`).
    headers: Option<Headers>,
    pub(super) bitrate: Bitrate,
    pub(super) orders: mpsc::Receiver<Order>,
    _hold: Hold,
}

/// What a publisher is to its stream.
#[derive(Debug)]
enum Part {
    OnAir(OnAir),
    StandsBy {
        backup: Arc<Backup>,
        vigil: AbortHandle,
    },
    /// For the moment between the two, and at the end.
    None,
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
        let policies = shared.policies();
        let request = Request {
            key: &key,
            query: &query,
            peer,
            agent: connected.agent.as_deref(),
            policy: policies.keys(&key),
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
            Some(Asked::Backup) => OnDuplicate::Backup,
            None => policy.on_duplicate.unwrap_or(shared.config.on_duplicate),
        };
        let wanted = Wanted {
            key: &key,
            publisher: peer.ip().to_string(),
            on_duplicate,
            ready: None,
            exclude: None,
        };
        let placing = placing::place(shared, wanted).await?;
        let now = clock::now();
        let bits_per_second = settings
            .max_bitrate_bps
            .map(Into::into)
            .or(policy.max_bitrate_bps)
            .unwrap_or(shared.config.max_bitrate_bps);
        let (publisher, orders) = Publisher::new(key, peer, connected.agent.clone(), now);
        let mut publish = Publish {
            shared: Arc::clone(shared),
            publisher: Arc::new(publisher),
            part: Part::None,
            headers: (on_duplicate == OnDuplicate::Backup).then(Headers::default),
            bitrate: Bitrate::new(bits_per_second, now),
            orders,
            _hold: shared.drain.hold("publishers"),
        };
        let opened = match placing {
            Placing::Granted(granted) => publish.begin_session(granted, Dts(0)),
            Placing::Behind { home, on } => publish.begin_vigil(home, on).map_err(Into::into),
        };
        opened.map_err(|error| refused("open", code::PUBLISH_DENIED, error.to_string()))?;
        shared.metrics.publishers.inc();
        shared.cadence.began();
        shared
            .metrics
            .start_seconds
            .observe(now.saturating_sub(asked_at).as_secs_f64());
        Ok(publish)
    }

    fn begin_session(&mut self, granted: Granted, start: Dts) -> Result<(), OpenError> {
        let on_air = OnAir::begin(&self.shared, &self.publisher, granted, start)?;
        let (epoch, placed) = (on_air.session.epoch, on_air.session.placed());
        tracing::info!(
            key = %self.publisher.key, peer = %self.publisher.peer, epoch, home = %placed.home, term = placed.term,
            agent = self.publisher.agent.as_deref().unwrap_or_default(), "publish"
        );
        self.part = Part::OnAir(on_air);
        Ok(())
    }

    fn begin_vigil(&mut self, home: Endpoint, on: claim::OnAir) -> Result<(), RegistryError> {
        let none = Headers::default();
        let headers = self.headers.as_ref().unwrap_or(&none);
        let member = home.member.clone();
        let backup = Backup::new(&self.shared, &self.publisher, headers, member)?;
        let backup = Arc::new(backup);
        tracing::info!(
            key = %self.publisher.key, peer = %self.publisher.peer, home = %home.member,
            on = on.ingress.as_ref().map(|it| it.member.to_string()).unwrap_or_default(),
            agent = self.publisher.agent.as_deref().unwrap_or_default(), "publish: stands by"
        );
        self.shared.backups.add(&backup);
        self.shared.metrics.backups.inc();
        let vigil = tokio::spawn(vigil::keep(
            Arc::clone(&self.shared),
            Arc::clone(&backup),
            home,
            on,
        ));
        self.part = Part::StandsBy {
            backup,
            vigil: vigil.abort_handle(),
        };
        Ok(())
    }

    /// Takes one message.
    pub(super) fn media(&mut self, kind: TagKind, wire_ms: u32, payload: Bytes) -> Result<(), End> {
        let now = clock::now();
        let dts = self.publisher.arrived(kind, wire_ms, payload.len(), now);
        let tag = Tag { kind, dts, payload };
        let Some(headers) = &mut self.headers else {
            return Ok(self.push(tag, now)?);
        };
        if let Role::Header(slot) = Role::of(&tag) {
            headers.set(slot, tag.clone());
        }
        match self.push(tag.clone(), now) {
            Ok(()) => Ok(()),
            // Another one has gone on, and the order to stand by is on its way.
            Err(FeedError::StaleEpoch { .. } | FeedError::StaleTerm { .. }) if self.stand_by() => {
                Ok(self.push(tag, now)?)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Shows the tags that have been taken to those who read the stream.
    pub(super) fn show(&self) {
        if let Part::OnAir(on_air) = &self.part {
            on_air.show();
        }
    }

    /// At which tick it is enough to read this publisher; `None`: somebody wants each tag at once, or publishers are few.
    pub(super) fn tick(&self) -> Option<Duration> {
        let hurries = match &self.part {
            Part::OnAir(on_air) => on_air.has_hurry(),
            Part::StandsBy { .. } | Part::None => false,
        };
        (!hurries).then(|| self.shared.cadence.tick()).flatten()
    }

    fn push(&mut self, tag: Tag, now: Duration) -> Result<(), FeedError> {
        match &mut self.part {
            Part::OnAir(on_air) => on_air.push(tag, now),
            Part::StandsBy { backup, .. } => backup.push(tag, now),
            Part::None => Err(FeedError::Closed),
        }
    }

    /// Another publisher goes on: this one is off the air and stands by. Says whether it may and does.
    pub(super) fn stand_by(&mut self) -> bool {
        if self.headers.is_none() {
            return false;
        }
        match std::mem::replace(&mut self.part, Part::None) {
            Part::OnAir(on_air) => {
                let home = on_air.session.placed().home;
                on_air.end(&self.shared);
                let home = placing::endpoint(&self.shared, &home)
                    .unwrap_or_else(|| self.shared.me.clone());
                // The first answer says who it is.
                let on = claim::OnAir {
                    ingress: Some(home.clone()),
                    silent: None,
                };
                self.begin_vigil(home, on).is_ok()
            }
            // It was told twice.
            part @ Part::StandsBy { .. } => {
                self.part = part;
                true
            }
            Part::None => false,
        }
    }

    /// It is this publisher's turn: it goes on with what it has held.
    pub(super) fn go_on(&mut self, cue: Cue) -> Result<(), End> {
        let Part::StandsBy { backup, .. } = &self.part else {
            return Ok(());
        };
        let (start, tags) = backup.take_from(cue.from);
        let held = tags.len();
        self.end_part();
        self.begin_session(cue.granted, start)?;
        let now = clock::now();
        for tag in tags {
            if let Err(error) = self.push(tag, now) {
                // Yet another one was quicker.
                return self.stand_by().then_some(()).ok_or(End::Feed(error));
            }
        }
        self.show();
        tracing::info!(key = %self.publisher.key, peer = %self.publisher.peer, held, "the backup is on the air");
        Ok(())
    }

    /// Ends what it is to the stream; says which origin was the home.
    fn end_part(&mut self) -> Option<MemberId> {
        match std::mem::replace(&mut self.part, Part::None) {
            Part::OnAir(on_air) => {
                let home = on_air.session.placed().home;
                on_air.end(&self.shared);
                Some(home)
            }
            Part::StandsBy { backup, vigil } => {
                vigil.abort();
                self.shared.backups.remove(&backup);
                self.shared.metrics.backups.dec();
                Some(backup.home())
            }
            Part::None => None,
        }
    }

    /// Ends it, and tells everybody who was told of its beginning.
    pub(super) fn end(mut self, end: &End) {
        let epoch = match &self.part {
            Part::OnAir(on_air) => on_air.session.epoch,
            Part::StandsBy { .. } | Part::None => 0,
        };
        let home = self.end_part();
        let Publish {
            shared,
            publisher,
            mut orders,
            ..
        } = self;
        orders.close();
        while let Ok(order) = orders.try_recv() {
            // Its turn has come too late.
            if let Order::GoOn(cue) = order {
                shared.home_over(&publisher.key, cue.granted.epoch);
            }
        }
        let now = clock::now();
        let duration = now.saturating_sub(publisher.began);
        let uplink = publisher.uplink(now);
        shared.metrics.uplink_mishaps(publisher.mishaps(now));
        shared.metrics.publishers.dec();
        shared.cadence.ended();
        shared.metrics.publish_ended(end.reason());
        shared.admission.ended(Ended {
            kind: Kind::Publish,
            key: publisher.key.clone(),
            peer: publisher.peer,
            duration,
            bytes: uplink.bytes,
            why: end.reason(),
        });
        tracing::info!(
            key = %publisher.key, peer = %publisher.peer, epoch,
            home = home.as_ref().map(ToString::to_string).unwrap_or_default(),
            why = end.reason(), detail = %end, duration_s = (duration.as_secs_f64() * 1e3).round() / 1e3,
            bytes = uplink.bytes, tags = uplink.tags,
            late_ms = uplink.health.late_ms, gaps = uplink.health.gaps, jumps = uplink.health.jumps,
            "publish ended"
        );
    }
}

fn refused(reason: &'static str, code: &'static str, text: String) -> Refused {
    Refused { reason, code, text }
}
