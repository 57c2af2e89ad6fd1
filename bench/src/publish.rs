//! Paced RTMP publishers: one thread, a connection for each stream.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{Read as _, Write as _};
use std::iter::Peekable;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use headwater_media::rtmp::{ClientConfig, ClientEvent, ClientSession, PublishingType};
use rustix::net::{RecvFlags, recv};

use crate::clock::{now_ns, sleep_until};
use crate::error::BenchError;
use crate::stream::{Frames, Shape};

/// How long a server may take for an answer, or may read nothing.
const PATIENCE: Duration = Duration::from_secs(10);
/// What the server sends back (acknowledgements) is read once in so many frames.
const READ_EVERY_FRAMES: u64 = 64;
/// A publisher that is not paced writes as much at once: one write a frame keeps its own core busy, not the server's.
const WRITE_BYTES: usize = 256 << 10;

/// What is published.
#[derive(Clone, Debug)]
pub struct PublishPlan {
    /// The RTMP port.
    pub to: SocketAddr,
    /// How the server is called in `tcUrl`: `host` or `host:port`.
    pub host: String,
    /// The application.
    pub app: String,
    /// The streams' names.
    pub streams: Vec<String>,
    /// What each of them carries.
    pub shape: Shape,
    /// Each frame is sent when it is due; else as soon as the server takes it.
    pub paced: bool,
}

/// Publishers at work; dropping them ends the streams.
#[derive(Debug)]
pub struct Publishers {
    stop: Arc<AtomicBool>,
    sent_bytes: Arc<AtomicU64>,
    thread: Option<JoinHandle<Result<(), BenchError>>>,
}

impl Publishers {
    /// Connects all publishers and lets them send; returns when the server has granted each of them.
    ///
    /// # Errors
    /// If the server refuses one or does not answer.
    pub fn start(plan: &PublishPlan) -> Result<Publishers, BenchError> {
        let sent_bytes = Arc::new(AtomicU64::new(0));
        let mut sources = Vec::with_capacity(plan.streams.len());
        for name in &plan.streams {
            sources.push(Source::open(plan, name, &sent_bytes)?);
        }
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, paced) = (Arc::clone(&stop), plan.paced);
        let thread = std::thread::Builder::new()
            .name("publish".to_owned())
            .spawn(move || publish(sources, paced, &stopped))
            .map_err(|e| BenchError::io("starting the publisher's thread", e))?;
        Ok(Publishers {
            stop,
            sent_bytes,
            thread: Some(thread),
        })
    }

    /// Bytes that have been written to their connections so far.
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes.load(Ordering::Relaxed)
    }

    /// Whether all are still at it.
    pub fn running(&self) -> bool {
        self.thread.as_ref().is_some_and(|t| !t.is_finished())
    }

    /// Ends them.
    ///
    /// # Errors
    /// What went wrong meanwhile, such as a server that closed a connection.
    pub fn stop(mut self) -> Result<(), BenchError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), BenchError> {
        self.stop.store(true, Ordering::Relaxed);
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        thread
            .join()
            .unwrap_or_else(|_| Err(BenchError::part("the publisher's thread failed")))
    }
}

impl Drop for Publishers {
    fn drop(&mut self) {
        // Whoever wants to know has called `stop`.
        let _ = self.end();
    }
}

struct Source {
    name: String,
    socket: TcpStream,
    session: ClientSession,
    frames: Peekable<Frames>,
    /// What waits to be written with what comes next; `None` where each frame is written by itself.
    together: Option<Vec<u8>>,
    sent_bytes: Arc<AtomicU64>,
}

