//! What `/streams` says of the streams of an origin.

use std::time::Duration;

use headwater_hub::{Codecs, Facts, HeaderSlot, Liveness, Stream};
use headwater_media::{UplinkHealth, script};
use headwater_process::clock;
use serde::Serialize;

use crate::ingest::{Backup, Publisher};
use crate::shared::Shared;

/// One stream.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StreamFacts {
    /// `vhost/app[/instance]/stream`.
    pub key: String,
    /// `waiting`, `live`, `ended` or `closed`.
    pub state: &'static str,
    /// What this origin is to the stream: `ingress`, `home`, `ingress+home`, `past`, or `backup` for one that stands
    /// by to publish it.
    pub role: &'static str,
    /// The publish session.
    pub epoch: u64,
    /// The fence that names the session's home.
    pub term: u64,
    /// The video codec.
    pub video: Option<&'static str>,
    /// The audio codec.
    pub audio: Option<&'static str>,
    /// `1280x720`, as far as the metadata says.
    pub size: Option<String>,
    /// Video tags a second.
    pub fps: f64,
    /// Payload bits a second.
    pub bitrate: u64,
    /// Media time between the last two keyframes, in milliseconds.
    pub gop_ms: Option<i64>,
    /// The member that has the publisher.
    pub ingress: Option<String>,
    /// The member that serves the edges.
    pub home: Option<String>,
    /// The publisher's address, where it is connected here.
    pub publisher: Option<String>,
    /// What the publisher calls itself.
    pub encoder: Option<String>,
    /// How well the publisher's messages arrive, where it is connected here.
    pub uplink: Option<UplinkFacts>,
    /// Bytes that the ring takes: payloads and the table of its tags.
    pub ring_bytes: usize,
    /// Tags in the ring.
    pub ring_tags: usize,
    /// Tags that never came here because the ingress no longer held them.
    pub gap_tags: u64,
    /// Since the newest tag, in milliseconds.
    pub silent_ms: u64,
}

/// How well a publisher's messages arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct UplinkFacts {
    /// How far the media's clock is behind the wall clock, compared with the session's best moment, in milliseconds.
    pub late_ms: u64,
    /// Silences of 500 ms and more between two messages.
    pub gaps: u64,
    /// Jumps of the publisher's clock.
    pub jumps: u64,
    /// Payload bytes of the publisher.
    pub bytes: u64,
    /// Tags of the publisher.
    pub tags: u64,
    /// Since the publish was accepted, in seconds.
    pub published_s: u64,
}

/// All streams, by key.
pub(crate) fn streams(shared: &Shared) -> Vec<StreamFacts> {
    let mut streams = shared.hub.streams();
    streams.sort_by(|a, b| a.key().cmp(b.key()));
    let mut facts: Vec<StreamFacts> = streams.iter().map(|stream| of(shared, stream)).collect();
    facts.extend(
        shared
            .backups
            .all()
            .iter()
            .map(|it| standing_by(shared, it)),
    );
    // A stream comes before who stands by for it.
    facts.sort_by(|a, b| a.key.cmp(&b.key));
    facts
}

fn of(shared: &Shared, stream: &Stream) -> StreamFacts {
    let now = clock::now();
    let facts = stream.facts(now);
    let epoch = facts.progress.epoch;
    let session = shared.sessions.get(stream.key(), epoch);
    let home = shared
        .homes
        .get(stream.key())
        .filter(|home| home.epoch == epoch);
    let me = &shared.me.member;
    let ingress = session
        .as_ref()
        .map(|_| me)
        .or(home.as_ref().map(|home| &home.ingress.member));
    let placed = session.as_ref().map(|session| session.placed().home);
    let at_home = home.as_ref().map(|_| me.clone()).or(placed);
    StreamFacts {
        role: match (&session, &home) {
            (Some(_), Some(_)) => "ingress+home",
            (Some(_), None) => "ingress",
            (None, Some(_)) => "home",
            (None, None) => "past",
        },
        epoch,
        term: facts.progress.term,
        ingress: ingress.map(ToString::to_string),
        home: at_home.map(|home| home.to_string()),
        ..media(
            stream,
            session.as_ref().map(|it| &*it.publisher),
            &facts,
            now,
        )
    }
}

/// A publisher that is not on the air.
fn standing_by(shared: &Shared, backup: &Backup) -> StreamFacts {
    let now = clock::now();
    let facts = backup.stream.facts(now);
    StreamFacts {
        role: "backup",
        ingress: Some(shared.me.member.to_string()),
        home: Some(backup.home().to_string()),
        ..media(&backup.stream, Some(&backup.publisher), &facts, now)
    }
}

/// What is known of a stream by its tags and its publisher alone.
fn media(
    stream: &Stream,
    publisher: Option<&Publisher>,
    facts: &Facts,
    now: Duration,
) -> StreamFacts {
    let metadata = facts
        .headers
        .get(HeaderSlot::Metadata)
        .and_then(|tag| script::facts(&tag.payload))
        .unwrap_or_default();
    let Codecs { video, audio } = Codecs::of(stream);
    StreamFacts {
        key: stream.key().to_string(),
        state: state(facts.progress.liveness),
        role: "past",
        epoch: 0,
        term: 0,
        video,
        audio,
        size: metadata
            .width
            .zip(metadata.height)
            .map(|(width, height)| format!("{width}x{height}")),
        fps: facts.rates.video_per_second,
        bitrate: facts.rates.bits_per_second,
        gop_ms: facts.rates.gop_ms,
        ingress: None,
        home: None,
        publisher: publisher.map(|publisher| publisher.peer.to_string()),
        encoder: metadata.encoder.or_else(|| publisher?.agent.clone()),
        uplink: publisher.map(|publisher| uplink(publisher, now)),
        ring_bytes: facts.ring_bytes,
        ring_tags: facts.ring_tags,
        gap_tags: facts.gap_tags,
        silent_ms: u64::try_from(now.saturating_sub(facts.last_push).as_millis())
            .unwrap_or(u64::MAX),
    }
}

fn uplink(publisher: &Publisher, now: Duration) -> UplinkFacts {
    let uplink = publisher.uplink(now);
    let UplinkHealth {
        late_ms,
        gaps,
        jumps,
    } = uplink.health;
    UplinkFacts {
        late_ms,
        gaps,
        jumps,
        bytes: uplink.bytes,
        tags: uplink.tags,
        published_s: now.saturating_sub(publisher.began).as_secs(),
    }
}

fn state(liveness: Liveness) -> &'static str {
    match liveness {
        Liveness::Waiting => "waiting",
        Liveness::Live => "live",
        Liveness::Ended => "ended",
        Liveness::Closed => "closed",
    }
}
