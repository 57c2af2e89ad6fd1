//! The `origin` section of the configuration.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use headwater_hub::{RegistryLimits, RingLimits};
use headwater_location::claim::OnDuplicate;
use headwater_media::{NameError, VirtualHosts, rtmp};
use headwater_process::accept;
use headwater_process::config::{Tick, size, time};
use headwater_process::documented;
use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

documented! {
    /// Takes publishers over RTMP and serves their streams to edges.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct OriginConfig {
        /// The address of the RTMP port, where encoders push to.
        pub listen: String,
        /// The address of the RTMPS port, where encoders push to in TLS, as soon as there is a certificate (`tls`); empty:
        /// none.
        pub rtmps_listen: String,
        /// The address of the internal port, where other roles pull and claim streams: keep it off the public network.
        pub internal_listen: String,
        /// Who has a name that a second publisher wants: `replace` (the newest), `refuse` (the one that is on) or `backup`
        /// (the one that is on, and the newcomer stands by: viewers go on with it when the other has ended or has sent
        /// nothing for 500 ms). Without `backup`, a publisher from the same network address always replaces itself.
        #[serde(deserialize_with = "on_duplicate")]
        pub on_duplicate: OnDuplicate,
        /// RTMP connections at once, in all.
        pub max_connections: usize,
        /// RTMP connections at once from one IPv4 address or IPv6 /64.
        pub max_connections_per_address: usize,
        /// Connections to the internal port at once.
        pub max_internal_connections: usize,
        /// The networks of load balancers, such as `10.0.0.0/8`: their connections begin with a PROXY header (version 1 or
        /// 2) that names the publisher's address; every other connection's address is its own.
        pub proxy_protocol_from: Vec<String>,
        /// How long an RTMP connection has for its handshake.
        #[serde(with = "time")]
        pub handshake_timeout: Duration,
        /// How long a connection that does not publish has until it publishes.
        #[serde(with = "time")]
        pub command_timeout: Duration,
        /// How long a publisher may send no media.
        #[serde(with = "time")]
        pub idle_timeout: Duration,
        /// The longest RTMP message, in bytes: a keyframe must fit.
        #[serde(with = "size")]
        pub max_message_bytes: usize,
        /// What a publisher may send, in bits per second, on the average of a few seconds.
        pub max_bitrate_bps: u64,
        /// How often publishers of less than about 2 Mbit/s are read while no viewer of their stream is in mode `rtc`: `auto`
        /// (as soon as bytes come, and where 20 and more publish, every 20 to 50 ms), or a fixed time such as `20ms`.
        pub tick: Tick,
        /// Streams that this origin holds at once, as ingress and home together.
        pub max_streams: usize,
        /// How long a stream stays after its publisher has left, so that viewers and a publisher that returns find it.
        #[serde(with = "time")]
        pub linger: Duration,
        /// Bytes of media that are kept of one stream.
        #[serde(with = "size")]
        pub ring_max_bytes: usize,
        /// Bytes of media that are kept of all streams together: rings shrink before a stream is refused.
        #[serde(with = "size")]
        pub ring_budget_bytes: usize,
        /// Media time that is kept of a stream whatever its keyframes are: pulls that resume read it.
        #[serde(with = "time")]
        pub ring_keep: Duration,
        /// Pictures between two keyframes that are kept for those who join, in media time.
        #[serde(with = "time")]
        pub gop_max: Duration,
        /// Pictures between two keyframes that are kept for those who join, in bytes.
        #[serde(with = "size")]
        pub gop_max_bytes: usize,
        /// Hosts of addresses and the vhost that each stands for; every other host stands for `default`.
        pub vhosts: BTreeMap<String, String>,
        /// Where players go, such as `http://play.example.com`: shown to those who try to play from this origin.
        pub play_url: String,
    }
}

