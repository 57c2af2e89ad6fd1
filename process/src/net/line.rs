//! One connection from outside, as those who serve it see it: plain TCP, TCP in TLS, or a pipe to another protocol.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustls::ServerConnection;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server;

use super::lead::lead;
use super::{PipeEnd, SocketOptions, TcpStream};

/// Encrypted bytes that wait for the socket of one connection, at most: beyond, it takes nothing, as a full socket does.
const SEALED_MAX_BYTES: usize = 32 << 10;
/// What one write in TLS looks at; the rest is for the next one.
const SLICES_MAX: usize = 8;

/// A connection that is read and written without waiting, whatever carries it.
#[derive(Debug)]
pub enum Line {
    /// TCP.
    Plain(TcpStream),
    /// TCP in TLS.
    Tls(Box<Sealed>),
    /// A stream of a protocol that has several on one connection.
    Pipe(PipeEnd),
}

/// A TCP connection whose TLS handshake is over.
#[derive(Debug)]
pub struct Sealed {
    stream: server::TlsStream<TcpStream>,
    /// Bytes that are decrypted may wait to be read, of which the socket tells nobody.
    unread: bool,
    finished: bool,
}

impl From<TcpStream> for Line {
    fn from(stream: TcpStream) -> Line {
        Line::Plain(stream)
    }
}

impl From<server::TlsStream<TcpStream>> for Line {
    fn from(mut stream: server::TlsStream<TcpStream>) -> Line {
        stream.get_mut().1.set_buffer_limit(Some(SEALED_MAX_BYTES));
        Line::Tls(Box::new(Sealed {
            stream,
            unread: true,
            finished: false,
        }))
    }
}

