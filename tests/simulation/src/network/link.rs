//! What a process holds of the network: an end of a connection, and an open port.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::{Buf as _, Bytes};
use headwater_process::net::SocketOptions;
use headwater_process::simulation::{Host, Link, Port};

use super::wire::{End, Wire};
use super::{Listening, Parcel};
use crate::machine::Machine;

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct LinkEnd {
    machine: Arc<Machine>,
    wire: u64,
    side: usize,
    peer: SocketAddr,
    local: SocketAddr,
}

impl LinkEnd {
    fn with<T>(&self, then: impl FnOnce(&mut End) -> T) -> Option<T> {
        let mut state = self.machine.network().0.lock();
        state
            .wires
            .get_mut(&self.wire)
            .map(|wire| then(&mut wire.ends[self.side]))
    }
}

fn keep(wakers: &mut Vec<Waker>, cx: &Context<'_>) {
    if !wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
        wakers.push(cx.waker().clone());
    }
}

impl Link for LinkEnd {
    fn try_read(&self, buf: &mut [u8], peek: bool) -> io::Result<usize> {
        let now_us = self.machine.now_us();
        let read = self.with(|end| -> io::Result<usize> {
            if let Some(kind) = end.broken {
                return Err(kind.into());
            }
            let mut filled = 0;
            let mut piece = 0;
            while filled < buf.len()
                && let Some(bytes) = end.inbox.get_mut(piece)
            {
                let count = bytes.len().min(buf.len() - filled);
                buf[filled..filled + count].copy_from_slice(&bytes[..count]);
                filled += count;
                if peek {
                    piece += 1;
                } else {
                    bytes.advance(count);
                    if bytes.is_empty() {
                        end.inbox.pop_front();
                    }
                }
            }
            match filled {
                0 if !end.ended => Err(io::ErrorKind::WouldBlock.into()),
                filled => Ok(filled),
            }
        });
        let read = read.unwrap_or(Err(io::ErrorKind::NotConnected.into()))?;
        if read > 0 && !peek {
            let mut state = self.machine.network().0.lock();
            state.send(
                now_us,
                self.wire,
                1 - self.side,
                Parcel::Ack { bytes: read },
            );
        }
        Ok(read)
    }

    fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        let now_us = self.machine.now_us();
        let taken = self.with(|end| -> io::Result<(usize, u64)> {
            if let Some(kind) = end.broken {
                return Err(kind.into());
            }
            if end.finished {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            let room = end.window_bytes.saturating_sub(end.unacknowledged);
            if room == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let taken = room.min(buf.len());
            end.unacknowledged += taken;
            let number = end.next_out;
            if taken > 0 {
                end.next_out += 1;
            }
            Ok((taken, number))
        });
        let (taken, number) = taken.unwrap_or(Err(io::ErrorKind::BrokenPipe.into()))?;
        if taken > 0 {
            let bytes = Bytes::copy_from_slice(&buf[..taken]);
            let mut state = self.machine.network().0.lock();
            state.send(
                now_us,
                self.wire,
                1 - self.side,
                Parcel::Data { number, bytes },
            );
        }
        Ok(taken)
    }

    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        let ready = self.with(|end| {
            let ready = end.broken.is_some() || end.ended || !end.inbox.is_empty();
            if !ready {
                keep(&mut end.read_wakers, cx);
            }
            ready
        });
        if ready.unwrap_or(true) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        let ready = self.with(|end| {
            let ready =
                end.broken.is_some() || end.finished || end.unacknowledged < end.window_bytes;
            if !ready {
                keep(&mut end.write_wakers, cx);
            }
            ready
        });
        if ready.unwrap_or(true) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    fn shutdown(&self) {
        let now_us = self.machine.now_us();
        let mut state = self.machine.network().0.lock();
        state.finish(now_us, self.wire, self.side);
    }

    fn reset_on_close(&self) {
        self.with(|end| end.reset_on_close = true);
    }

