//! The floor's loop.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use headwater_media::flv;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustls::ServerConfig;
use serde::{Deserialize, Serialize};
use socket2::SockRef;

use super::loops::Loop;
use super::viewer::Viewer;
use crate::clock::{now_ns, timespec};
use crate::error::BenchError;
use crate::stream::Shape;
use crate::tls::Pair;

/// The number of the listener among the events.
const LISTENER: u64 = u64::MAX;

/// What the kernel is told about viewers' connections: the same as the server that is compared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketPlan {
    /// `SO_SNDBUF`; 0 leaves it.
    pub send_buffer_bytes: usize,
    /// `TCP_NOTSENT_LOWAT`; 0 leaves it.
    pub notsent_lowat_bytes: u32,
    /// `TCP_CONGESTION`; empty leaves it.
    pub congestion: String,
}

/// What the floor sends, and how often.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FloorPlan {
    /// The stream.
    pub shape: Shape,
    /// One `writev` a viewer in this time; 0: one for each tag.
    pub tick_ms: u64,
    /// For every connection.
    pub socket: SocketPlan,
    /// What it shows: then every window is encrypted for each viewer.
    pub tls: Option<Pair>,
}

/// What a floor process says, a line of JSON each.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum FloorState {
    /// Viewers may come.
    Listening {
        /// To here.
        address: SocketAddr,
    },
    /// It could not be.
    Failed {
        /// Why.
        why: String,
    },
}

/// A floor process: reads its plan from standard input, says where it listens, and ends when its standard input does.
///
/// # Errors
/// If the plan cannot be read or the kernel refuses what is needed.
pub fn run() -> Result<(), BenchError> {
    let mut line = String::new();
    io::stdin()
        .read_line(&mut line)
        .map_err(|e| BenchError::io("reading the floor's plan", e))?;
    let plan: FloorPlan = serde_json::from_str(&line)
        .map_err(|e| BenchError::part(format!("reading the floor's plan: {e}")))?;
    crate::part::end_with_input();
    let fail = |e| BenchError::io("opening the floor's port", e);
    let listener = TcpListener::bind("127.0.0.1:0").map_err(fail)?;
    listener.set_nonblocking(true).map_err(fail)?;
    // The standard library's backlog is too short for a thousand who come at once.
    SockRef::from(&listener).listen(4096).map_err(fail)?;
    let address = listener.local_addr().map_err(fail)?;
    let tls = plan.tls.as_ref().map(Pair::server).transpose()?;
    let mut floor = Floor::new(&plan, listener, tls).map_err(fail)?;
    crate::part::say(&FloorState::Listening { address })?;
    floor
        .serve()
        .map_err(|e| BenchError::io("the floor's loop", e))
}

struct Floor {
    stream: Loop,
    tick_ns: u64,
    plan: SocketPlan,
    tls: Option<Arc<ServerConfig>>,
    epoll: OwnedFd,
    listener: TcpListener,
    viewers: Vec<Option<Viewer>>,
    free: Vec<usize>,
    head: Vec<u8>,
}

