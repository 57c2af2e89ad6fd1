//! The settings of an edge.

use std::time::Duration;

use headwater_hub::{LatePolicy, Mode, RegistryLimits, RingLimits};
use headwater_process::config::Tick;
use headwater_process::documented;
use headwater_process::net::SocketOptions;
use serde::{Deserialize, Serialize};

/// Threads beyond this are a slip of the pen.
const WRITER_THREADS_MAX: usize = 256;

documented! {
    /// The settings of an edge.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct EdgeConfig {
        /// Where viewers play HTTP-FLV.
        pub http_listen: String,
        /// Where viewers play FLV over HTTPS, HTTP/2 and WSS, as soon as there is a certificate (`tls`); empty: nowhere.
        pub https_listen: String,
        /// Where viewers play RTMP; empty: nowhere.
        pub rtmp_listen: String,
        /// Where other edges pull from this one; keep it off the public network.
        pub internal_listen: String,
        /// The networks of load balancers, such as `10.0.0.0/8`: their connections to the ports for viewers begin with a
        /// PROXY header (version 1 or 2) that names the viewer's address; every other connection's address is its own.
        pub proxy_protocol_from: Vec<String>,
        /// The URL that a publisher who comes here is sent to, such as `rtmp://push.example.com/live`; empty: the
        /// origin's port is named without a host.
        pub publish_url: String,
        /// Hosts of addresses and the vhost that each stands for; every other host stands for `default`.
        pub vhosts: std::collections::BTreeMap<String, String>,
        /// The mode of viewers who ask for none: `live` starts at once and may lag a few seconds, `rtc` keeps next to
        /// nothing and gives video up first.
        pub default_mode: DefaultMode,
        /// The longest that `?wait=SECONDS` makes a request wait for its stream.
        #[serde(with = "headwater_process::config::time")]
        pub wait_max: Duration,
        /// The origins of web pages that may play (`https://www.example.com`), or `*` for all.
        pub cors_origins: Vec<String>,
        /// How often live viewers are written to: `auto`, or a fixed time such as `50ms`.
        pub tick: Tick,
        /// Threads that write to viewers, beside those of everything else; 0: as many as there are cores. With 1 there is
        /// none of their own.
        pub writer_threads: usize,
        /// A live viewer who is later than this skips to the newest keyframe.
        #[serde(with = "headwater_process::config::time")]
        pub max_cache: Duration,
        /// How streams are pulled.
        pub pull: PullConfig,
        /// What viewers may use.
        pub limits: LimitsConfig,
        /// What the kernel is told about viewers' connections.
        pub socket: SocketConfig,
    }
}

documented! {
    /// How an edge pulls streams.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct PullConfig {
        /// How long a stream is pulled on after its last viewer has left.
        #[serde(with = "headwater_process::config::time")]
        pub linger: Duration,
        /// How long viewers are kept when the publisher has left, or nobody has the stream any more.
        #[serde(with = "headwater_process::config::time")]
        pub grace: Duration,
        /// How long a viewer who comes waits for a publisher who has left, from when it left: who is sent away by one
        /// edge finds the stream at the next, though its publisher changes places too.
        #[serde(with = "headwater_process::config::time")]
        pub return_wait: Duration,
        /// How long "not found" is remembered.
        #[serde(with = "headwater_process::config::time")]
        pub negative_cache: Duration,
        /// How long a viewer waits for a stream that is known to be somewhere and does not come.
        #[serde(with = "headwater_process::config::time")]
        pub open_timeout: Duration,
        /// Streams held at most.
        pub streams_max: usize,
        /// Payload bytes of one stream's ring at most.
        #[serde(with = "headwater_process::config::size")]
        pub ring_max_bytes: usize,
        /// Payload bytes of all rings at most; rings shrink before a stream is refused.
        #[serde(with = "headwater_process::config::size")]
        pub rings_max_bytes: usize,
    }
}

documented! {
    /// What viewers of an edge may use.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct LimitsConfig {
        /// Connections of each port at most.
        pub connections: usize,
        /// Connections of one IPv4 address or IPv6 /64 at most, for each port.
        pub connections_per_address: usize,
        /// Viewers in all.
        pub viewers: usize,
        /// Viewers of one stream.
        pub viewers_per_stream: usize,
        /// The head of an HTTP request.
        #[serde(with = "headwater_process::config::size")]
        pub head_max_bytes: usize,
        /// From the opening of a connection, or the answer before, to the end of a request's head.
        #[serde(with = "headwater_process::config::time")]
        pub head_timeout: Duration,
        /// A viewer whose connection takes nothing for this long is ended.
        #[serde(with = "headwater_process::config::time")]
        pub stuck_timeout: Duration,
    }
}