impl Line {
    /// Reads what is there into `buf`; 0 bytes mean the peer's end of stream.
    ///
    /// # Errors
    /// `WouldBlock` if nothing is there yet, else what the connection reports.
    pub fn try_read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Line::Plain(stream) => stream.try_read(buf),
            Line::Tls(sealed) => sealed.try_read(buf),
            Line::Pipe(pipe) => pipe.try_read(),
        }
    }

    /// Writes as much of `buf` as the connection takes now.
    ///
    /// # Errors
    /// `WouldBlock` if it takes nothing, else what the connection reports.
    pub fn try_write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Line::Plain(stream) => stream.try_write(buf),
            Line::Tls(sealed) => sealed.try_write(&[IoSlice::new(buf)]),
            Line::Pipe(pipe) => pipe.try_write(&[IoSlice::new(buf)]),
        }
    }

    /// Writes as much of `bufs`, one after another, as the connection takes now.
    ///
    /// # Errors
    /// `WouldBlock` if it takes nothing, else what the connection reports.
    pub fn try_write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Line::Plain(stream) => stream.try_write_vectored(bufs),
            Line::Tls(sealed) => sealed.try_write(bufs),
            Line::Pipe(pipe) => pipe.try_write(bufs),
        }
    }

    /// Sends on what has been taken and still waits, encrypted, for the socket.
    ///
    /// # Errors
    /// `WouldBlock` if some goes on waiting, else what the connection reports.
    pub fn try_flush(&mut self) -> io::Result<()> {
        match self {
            Line::Plain(_) | Line::Pipe(_) => Ok(()),
            Line::Tls(sealed) => sealed.try_flush(),
        }
    }

    /// Ends the direction to the peer in good order, behind all that has been written.
    ///
    /// # Errors
    /// `WouldBlock` if something still waits for the socket: to be called again then; else what the connection reports.
    pub fn try_finish(&mut self) -> io::Result<()> {
        match self {
            // The kernel sends what it has, then the end, when the socket is dropped.
            Line::Plain(_) => Ok(()),
            Line::Tls(sealed) => sealed.try_finish(),
            Line::Pipe(pipe) => {
                pipe.finish();
                Ok(())
            }
        }
    }

    /// Ready when [`try_read`](Self::try_read) may succeed; keeps the last waker only.
    pub fn poll_read_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Line::Plain(stream) => stream.poll_read_ready(cx),
            Line::Tls(sealed) if sealed.unread => Poll::Ready(Ok(())),
            Line::Tls(sealed) => sealed.stream.get_ref().0.poll_read_ready(cx),
            Line::Pipe(pipe) => pipe.poll_read_ready(cx),
        }
    }

    /// Ready when [`try_write`](Self::try_write) or [`try_flush`](Self::try_flush) may succeed; keeps the last waker only.
    pub fn poll_write_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Line::Plain(stream) => stream.poll_write_ready(cx),
            Line::Tls(sealed) => sealed.stream.get_ref().0.poll_write_ready(cx),
            Line::Pipe(pipe) => pipe.poll_write_ready(cx),
        }
    }

    /// Waits until [`try_read`](Self::try_read) may succeed.
    ///
    /// # Errors
    /// What the connection reports.
    pub async fn readable(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_read_ready(cx)).await
    }

    /// Waits until the peer has closed its end; for ever once it has sent something that nobody reads now.
    pub async fn gone(&mut self) {
        match self {
            Line::Plain(stream) => {
                if let Ok(1..) = stream.peek(&mut [0]).await {
                    std::future::pending().await
                }
            }
            Line::Tls(sealed) => sealed.gone().await,
            Line::Pipe(pipe) => {
                // What fails is gone, too.
                drop(std::future::poll_fn(|cx| pipe.poll_read_ready(cx)).await);
            }
        }
    }

    /// Sets every option that is `Some`, and sends small writes at once. A pipe has no socket of its own.
    ///
    /// # Errors
    /// What the kernel says about the first option that it refuses.
    pub fn tune(&self, options: &SocketOptions) -> io::Result<()> {
        let Some(stream) = self.socket() else {
            return Ok(());
        };
        stream.set_nodelay(true)?;
        stream.tune(options)
    }

    fn socket(&self) -> Option<&TcpStream> {
        match self {
            Line::Plain(stream) => Some(stream),
            Line::Tls(sealed) => Some(sealed.stream.get_ref().0),
            Line::Pipe(_) => None,
        }
    }

    /// Whether the handshake chose HTTP/2.
    pub fn is_http2(&self) -> bool {
        match self {
            Line::Tls(sealed) => sealed.stream.get_ref().1.alpn_protocol() == Some(b"h2"),
            Line::Plain(_) | Line::Pipe(_) => false,
        }
    }

    /// Whether it is encrypted.
    pub fn is_tls(&self) -> bool {
        matches!(self, Line::Tls(_))
    }
}

impl Sealed {
    fn try_read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
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

    fn try_write(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
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

    fn try_flush(&mut self) -> io::Result<()> {
        let (tcp, tls) = self.stream.get_mut();
        while tls.wants_write() {
            tls.write_tls(&mut Raw(tcp))?;
        }
        Ok(())
    }

    fn try_finish(&mut self) -> io::Result<()> {
        if !std::mem::replace(&mut self.finished, true) {
            self.stream.get_mut().1.send_close_notify();
        }
        self.try_flush()
    }

    async fn gone(&mut self) {
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

impl AsyncRead for Line {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Line::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Line::Tls(sealed) => Pin::new(&mut sealed.stream).poll_read(cx, buf),
            Line::Pipe(pipe) => {
                ready!(pipe.poll_read_ready(cx))?;
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Line::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Line::Tls(sealed) => Pin::new(&mut sealed.stream).poll_write_vectored(cx, bufs),
            Line::Pipe(pipe) => {
                ready!(pipe.poll_write_ready(cx))?;
                Poll::Ready(pipe.try_write(bufs))
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Line::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Line::Tls(sealed) => Pin::new(&mut sealed.stream).poll_flush(cx),
            Line::Pipe(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Line::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Line::Tls(sealed) => Pin::new(&mut sealed.stream).poll_shutdown(cx),
            Line::Pipe(pipe) => {
                pipe.finish();
                Poll::Ready(Ok(()))
            }
        }
    }
}