impl Default for OriginConfig {
    fn default() -> OriginConfig {
        let ring = RingLimits::default();
        let millis = |ms: i64| Duration::from_millis(u64::try_from(ms).unwrap_or(0));
        OriginConfig {
            listen: "[::]:1935".to_owned(),
            rtmps_listen: String::new(),
            internal_listen: "[::]:7000".to_owned(),
            on_duplicate: OnDuplicate::Replace,
            max_connections: 10_000,
            max_connections_per_address: 4_096,
            max_internal_connections: 10_000,
            proxy_protocol_from: Vec::new(),
            handshake_timeout: Duration::from_secs(10),
            command_timeout: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(30),
            max_message_bytes: 8 << 20,
            max_bitrate_bps: 100_000_000,
            tick: Tick::default(),
            max_streams: 1_000,
            linger: Duration::from_secs(10),
            ring_max_bytes: ring.bytes_max,
            ring_budget_bytes: 1 << 30,
            ring_keep: millis(ring.keep_ms),
            gop_max: millis(ring.gop_max_ms),
            gop_max_bytes: ring.gop_max_bytes,
            vhosts: BTreeMap::new(),
            play_url: String::new(),
        }
    }
}

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// A number, time or size out of its range.
    #[error("origin.{field} is {value}; it must be from {min} to {max}")]
    Range {
        /// The setting.
        field: &'static str,
        /// As it is.
        value: String,
        /// The least that is allowed.
        min: String,
        /// The most that is allowed.
        max: String,
    },
    /// Two settings that do not go together.
    #[error("origin.{field} {problem}")]
    Clash {
        /// The setting to change.
        field: &'static str,
        /// What is wrong with it, and what to do.
        problem: &'static str,
    },
    /// A vhost that could not be part of a stream's name.
    #[error("origin.vhosts: {0}")]
    Vhosts(#[from] NameError),
    /// A network that is none.
    #[error("origin.proxy_protocol_from: {0}")]
    ProxyNetworks(#[from] accept::NetworkError),
}

impl OriginConfig {
    /// Checks what the types cannot.
    ///
    /// # Errors
    /// The first setting that cannot be used, with what to do.
    pub fn check(&self) -> Result<(), ConfigError> {
        let seconds = Duration::from_secs;
        for (field, value, min, max) in [
            (
                "handshake_timeout",
                self.handshake_timeout,
                seconds(1),
                seconds(300),
            ),
            (
                "command_timeout",
                self.command_timeout,
                seconds(1),
                seconds(3600),
            ),
            ("idle_timeout", self.idle_timeout, seconds(1), seconds(3600)),
            ("linger", self.linger, Duration::ZERO, seconds(3600)),
            ("ring_keep", self.ring_keep, seconds(1), seconds(60)),
            ("gop_max", self.gop_max, seconds(1), seconds(60)),
        ] {
            range(field, value, min, max, time::format)?;
        }
        for (field, value, min, max) in [
            (
                "max_message_bytes",
                self.max_message_bytes,
                64 << 10,
                (1 << 24) - 1,
            ),
            ("ring_max_bytes", self.ring_max_bytes, 1 << 20, 1 << 30),
            (
                "ring_budget_bytes",
                self.ring_budget_bytes,
                1 << 20,
                1 << 40,
            ),
            ("gop_max_bytes", self.gop_max_bytes, 64 << 10, 1 << 30),
        ] {
            range(field, value, min, max, |bytes| {
                size::format(u64::try_from(bytes).unwrap_or(u64::MAX))
            })?;
        }
        for (field, value, max) in [
            ("max_connections", self.max_connections, 1_000_000),
            (
                "max_connections_per_address",
                self.max_connections_per_address,
                1_000_000,
            ),
            (
                "max_internal_connections",
                self.max_internal_connections,
                1_000_000,
            ),
            (
                "max_streams",
                self.max_streams,
                headwater_location::limits::MEMBER_STREAMS_MAX,
            ),
        ] {
            range(field, value, 1, max, |count| count.to_string())?;
        }
        range(
            "max_bitrate_bps",
            self.max_bitrate_bps,
            1_000,
            100_000_000_000,
            |bits| bits.to_string(),
        )?;
        if self.gop_max_bytes > self.ring_max_bytes {
            let problem = "is more than origin.ring_max_bytes: a GOP must fit the ring";
            return Err(ConfigError::Clash {
                field: "gop_max_bytes",
                problem,
            });
        }
        self.virtual_hosts()?;
        self.proxies()?;
        Ok(())
    }

    /// The hosts that stand for vhosts.
    pub(crate) fn virtual_hosts(&self) -> Result<VirtualHosts, NameError> {
        VirtualHosts::new(self.vhosts.clone())
    }

    pub(crate) fn registry_limits(&self) -> RegistryLimits {
        let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        RegistryLimits {
            streams_max: self.max_streams,
            budget_bytes: self.ring_budget_bytes,
            ring: RingLimits {
                bytes_max: self.ring_max_bytes,
                keep_ms: millis(self.ring_keep),
                gop_max_ms: millis(self.gop_max),
                gop_max_bytes: self.gop_max_bytes,
            },
        }
    }

    pub(crate) fn rtmp(&self) -> rtmp::ServerConfig {
        let limits = rtmp::Limits {
            max_message_bytes: self.max_message_bytes,
            max_buffered_bytes: self
                .max_message_bytes
                .saturating_add(self.max_message_bytes / 2),
            ..rtmp::Limits::default()
        };
        rtmp::ServerConfig {
            limits,
            handshake_time: self.handshake_timeout,
            command_time: self.command_timeout,
            idle_time: self.idle_timeout,
            ..rtmp::ServerConfig::default()
        }
    }

    pub(crate) fn rtmp_connections(&self) -> accept::Limits {
        accept::Limits {
            total: self.max_connections,
            per_address: self.max_connections_per_address,
        }
    }

    pub(crate) fn proxies(&self) -> Result<accept::ProxyNetworks, accept::NetworkError> {
        accept::ProxyNetworks::parse(&self.proxy_protocol_from)
    }

    /// All other roles may come from one address: a proxy's, or that of the one machine.
    pub(crate) fn internal_connections(&self) -> accept::Limits {
        accept::Limits {
            total: self.max_internal_connections,
            per_address: self.max_internal_connections,
        }
    }
}

fn range<T: PartialOrd + Copy>(
    field: &'static str,
    value: T,
    min: T,
    max: T,
    show: impl Fn(T) -> String,
) -> Result<(), ConfigError> {
    if value < min || value > max {
        return Err(ConfigError::Range {
            field,
            value: show(value),
            min: show(min),
            max: show(max),
        });
    }
    Ok(())
}

fn on_duplicate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OnDuplicate, D::Error> {
    struct Word;
    impl serde::de::Visitor<'_> for Word {
        type Value = OnDuplicate;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("`replace`, `refuse` or `backup`")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<OnDuplicate, E> {
            match text {
                "replace" => Ok(OnDuplicate::Replace),
                "refuse" => Ok(OnDuplicate::Refuse),
                "backup" => Ok(OnDuplicate::Backup),
                _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
            }
        }
    }
    deserializer.deserialize_str(Word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_usable_and_read_back() {
        let config = OriginConfig::default();
        config.check().unwrap();
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<OriginConfig>(&text).unwrap(), config);
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (text, says) in [
            (
                r#"{"idle_timeout": "0s"}"#,
                "origin.idle_timeout is 0s; it must be from 1s to 1h",
            ),
            (
                r#"{"max_message_bytes": 16777216}"#,
                "origin.max_message_bytes is 16MiB",
            ),
            (
                r#"{"max_streams": 0}"#,
                "origin.max_streams is 0; it must be from 1 to",
            ),
            (
                r#"{"vhosts": {"a.example": ".."}}"#,
                "origin.vhosts: the vhost is `.` or `..`",
            ),
            (
                r#"{"ring_max_bytes": "4MiB"}"#,
                "origin.gop_max_bytes is more than origin.ring_max_bytes",
            ),
        ] {
            let config: OriginConfig = serde_json::from_str(text).unwrap();
            let error = config.check().unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn on_duplicate_is_one_of_three_words() {
        let read = |word: &str| {
            serde_json::from_str::<OriginConfig>(&format!(r#"{{"on_duplicate": "{word}"}}"#))
        };
        for (word, rule) in [
            ("replace", OnDuplicate::Replace),
            ("refuse", OnDuplicate::Refuse),
            ("backup", OnDuplicate::Backup),
        ] {
            assert_eq!(read(word).unwrap().on_duplicate, rule);
        }
        let error = read("both").unwrap_err().to_string();
        assert!(
            error.contains("expected `replace`, `refuse` or `backup`"),
            "{error}"
        );
    }
}
