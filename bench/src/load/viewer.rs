//! One viewer of the load.

use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use headwater_media::TagKind;
use rustix::net::{RecvFlags, recv};
use rustls::{ClientConfig, ClientConnection};
use socket2::{Domain, Socket, Type};

use super::parse::Parser;
use super::plan::Target;
use crate::clock::now_ns;
use crate::stream::{Stamp, is_keyframe};
use crate::tls;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Viewers that share a source address: it has about 28,000 ports.
const VIEWERS_PER_ADDRESS: usize = 10_000;

/// What a viewer does with what it gets.
#[derive(Debug)]
enum Reading {
    /// Reads tags; a witness to the end, the others until their first picture.
    Tags(Box<Parser>),
    /// Throws bytes away in the kernel.
    Count,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Viewer {
    pub(super) socket: TcpStream,
    /// Opens what comes, while tags are read of it.
    tls: Option<Box<ClientConnection>>,
    reading: Reading,
    pub(super) witness: bool,
    pub(super) slow: bool,
    pub(super) target: usize,
    joined_ns: u64,
    pub(super) first_picture_us: Option<u32>,
    pub(super) picture_ns: u64,
    last_ns: u64,
    pub(super) gap_max_ns: u64,
    pub(super) bytes: u64,
    next_number: Option<u64>,
    pub(super) tags: [u64; 2],
    pub(super) missing: u64,
}

/// What is measured of tags.
#[derive(Debug, Default)]
pub(super) struct Measured {
    /// Tags sent before do not count.
    pub(super) since_ns: u64,
    pub(super) latency_us: Vec<u32>,
    pub(super) slow_latency_us: Vec<u32>,
}

/// Why a viewer is no more.
#[derive(Debug)]
pub(super) enum Gone {
    Refused(String),
    Ended,
}

impl Viewer {
    /// Connects viewer number `number` and asks for the stream; `client` is what it is in TLS.
    pub(super) fn join(
        target: &Target,
        number: usize,
        client: &Arc<ClientConfig>,
    ) -> io::Result<Viewer> {
        let joined_ns = now_ns();
        let socket = Socket::new(Domain::for_address(target.address), Type::STREAM, None)?;
        if let IpAddr::V4(ip) = target.address.ip()
            && ip.is_loopback()
        {
            // All of 127.0.0.0/8 is this machine: each group of viewers has ports of its own.
            let group = u8::try_from(number / VIEWERS_PER_ADDRESS % 200).unwrap_or(0);
            let from = Ipv4Addr::new(127, 0, 1, group.saturating_add(1));
            socket.bind(&SocketAddr::from((from, 0)).into())?;
        }
        socket.connect_timeout(&target.address.into(), CONNECT_TIMEOUT)?;
        let mut socket = TcpStream::from(socket);
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: headwater-bench\r\n\r\n",
            target.path, target.host
        );
        let tls = if target.tls {
            socket.set_read_timeout(Some(CONNECT_TIMEOUT))?;
            let mut tls = tls::shake_hands(client, &target.host, &mut socket)?;
            tls.writer().write_all(request.as_bytes())?;
            while tls.wants_write() {
                tls.write_tls(&mut socket)?;
            }
            Some(tls)
        } else {
            socket.write_all(request.as_bytes())?;
            None
        };
        Ok(Viewer {
            socket,
            tls,
            reading: Reading::Tags(Box::new(Parser::new())),
            witness: false,
            slow: false,
            target: 0,
            joined_ns,
            first_picture_us: None,
            picture_ns: 0,
            last_ns: joined_ns,
            gap_max_ns: 0,
            bytes: 0,
            next_number: None,
            tags: [0; 2],
            missing: 0,
        })
    }

    /// When it connected.
    pub(super) fn joined_ns(&self) -> u64 {
        self.joined_ns
    }

    /// Forgets what was counted before the measurement.
    pub(super) fn begin(&mut self, now: u64) {
        self.last_ns = self.last_ns.max(now.saturating_sub(1));
        self.gap_max_ns = 0;
        self.bytes = 0;
        self.tags = [0; 2];
        self.missing = 0;
    }

    /// The longest time without bytes, up to `now`.
    pub(super) fn gap_ns(&self, now: u64) -> u64 {
        self.gap_max_ns.max(now.saturating_sub(self.last_ns))
    }

    /// Reads once, at most `buffer`; returns the bytes.
    pub(super) fn read(
        &mut self,
        buffer: &mut [u8],
        measured: &mut Measured,
    ) -> Result<usize, Gone> {
        let count = matches!(self.reading, Reading::Count);
        let flags = if count {
            // TCP throws the bytes away instead of copying them: the load costs less than the server.
            RecvFlags::DONTWAIT | RecvFlags::TRUNC
        } else {
            RecvFlags::DONTWAIT
        };
        let read = match recv(&self.socket, &mut *buffer, flags) {
            Ok((_, 0)) => return Err(Gone::Ended),
            Ok((_, read)) => read,
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return Ok(0),
            Err(_) => return Err(Gone::Ended),
        };
        let now = now_ns();
        self.gap_max_ns = self.gap_max_ns.max(now.saturating_sub(self.last_ns));
        self.last_ns = now;
        self.bytes = self.bytes.saturating_add(read as u64);
        if !count {
            let wire = buffer.get(..read).unwrap_or_default();
            let opened = self
                .tls
                .as_mut()
                .map(|tls| tls::open(tls, wire))
                .transpose()
                .map_err(|error| Gone::Refused(error.to_string()))?;
            self.parse(opened.as_deref().unwrap_or(wire), now, measured)?;
        }
        Ok(read)
    }

    fn parse(&mut self, bytes: &[u8], now: u64, measured: &mut Measured) -> Result<(), Gone> {
        let Reading::Tags(parser) = &mut self.reading else {
            return Ok(());
        };
        let (witness, slow) = (self.witness, self.slow);
        let mut picture = false;
        let (next_number, tags, missing) =
            (&mut self.next_number, &mut self.tags, &mut self.missing);
        let fed = parser.feed(bytes, |tag| {
            picture |= is_keyframe(tag.kind, &tag.payload);
            if !(witness || slow) {
                return;
            }
            let Some(stamp) = Stamp::read(tag.kind, &tag.payload) else {
                return;
            };
            if let Some(next) = *next_number {
                *missing = missing.saturating_add(stamp.number.saturating_sub(next));
            }
            *next_number = Some(stamp.number.saturating_add(1));
            if measured.since_ns == 0 || stamp.sent_ns < measured.since_ns {
                return;
            }
            if let Some(count) = tags.get_mut(usize::from(tag.kind == TagKind::Video)) {
                *count = count.saturating_add(1);
            }
            let us = u32::try_from(now.saturating_sub(stamp.sent_ns) / 1_000).unwrap_or(u32::MAX);
            if slow {
                measured.slow_latency_us.push(us);
            } else {
                measured.latency_us.push(us);
            }
        });
        if let Err(why) = fed {
            return Err(Gone::Refused(why));
        }
        if picture && self.first_picture_us.is_none() {
            let us = now.saturating_sub(self.joined_ns) / 1_000;
            self.first_picture_us = Some(u32::try_from(us).unwrap_or(u32::MAX));
            self.picture_ns = now;
        }
        if self.first_picture_us.is_some() && !(witness || slow) {
            self.reading = Reading::Count;
            self.tls = None;
        }
        Ok(())
    }
}
