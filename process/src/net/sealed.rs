//! A connection from outside in TLS, read and written without waiting.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::task::{Context, Poll};

use rustls::ServerConnection;
use tokio_rustls::server;

use super::TcpStream;
use super::lead::lead;

/// Encrypted bytes that wait for the socket of one connection, at most: beyond, it takes nothing, as a full socket does.
const SEALED_MAX_BYTES: usize = 32 << 10;
/// What one write in TLS looks at; the rest is for the next one.
const SLICES_MAX: usize = 8;

/// A TCP connection whose TLS handshake is over.
#[derive(Debug)]
pub struct Sealed {
    stream: server::TlsStream<TcpStream>,
    /// Bytes that are decrypted may wait to be read, of which the socket tells nobody.
    unread: bool,
    finished: bool,
}

impl Sealed {
    pub(super) fn new(mut stream: server::TlsStream<TcpStream>) -> Sealed {
        stream.get_mut().1.set_buffer_limit(Some(SEALED_MAX_BYTES));
        Sealed {
            stream,
            unread: true,
            finished: false,
        }
    }

    pub(super) fn socket(&self) -> &TcpStream {
        self.stream.get_ref().0
    }

    pub(super) fn stream(&mut self) -> &mut server::TlsStream<TcpStream> {
        &mut self.stream
    }

    pub(super) fn is_http2(&self) -> bool {
        self.stream.get_ref().1.alpn_protocol() == Some(b"h2")
    }

    pub(super) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.unread {
            return Poll::Ready(Ok(()));
        }
        self.socket().poll_read_ready(cx)
    }

    pub(super) fn try_read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let (tcp, tls) = self.stream.get_mut();
        loop {
            match tls.reader().read(buf) {
                Ok(read) => {
                    self.unread = read == buf.len();
                    return Ok(read);
                }
                // Many peers close without a word of TLS; for a stream without an end that is no news.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.unread = false,
                Err(error) => return Err(error),
            }
            receive(tcp, tls)?;
        }
    }

    pub(super) fn try_write(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.try_flush()?;
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        for (slice, buf) in slices.iter_mut().zip(bufs) {
            *slice = *buf;
        }
        let mut left = slices.as_mut_slice();
        let mut taken = 0_usize;
        if let Some(lead) = lead(bufs) {
            taken = self.stream.get_mut().1.writer().write(lead)?;
            IoSlice::advance_slices(&mut left, taken);
        }
        // Part by part as far as the socket goes along: a line that takes a part only is full, as a plain one would be.
        loop {
            let part = self.stream.get_mut().1.writer().write_vectored(left)?;
            if part == 0 {
                return Ok(taken);
            }
            taken = taken.saturating_add(part);
            IoSlice::advance_slices(&mut left, part);
            match self.try_flush() {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(taken),
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) fn try_flush(&mut self) -> io::Result<()> {
        let (tcp, tls) = self.stream.get_mut();
        while tls.wants_write() {
            tls.write_tls(&mut Raw(tcp))?;
        }
        Ok(())
    }

    pub(super) fn try_finish(&mut self) -> io::Result<()> {
        if !std::mem::replace(&mut self.finished, true) {
            self.stream.get_mut().1.send_close_notify();
        }
        self.try_flush()
    }

    pub(super) async fn gone(&mut self) {
        loop {
            let (tcp, tls) = self.stream.get_mut();
            match tls.process_new_packets() {
                Ok(state) if state.peer_has_closed() => return,
                Ok(state) if state.plaintext_bytes_to_read() > 0 => {
                    self.unread = true;
                    return std::future::pending().await;
                }
                Ok(_) => {}
                Err(_) => return,
            }
            match receive(tcp, tls) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if tcp.readable().await.is_err() {
                        return;
                    }
                }
                Err(_) => return,
            }
        }
    }
}

/// Reads what the socket has into `tls`: so many bytes of the wire, 0 at its end.
fn receive(tcp: &TcpStream, tls: &mut ServerConnection) -> io::Result<usize> {
    let read = tls.read_tls(&mut Raw(tcp))?;
    if let Err(error) = tls.process_new_packets() {
        // The alert that tells the peer why; a socket that is full now is not waited for.
        drop(tls.write_tls(&mut Raw(tcp)));
        return Err(io::Error::new(ErrorKind::InvalidData, error));
    }
    Ok(read)
}

/// A socket that is read and written without waiting.
struct Raw<'s>(&'s TcpStream);

impl Read for Raw<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buf)
    }
}

impl Write for Raw<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.try_write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