impl Source {
    fn open(
        plan: &PublishPlan,
        name: &str,
        sent_bytes: &Arc<AtomicU64>,
    ) -> Result<Source, BenchError> {
        let fail = |e| BenchError::io(format!("publishing {}/{name} at {}", plan.app, plan.to), e);
        let mut socket = TcpStream::connect_timeout(&plan.to, PATIENCE).map_err(fail)?;
        socket.set_nodelay(true).map_err(fail)?;
        socket.set_read_timeout(Some(PATIENCE)).map_err(fail)?;
        socket.set_write_timeout(Some(PATIENCE)).map_err(fail)?;
        let config = ClientConfig::new(&plan.host, &plan.app, name);
        let mut session = ClientSession::publish(config, PublishingType::Live)
            .map_err(|e| BenchError::part(format!("publishing {name}: {e}")))?;
        let mut buffer = vec![0; 16 << 10];
        loop {
            while let Some(bytes) = session.take_output() {
                socket.write_all(&bytes).map_err(fail)?;
            }
            while let Some(event) = session.next_event() {
                match event {
                    ClientEvent::Started => {
                        return Ok(Source {
                            name: name.to_owned(),
                            socket,
                            session,
                            frames: plan.shape.frames().peekable(),
                            together: (!plan.paced).then(|| Vec::with_capacity(WRITE_BYTES)),
                            sent_bytes: Arc::clone(sent_bytes),
                        });
                    }
                    ClientEvent::Refused { code, description }
                    | ClientEvent::Ended { code, description } => {
                        return Err(BenchError::part(format!(
                            "publishing {name} was refused: {code}: {description}"
                        )));
                    }
                    ClientEvent::Connected(_)
                    | ClientEvent::Media { .. }
                    | ClientEvent::Reconnect { .. }
                    | ClientEvent::Status { .. } => {}
                }
            }
            let read = socket.read(&mut buffer).map_err(fail)?;
            if read == 0 {
                return Err(BenchError::part(format!(
                    "{} closed the connection that was to publish {name}",
                    plan.to
                )));
            }
            session
                .input(buffer.get(..read).unwrap_or_default(), Duration::ZERO)
                .map_err(|e| BenchError::part(format!("publishing {name}: {e}")))?;
        }
    }

    fn headers(&mut self) -> Result<(), BenchError> {
        for (kind, payload) in Shape::headers() {
            self.send(kind, 0, payload)?;
        }
        Ok(())
    }

    /// Sends the next frame.
    fn frame(&mut self, scratch: &mut Vec<u8>) -> Result<(), BenchError> {
        let Some(frame) = self.frames.next() else {
            return Ok(());
        };
        frame.fill(now_ns(), scratch);
        self.send(frame.kind, frame.wire_ms(), scratch)?;
        if frame.number % READ_EVERY_FRAMES == 0 {
            self.read()?;
        }
        Ok(())
    }

    fn send(
        &mut self,
        kind: headwater_media::TagKind,
        wire_ms: u32,
        payload: &[u8],
    ) -> Result<(), BenchError> {
        self.session
            .send(kind, wire_ms, payload)
            .map_err(|e| BenchError::part(format!("publishing {}: {e}", self.name)))?;
        while let Some(bytes) = self.session.take_output() {
            let Some(together) = &mut self.together else {
                self.write(&bytes)?;
                continue;
            };
            together.extend_from_slice(&bytes);
            if together.len() >= WRITE_BYTES {
                let mut written = std::mem::take(together);
                self.write(&written)?;
                written.clear();
                self.together = Some(written);
            }
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), BenchError> {
        self.socket
            .write_all(bytes)
            .map_err(|e| BenchError::io(format!("publishing {}", self.name), e))?;
        self.sent_bytes
            .fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn read(&mut self) -> Result<(), BenchError> {
        let mut buffer = [0_u8; 4096];
        if let Ok((_, read)) = recv(&self.socket, &mut buffer[..], RecvFlags::DONTWAIT) {
            if read == 0 {
                return Err(BenchError::part(format!(
                    "the server closed the connection that published {}",
                    self.name
                )));
            }
            self.session
                .input(buffer.get(..read).unwrap_or_default(), Duration::ZERO)
                .map_err(|e| BenchError::part(format!("publishing {}: {e}", self.name)))?;
        }
        Ok(())
    }
}

fn publish(mut sources: Vec<Source>, paced: bool, stop: &AtomicBool) -> Result<(), BenchError> {
    let began_ns = now_ns();
    // Streams of a real audience are not in step: they begin spread over one frame.
    let apart_ns = 33_000_000 / u64::try_from(sources.len().max(1)).unwrap_or(1);
    let mut due: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
    let mut scratch = Vec::new();
    for (n, source) in sources.iter_mut().enumerate() {
        source.headers()?;
        let late_ns = apart_ns.saturating_mul(u64::try_from(n).unwrap_or(0));
        due.push(Reverse((began_ns.saturating_add(late_ns), n)));
    }
    while let Some(Reverse((at_ns, n))) = due.pop() {
        if paced {
            sleep_until(at_ns);
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let Some(source) = sources.get_mut(n) else {
            continue;
        };
        let this_ns = source.frames.peek().map_or(0, |frame| frame.due_ns);
        source.frame(&mut scratch)?;
        let next_ns = source.frames.peek().map_or(0, |frame| frame.due_ns);
        due.push(Reverse((
            at_ns.saturating_add(next_ns.saturating_sub(this_ns)),
            n,
        )));
    }
    for source in &mut sources {
        source.session.close();
        while let Some(bytes) = source.session.take_output() {
            // The end of the measurement: a server that has gone already is no failure.
            let _ = source.socket.write_all(&bytes);
        }
    }
    Ok(())
}