    fn tune(&self, _options: &SocketOptions) {}

    fn peer(&self) -> SocketAddr {
        self.peer
    }

    fn local(&self) -> SocketAddr {
        self.local
    }
}

impl Drop for LinkEnd {
    fn drop(&mut self) {
        let now_us = self.machine.now_us();
        let mut state = self.machine.network().0.lock();
        state.close(now_us, self.wire, self.side);
    }
}

/// A connection that is being opened.
#[derive(Debug)]
pub(crate) struct Connecting(Option<LinkEnd>);

impl Connecting {
    pub(crate) fn new(machine: Arc<Machine>, to: SocketAddr) -> Connecting {
        let now_us = machine.now_us();
        let link = {
            let mut state = machine.network().0.lock();
            let local = state.free_port(machine.address());
            let wire = state.next_number();
            state.wires.insert(wire, Wire::new(local, to));
            let window_bytes = state.window_bytes(wire);
            if let Some(it) = state.wires.get_mut(&wire) {
                it.ends
                    .iter_mut()
                    .for_each(|end| end.window_bytes = window_bytes);
            }
            state.send(now_us, wire, 1, Parcel::Syn);
            LinkEnd {
                machine: Arc::clone(&machine),
                wire,
                side: 0,
                peer: to,
                local,
            }
        };
        Connecting(Some(link))
    }
}

impl Future for Connecting {
    type Output = io::Result<Arc<dyn Link>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(link) = &self.0 else {
            return Poll::Pending;
        };
        let outcome = link.with(|end| {
            if let Some(kind) = end.broken {
                return Some(Err(io::Error::from(kind)));
            }
            if end.connected {
                return Some(Ok(()));
            }
            keep(&mut end.write_wakers, cx);
            None
        });
        match outcome.unwrap_or(Some(Err(io::ErrorKind::NotConnected.into()))) {
            None => Poll::Pending,
            Some(Err(error)) => Poll::Ready(Err(error)),
            Some(Ok(())) => match self.0.take() {
                Some(link) => Poll::Ready(Ok(Arc::new(link) as Arc<dyn Link>)),
                None => Poll::Pending,
            },
        }
    }
}

/// A port that a process listens on.
#[derive(Debug)]
pub(crate) struct OpenPort {
    machine: Arc<Machine>,
    local: SocketAddr,
}

impl OpenPort {
    pub(crate) fn new(machine: Arc<Machine>, at: SocketAddr) -> io::Result<OpenPort> {
        let ip: IpAddr = machine.address();
        let local = {
            let mut state = machine.network().0.lock();
            let local = match at.port() {
                0 => state.free_port(ip),
                port => SocketAddr::new(ip, port),
            };
            if state.ports.contains_key(&local) {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            state.ports.insert(local, Listening::default());
            local
        };
        Ok(OpenPort { machine, local })
    }
}

impl Port for OpenPort {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Arc<dyn Link>>> {
        let mut state = self.machine.network().0.lock();
        let Some(port) = state.ports.get_mut(&self.local) else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        let Some(wire) = port.queue.pop_front() else {
            keep(&mut port.wakers, cx);
            return Poll::Pending;
        };
        let peer = state
            .wires
            .get(&wire)
            .map_or(self.local, |wire| wire.ends[0].address);
        Poll::Ready(Ok(Arc::new(LinkEnd {
            machine: Arc::clone(&self.machine),
            wire,
            side: 1,
            peer,
            local: self.local,
        })))
    }

    fn local(&self) -> SocketAddr {
        self.local
    }
}

impl Drop for OpenPort {
    fn drop(&mut self) {
        let now_us = self.machine.now_us();
        let mut state = self.machine.network().0.lock();
        let waiting = state.ports.remove(&self.local);
        for wire in waiting.into_iter().flat_map(|port| port.queue) {
            if let Some(it) = state.wires.get_mut(&wire) {
                it.ends[1].reset_on_close = true;
            }
            state.close(now_us, wire, 1);
        }
    }
}
