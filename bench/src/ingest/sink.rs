//! The floor of ingest: a loop that reads what publishers send, and nothing else; told so, it sends it on.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

use headwater_media::rtmp::{ServerConfig, ServerEvent, ServerSession};
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use serde::{Deserialize, Serialize};

use crate::error::BenchError;

const LISTENER: u64 = u64::MAX;
/// What one read takes at most.
const READ_BYTES: usize = 64 << 10;
/// How long a publisher's handshake may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the loop is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SinkPlan {
    /// Where it sends what it reads, over a connection for each publisher.
    pub(super) onward: Option<SocketAddr>,
}

/// What it says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub(super) enum SinkState {
    /// Publishers can come.
    Listening {
        /// There.
        address: SocketAddr,
    },
}

struct Publisher {
    socket: TcpStream,
    onward: Option<TcpStream>,
}

/// Runs the loop, as its standard input says, until that ends.
///
/// # Errors
/// What the kernel says.
pub(crate) fn run() -> Result<(), BenchError> {
    let mut line = String::new();
    std::io::stdin()
        .read_line(&mut line)
        .map_err(|e| BenchError::io("reading the plan", e))?;
    let plan: SinkPlan = serde_json::from_str(&line)
        .map_err(|e| BenchError::part(format!("reading the plan: {e}")))?;
    crate::part::end_with_input();
    let fail = |e| BenchError::io("the loop that reads", e);
    let listener = TcpListener::bind("127.0.0.1:0").map_err(fail)?;
    let address = listener.local_addr().map_err(fail)?;
    crate::part::say(&SinkState::Listening { address })?;
    serve(&listener, plan.onward).map_err(fail)
}

fn serve(listener: &TcpListener, onward: Option<SocketAddr>) -> std::io::Result<()> {
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    let watch = |fd: &dyn std::os::fd::AsFd, number| {
        let data = EventData::new_u64(number);
        epoll::add(&epoll, fd.as_fd(), data, EventFlags::IN)
    };
    watch(listener, LISTENER)?;
    let mut publishers: Vec<Option<Publisher>> = Vec::new();
    let mut events = Vec::with_capacity(1_024);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        events.clear();
        wait(&epoll, &mut events)?;
        for event in &events {
            if event.data.u64() == LISTENER {
                let publisher = accept(listener, onward)?;
                watch(&publisher.socket, publishers.len() as u64)?;
                publishers.push(Some(publisher));
                continue;
            }
            let number = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
            let Some(place) = publishers.get_mut(number) else {
                continue;
            };
            let goes_on = place.as_mut().is_some_and(|p| p.read(&mut buffer));
            if !goes_on {
                *place = None;
            }
        }
    }
}

fn wait(epoll: &OwnedFd, events: &mut Vec<epoll::Event>) -> std::io::Result<()> {
    match epoll::wait(epoll, rustix::buffer::spare_capacity(events), None) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Takes the next publisher up to its first tag, as a server would.
fn accept(listener: &TcpListener, onward: Option<SocketAddr>) -> std::io::Result<Publisher> {
    let (mut socket, _) = listener.accept()?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut session = ServerSession::new(ServerConfig::default(), Duration::ZERO);
    let mut buffer = [0; 4096];
    let mut granted = false;
    while !granted {
        let read = socket.read(&mut buffer)?;
        let bytes = buffer.get(..read).filter(|bytes| !bytes.is_empty());
        let bytes = bytes.ok_or(ErrorKind::UnexpectedEof)?;
        session
            .input(bytes, Duration::ZERO)
            .map_err(std::io::Error::other)?;
        while let Some(event) = session.next_event() {
            if matches!(event, ServerEvent::Publish { .. }) {
                session.accept_publish(Duration::ZERO);
                granted = true;
            }
        }
        while let Some(bytes) = session.take_output() {
            socket.write_all(&bytes)?;
        }
    }
    socket.set_nonblocking(true)?;
    let onward = onward.map(TcpStream::connect).transpose()?;
    if let Some(onward) = &onward {
        onward.set_nodelay(true)?;
    }
    Ok(Publisher { socket, onward })
}

impl Publisher {
    /// Reads once; returns whether there is more to come.
    fn read(&mut self, buffer: &mut [u8]) -> bool {
        match self.socket.read(buffer) {
            Ok(0) => false,
            Ok(read) => {
                let bytes = buffer.get(..read).unwrap_or_default();
                // Whoever reads there is faster than the publishers are.
                let sent = self.onward.as_mut().map(|onward| onward.write_all(bytes));
                sent.is_none_or(|sent| sent.is_ok())
            }
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
        }
    }
}

/// Where the loop sends: a thread that throws everything away.
#[derive(Debug)]
pub(super) struct Drain {
    address: SocketAddr,
}

impl Drain {
    /// Starts it; it ends with this process.
    pub(super) fn start() -> Result<Drain, BenchError> {
        let fail = |e| BenchError::io("the end of the hop", e);
        let listener = TcpListener::bind("127.0.0.1:0").map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        std::thread::Builder::new()
            .name("drain".to_owned())
            .spawn(move || drain(&listener))
            .map_err(fail)?;
        Ok(Drain { address })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

fn drain(listener: &TcpListener) -> std::io::Result<()> {
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    let data = EventData::new_u64(LISTENER);
    epoll::add(&epoll, listener, data, EventFlags::IN)?;
    let mut sockets: Vec<Option<TcpStream>> = Vec::new();
    let mut events = Vec::with_capacity(1_024);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        events.clear();
        wait(&epoll, &mut events)?;
        for event in &events {
            if event.data.u64() == LISTENER {
                let (socket, _) = listener.accept()?;
                let data = EventData::new_u64(sockets.len() as u64);
                epoll::add(&epoll, &socket, data, EventFlags::IN)?;
                sockets.push(Some(socket));
                continue;
            }
            let number = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
            if let Some(place) = sockets.get_mut(number) {
                let read = place.as_mut().map(|socket| socket.read(&mut buffer));
                if !matches!(read, Some(Ok(1..))) {
                    *place = None;
                }
            }
        }
    }
}
