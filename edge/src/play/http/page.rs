//! What the curious find at `/`.

/// The text of `/`.
pub(super) const WELCOME: &str = "This is a Headwater edge: it plays live streams over HTTP-FLV.

Play      GET /{app}/{stream}.flv, or /{app}/{instance}/{stream}.flv
          ?mode=live  start at once, lag a few seconds at most (the default unless configured)
          ?mode=rtc   lag as little as the network does
          ?wait=10    wait up to so many seconds for a stream that is not there yet

          ffplay http://HOST/live/room.flv
          curl -o room.flv http://HOST/live/room.flv

Web pages play it with mpegts.js: {type: 'flv', isLive: true, url: '/live/room.flv'}.";