impl Floor {
    fn new(
        plan: &FloorPlan,
        listener: TcpListener,
        tls: Option<Arc<ServerConfig>>,
    ) -> io::Result<Floor> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(
            &epoll,
            &listener,
            EventData::new_u64(LISTENER),
            EventFlags::IN,
        )?;
        Ok(Floor {
            stream: Loop::new(plan.shape),
            tick_ns: plan.tick_ms.saturating_mul(1_000_000),
            plan: plan.socket.clone(),
            tls,
            epoll,
            listener,
            viewers: Vec::new(),
            free: Vec::new(),
            head: head(),
        })
    }

    fn serve(&mut self) -> io::Result<()> {
        let began_ns = now_ns();
        let mut events = Vec::with_capacity(1_024);
        let mut due_ns = 0;
        loop {
            let elapsed_ns = now_ns().saturating_sub(began_ns);
            if elapsed_ns >= due_ns {
                let parts = self.stream.take(began_ns, elapsed_ns);
                self.send(parts);
                due_ns = match self.tick_ns {
                    0 => self.stream.next_due_ns(),
                    tick => (elapsed_ns / tick + 1) * tick,
                };
                continue;
            }
            events.clear();
            let wait = timespec(Duration::from_nanos(due_ns.saturating_sub(elapsed_ns)));
            match epoll::wait(
                &self.epoll,
                rustix::buffer::spare_capacity(&mut events),
                Some(&wait),
            ) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                let data = event.data;
                match usize::try_from(data.u64()) {
                    Ok(number) if data.u64() != LISTENER => self.ready(number),
                    _ => self.accept(),
                }
            }
        }
    }

    fn accept(&mut self) {
        while let Ok((socket, _)) = self.listener.accept() {
            let number = self.free.pop().unwrap_or_else(|| {
                self.viewers.push(None);
                self.viewers.len() - 1
            });
            let data = EventData::new_u64(number as u64);
            let Ok(viewer) = self
                .tune(&socket)
                .and_then(|()| Viewer::new(socket, self.tls.as_ref()))
            else {
                self.free.push(number);
                continue;
            };
            if epoll::add(&self.epoll, viewer.socket(), data, EventFlags::IN).is_err() {
                self.free.push(number);
                continue;
            }
            if let Some(place) = self.viewers.get_mut(number) {
                *place = Some(viewer);
            }
        }
    }

    fn tune(&self, socket: &TcpStream) -> io::Result<()> {
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        let socket = SockRef::from(socket);
        if self.plan.send_buffer_bytes > 0 {
            socket.set_send_buffer_size(self.plan.send_buffer_bytes)?;
        }
        if self.plan.notsent_lowat_bytes > 0 {
            socket.set_tcp_notsent_lowat(self.plan.notsent_lowat_bytes)?;
        }
        if !self.plan.congestion.is_empty() {
            socket.set_tcp_congestion(self.plan.congestion.as_bytes())?;
        }
        Ok(())
    }

    /// A viewer has sent something, has gone, or can take more.
    fn ready(&mut self, number: usize) {
        let Some(Some(viewer)) = self.viewers.get_mut(number) else {
            return;
        };
        if viewer.ready(&self.head).is_err() {
            self.drop_viewer(number);
            return;
        }
        self.watch(number);
    }

    /// Wakes for room in the socket while something waits for it.
    fn watch(&self, number: usize) {
        let Some(Some(viewer)) = self.viewers.get(number) else {
            return;
        };
        let flags = if viewer.waits() {
            EventFlags::IN | EventFlags::OUT
        } else {
            EventFlags::IN
        };
        // A socket that is gone is noticed at its next write.
        let _ = epoll::modify(
            &self.epoll,
            viewer.socket(),
            EventData::new_u64(number as u64),
            flags,
        );
    }

    fn send(&mut self, parts: [(usize, usize); 2]) {
        let slices = self.stream.slices(parts);
        let used = usize::from(!slices[0].is_empty()) + usize::from(!slices[1].is_empty());
        let Some(slices) = slices.get(..used).filter(|s| !s.is_empty()) else {
            return;
        };
        let (mut gone, mut full) = (Vec::new(), Vec::new());
        for (number, viewer) in self.viewers.iter_mut().enumerate() {
            let Some(viewer) = viewer else {
                continue;
            };
            match viewer.send(slices) {
                Ok(true) => full.push(number),
                Ok(false) => {}
                Err(_) => gone.push(number),
            }
        }
        gone.into_iter().for_each(|number| self.drop_viewer(number));
        full.into_iter().for_each(|number| self.watch(number));
    }

    fn drop_viewer(&mut self, number: usize) {
        if self
            .viewers
            .get_mut(number)
            .and_then(Option::take)
            .is_some()
        {
            self.free.push(number);
        }
    }
}

/// The answer's head, FLV's header and the sequence headers.
fn head() -> Vec<u8> {
    let mut head =
        b"HTTP/1.1 200 OK\r\nContent-Type: video/x-flv\r\nTransfer-Encoding: chunked\r\n\r\n"
            .to_vec();
    let mut chunk = |bytes: &[u8]| {
        head.extend_from_slice(format!("{:x}\r\n", bytes.len()).as_bytes());
        head.extend_from_slice(bytes);
        head.extend_from_slice(b"\r\n");
    };
    chunk(&flv::header(true, true));
    for (kind, payload) in Shape::headers() {
        let mut tag = flv::tag_head(kind, payload.len(), 0, 0)
            .unwrap_or_default()
            .to_vec();
        tag.extend_from_slice(payload);
        tag.extend_from_slice(&flv::previous_tag_size(payload.len()));
        chunk(&tag);
    }
    head
}