documented! {
    /// What the kernel is told about viewers' connections.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct SocketConfig {
        /// `SO_SNDBUF`: what the kernel holds for a viewer at most; 0 lets the kernel choose.
        #[serde(with = "headwater_process::config::size")]
        pub send_buffer_bytes: u32,
        /// `TCP_NOTSENT_LOWAT`: what waits unsent in the kernel before the viewer counts as late; 0 lets the kernel choose.
        #[serde(with = "headwater_process::config::size")]
        pub notsent_lowat_bytes: u32,
        /// `TCP_USER_TIMEOUT`: how long sent data may stay unacknowledged before the connection ends; 0 lets the kernel
        /// choose.
        #[serde(with = "headwater_process::config::time")]
        pub user_timeout: Duration,
        /// `TCP_CONGESTION`, such as `bbr` or `cubic`; empty for the machine's default.
        pub congestion: String,
    }
}

/// How viewers are served who ask for no mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DefaultMode {
    /// [`Mode::Live`].
    #[default]
    Live,
    /// [`Mode::Rtc`].
    Rtc,
}

impl From<DefaultMode> for Mode {
    fn from(mode: DefaultMode) -> Mode {
        match mode {
            DefaultMode::Live => Mode::Live,
            DefaultMode::Rtc => Mode::Rtc,
        }
    }
}

impl Default for EdgeConfig {
    fn default() -> EdgeConfig {
        EdgeConfig {
            http_listen: "[::]:8080".to_owned(),
            https_listen: "[::]:8443".to_owned(),
            rtmp_listen: "[::]:1936".to_owned(),
            internal_listen: "[::]:7001".to_owned(),
            proxy_protocol_from: Vec::new(),
            publish_url: String::new(),
            vhosts: std::collections::BTreeMap::new(),
            default_mode: DefaultMode::Live,
            wait_max: Duration::from_secs(30),
            cors_origins: vec!["*".to_owned()],
            tick: Tick::default(),
            writer_threads: 0,
            max_cache: Duration::from_secs(3),
            pull: PullConfig::default(),
            limits: LimitsConfig::default(),
            socket: SocketConfig::default(),
        }
    }
}

impl Default for PullConfig {
    fn default() -> PullConfig {
        PullConfig {
            linger: Duration::from_secs(10),
            grace: Duration::from_secs(30),
            return_wait: Duration::from_secs(5),
            negative_cache: Duration::from_secs(1),
            open_timeout: Duration::from_secs(5),
            streams_max: 4_096,
            ring_max_bytes: 16 << 20,
            rings_max_bytes: 1 << 30,
        }
    }
}

impl Default for LimitsConfig {
    fn default() -> LimitsConfig {
        LimitsConfig {
            connections: 20_000,
            connections_per_address: 2_000,
            viewers: 20_000,
            viewers_per_stream: 20_000,
            head_max_bytes: 8 << 10,
            head_timeout: Duration::from_secs(10),
            stuck_timeout: Duration::from_secs(10),
        }
    }
}

impl Default for SocketConfig {
    fn default() -> SocketConfig {
        SocketConfig {
            send_buffer_bytes: 0,
            notsent_lowat_bytes: 128 << 10,
            user_timeout: Duration::from_secs(15),
            congestion: String::new(),
        }
    }
}

/// Why the settings cannot be used: one sentence for whoever wrote them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`edge.{setting}` {problem}")]
pub struct ConfigError {
    setting: &'static str,
    problem: String,
}

