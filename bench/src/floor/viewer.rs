//! One viewer of the floor.

use std::io::{self, ErrorKind, IoSlice, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection};

pub(super) struct Viewer {
    socket: TcpStream,
    tls: Option<Box<ServerConnection>>,
    asked: bool,
    /// What a full socket did not take; while there is some, windows are left out. In TLS, the connection has it.
    rest: Vec<u8>,
}

impl Viewer {
    pub(super) fn new(socket: TcpStream, tls: Option<&Arc<ServerConfig>>) -> io::Result<Viewer> {
        let tls = tls
            .map(|config| ServerConnection::new(Arc::clone(config)))
            .transpose()
            .map_err(io::Error::other)?;
        Ok(Viewer {
            socket,
            tls: tls.map(Box::new),
            asked: false,
            rest: Vec::new(),
        })
    }

    pub(super) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Whether something waits for room in the socket.
    pub(super) fn waits(&self) -> bool {
        !self.rest.is_empty() || self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Reads and writes what can be; `head` answers the first bytes of a request. An error: the viewer is over.
    pub(super) fn ready(&mut self, head: &[u8]) -> io::Result<()> {
        let mut buffer = [0_u8; 2048];
        let read = match &mut self.tls {
            None => self.socket.read(&mut buffer),
            Some(tls) => receive(tls, &mut self.socket, &mut buffer),
        };
        match read {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) if !self.asked => {
                self.asked = true;
                match &mut self.tls {
                    None => self.rest.extend_from_slice(head),
                    Some(tls) => tls.writer().write_all(head)?,
                }
            }
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
            Ok(_) | Err(_) => {}
        }
        if self.waits() { self.flush() } else { Ok(()) }
    }

    /// Sends a window, unless something of an earlier one still waits; returns whether some of it waits now.
    pub(super) fn send(&mut self, slices: &[IoSlice<'_>]) -> io::Result<bool> {
        if !self.asked || self.waits() {
            return Ok(false);
        }
        if let Some(tls) = &mut self.tls {
            // The viewer's window whole, however long: what waits here is no more than that.
            tls.set_buffer_limit(None);
            for slice in slices {
                tls.writer().write_all(slice)?;
            }
            self.flush()?;
            return Ok(self.waits());
        }
        let written = match slices {
            [one] => self.socket.write(one),
            several => self.socket.write_vectored(several),
        };
        match written {
            Ok(sent) => {
                self.keep(slices, sent);
                Ok(self.waits())
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = match &mut self.tls {
            Some(tls) => {
                let mut sent = Ok(0);
                while sent.is_ok() && tls.wants_write() {
                    sent = tls.write_tls(&mut self.socket);
                }
                sent.map(drop)
            }
            None => self.socket.write(&self.rest).map(|sent| {
                self.rest.drain(..sent);
                if self.rest.is_empty() {
                    self.rest = Vec::new();
                }
            }),
        };
        match flushed {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }

    /// Keeps what was not sent.
    fn keep(&mut self, slices: &[IoSlice<'_>], mut sent: usize) {
        for slice in slices {
            let from = sent.min(slice.len());
            self.rest
                .extend_from_slice(slice.get(from..).unwrap_or_default());
            sent -= from;
        }
    }
}

/// Reads once from the wire; plain bytes that came of it, 0 at the end.
fn receive(
    tls: &mut ServerConnection,
    socket: &mut TcpStream,
    buffer: &mut [u8],
) -> io::Result<usize> {
    if tls.read_tls(socket)? == 0 {
        return Ok(0);
    }
    tls.process_new_packets().map_err(io::Error::other)?;
    tls.reader().read(buffer)
}