impl EdgeConfig {
    /// Checks what the types cannot.
    ///
    /// # Errors
    /// The first setting that makes no sense.
    pub fn check(&self) -> Result<(), ConfigError> {
        let wrong = |setting, problem: &str| {
            Err(ConfigError {
                setting,
                problem: problem.to_owned(),
            })
        };
        if self.http_listen.is_empty() {
            return wrong(
                "http_listen",
                "is empty: write an address with a port, such as `[::]:8080`",
            );
        }
        if self.internal_listen.is_empty() {
            return wrong(
                "internal_listen",
                "is empty: write an address with a port, such as `127.0.0.1:7001`",
            );
        }
        for (setting, least, value) in [
            ("limits.head_max_bytes", 1_024, self.limits.head_max_bytes),
            ("limits.connections", 1, self.limits.connections),
            (
                "limits.connections_per_address",
                1,
                self.limits.connections_per_address,
            ),
            ("limits.viewers", 1, self.limits.viewers),
            (
                "limits.viewers_per_stream",
                1,
                self.limits.viewers_per_stream,
            ),
            ("pull.streams_max", 1, self.pull.streams_max),
            ("pull.ring_max_bytes", 1 << 20, self.pull.ring_max_bytes),
            ("pull.rings_max_bytes", 1 << 20, self.pull.rings_max_bytes),
        ] {
            if value < least {
                return wrong(setting, &format!("is {value}: at least {least} is needed"));
            }
        }
        if self.writer_threads > WRITER_THREADS_MAX {
            return wrong(
                "writer_threads",
                &format!(
                    "is {}: {WRITER_THREADS_MAX} are the most, and 0 stands for one a core",
                    self.writer_threads
                ),
            );
        }
        for (setting, value) in [
            ("limits.head_timeout", self.limits.head_timeout),
            ("limits.stuck_timeout", self.limits.stuck_timeout),
            ("pull.open_timeout", self.pull.open_timeout),
            ("max_cache", self.max_cache),
        ] {
            if value < Duration::from_millis(100) {
                return wrong(setting, "is shorter than 100ms, too short for any network");
            }
        }
        if self
            .cors_origins
            .iter()
            .any(|origin| !origin.chars().all(|c| c.is_ascii_graphic()))
        {
            return wrong(
                "cors_origins",
                "has an origin that is none: write `https://www.example.com`, or `*` for all",
            );
        }
        if let Err(error) = self.proxies() {
            return wrong("proxy_protocol_from", &error.to_string());
        }
        if let Err(error) = self.virtual_hosts() {
            return wrong("vhosts", &error.to_string());
        }
        Ok(())
    }

    /// The hosts that stand for vhosts.
    pub(crate) fn virtual_hosts(
        &self,
    ) -> Result<headwater_media::VirtualHosts, headwater_media::NameError> {
        headwater_media::VirtualHosts::new(self.vhosts.clone())
    }

    pub(crate) fn proxies(
        &self,
    ) -> Result<headwater_process::accept::ProxyNetworks, headwater_process::accept::NetworkError>
    {
        headwater_process::accept::ProxyNetworks::parse(&self.proxy_protocol_from)
    }

    pub(crate) fn late_policy(&self) -> LatePolicy {
        let live_max_ms = i64::try_from(self.max_cache.as_millis()).unwrap_or(i64::MAX);
        LatePolicy {
            live_max_ms,
            ..LatePolicy::default()
        }
    }

    pub(crate) fn registry_limits(&self) -> RegistryLimits {
        RegistryLimits {
            streams_max: self.pull.streams_max,
            budget_bytes: self.pull.rings_max_bytes,
            ring: RingLimits {
                bytes_max: self.pull.ring_max_bytes,
                ..RingLimits::default()
            },
        }
    }
}

impl SocketConfig {
    pub(crate) fn options(&self) -> SocketOptions {
        let some = |bytes: u32| (bytes > 0).then_some(bytes);
        SocketOptions {
            send_buffer_bytes: some(self.send_buffer_bytes),
            notsent_lowat_bytes: some(self.notsent_lowat_bytes),
            user_timeout: (!self.user_timeout.is_zero()).then_some(self.user_timeout),
            congestion: (!self.congestion.is_empty()).then(|| self.congestion.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_pass_their_check_and_read_back() {
        let config = EdgeConfig::default();
        config.check().unwrap();
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<EdgeConfig>(&text).unwrap(), config);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let mut config = EdgeConfig::default();
        config.limits.viewers = 0;
        assert_eq!(
            config.check().unwrap_err().to_string(),
            "`edge.limits.viewers` is 0: at least 1 is needed"
        );
        for (setting, json) in [
            ("http_listen", r#"{"http_listen": ""}"#),
            (
                "limits.head_timeout",
                r#"{"limits": {"head_timeout": "1ms"}}"#,
            ),
            ("cors_origins", r#"{"cors_origins": ["a b"]}"#),
            (
                "proxy_protocol_from",
                r#"{"proxy_protocol_from": ["10.0.0.0/33"]}"#,
            ),
            ("vhosts", r#"{"vhosts": {"a.example": ".."}}"#),
            ("writer_threads", r#"{"writer_threads": 257}"#),
        ] {
            let config: EdgeConfig = serde_json::from_str(json).unwrap();
            assert_eq!(config.check().unwrap_err().setting, setting);
        }
    }
}
