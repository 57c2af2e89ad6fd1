//! One TCP connection.

use std::io::{self, IoSlice, Read as _};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::{SocketOptions, canonical};

/// A TCP connection.
#[derive(Debug)]
pub struct TcpStream(tokio::net::TcpStream);

impl TcpStream {
    pub(super) fn new(stream: tokio::net::TcpStream) -> Self {
        TcpStream(stream)
    }

    /// Reads what is there into `buf`; 0 bytes mean the peer's end of stream.
    ///
    /// # Errors
    /// `WouldBlock` if nothing is there yet, else what the socket reports.
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buf)
    }

    /// Writes as much of `buf` as the socket takes now.
    ///
    /// # Errors
    /// `WouldBlock` if it takes nothing, else what the socket reports.
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.0.try_write(buf)
    }

    /// Writes as much of `bufs`, one after another, as the socket takes now.
    ///
    /// # Errors
    /// `WouldBlock` if it takes nothing, else what the socket reports.
    pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(bufs)
    }

    /// Ready when [`try_read`](Self::try_read) may succeed; keeps the last waker only.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_read_ready(cx)
    }

    /// Ready when [`try_write`](Self::try_write) may succeed; keeps the last waker only.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_write_ready(cx)
    }

    /// Waits until [`try_read`](Self::try_read) may succeed.
    ///
    /// # Errors
    /// What the socket reports.
    pub async fn readable(&self) -> io::Result<()> {
        self.0.readable().await
    }

    /// Waits until [`try_write`](Self::try_write) may succeed.
    ///
    /// # Errors
    /// What the socket reports.
    pub async fn writable(&self) -> io::Result<()> {
        self.0.writable().await
    }

    /// Copies bytes that wait to be read into `buf` and leaves them there; waits for the first one.
    ///
    /// # Errors
    /// What the socket reports.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.peek(buf).await
    }

    /// The other end, an IPv4-mapped address as IPv4.
    ///
    /// # Errors
    /// `NotConnected` after the connection ended.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.peer_addr().map(canonical)
    }

    /// This end, an IPv4-mapped address as IPv4.
    ///
    /// # Errors
    /// What the socket reports.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr().map(canonical)
    }

    /// `TCP_NODELAY`: sends small writes at once.
    ///
    /// # Errors
    /// What the socket reports.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.0.set_nodelay(nodelay)
    }

    /// Sets every option that is `Some`.
    ///
    /// # Errors
    /// What the kernel says about the first option that it refuses, such as an unknown congestion control.
    pub fn tune(&self, options: &SocketOptions) -> io::Result<()> {
        options.apply(&SockRef::from(&self.0))
    }

    /// Makes the close of this connection a reset: unsent bytes are thrown away and the peer hears at once.
    ///
    /// # Errors
    /// What the socket reports.
    pub fn reset_on_close(&self) -> io::Result<()> {
        SockRef::from(&self.0).set_linger(Some(std::time::Duration::ZERO))
    }

    /// Takes it out of the runtime's care: nothing that comes wakes anybody.
    ///
    /// # Errors
    /// What the runtime reports; the connection is closed then.
    pub fn unwatch(self) -> io::Result<Unwatched> {
        self.0.into_std().map(Unwatched)
    }

    /// Two halves that two tasks can own; dropping the writing half ends the direction to the peer.
    pub fn into_split(self) -> (ReadHalf, WriteHalf) {
        let (read, write) = self.0.into_split();
        (ReadHalf(read), WriteHalf(write))
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// A connection that the runtime does not watch.
#[derive(Debug)]
pub struct Unwatched(std::net::TcpStream);

impl Unwatched {
    /// Reads what is there into `buf`; 0 bytes mean the peer's end of stream.
    ///
    /// # Errors
    /// `WouldBlock` if nothing is there yet, else what the socket reports.
    pub fn try_read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }

    /// Gives it back to the runtime.
    ///
    /// # Errors
    /// What the runtime reports; the connection is closed then.
    pub fn watch(self) -> io::Result<TcpStream> {
        tokio::net::TcpStream::from_std(self.0).map(TcpStream)
    }
}

/// The reading half of a [`TcpStream`].
#[derive(Debug)]
pub struct ReadHalf(OwnedReadHalf);

impl AsyncRead for ReadHalf {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

/// The writing half of a [`TcpStream`].
#[derive(Debug)]
pub struct WriteHalf(OwnedWriteHalf);

impl WriteHalf {
    /// As [`TcpStream::try_write_vectored`].
    ///
    /// # Errors
    /// `WouldBlock` if the socket takes nothing now, else what it reports.
    pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(bufs)
    }

    /// Waits until [`try_write_vectored`](Self::try_write_vectored) may succeed.
    ///
    /// # Errors
    /// What the socket reports.
    pub async fn writable(&self) -> io::Result<()> {
        self.0.writable().await
    }
}

impl AsyncWrite for WriteHalf {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::super::connect::connect;
    use super::super::listener::listen;
    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = listen("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap().to_string();
        let (near, far) = tokio::join!(connect(&to, Duration::from_secs(5)), listener.accept());
        (near.unwrap(), far.unwrap().0)
    }

    #[tokio::test]
    async fn bytes_cross_whole_and_split_streams() {
        let (near, far) = pair().await;
        near.set_nodelay(true).unwrap();
        let sent = near
            .try_write_vectored(&[IoSlice::new(b"head"), IoSlice::new(b"water")])
            .unwrap();
        assert_eq!(sent, 9);
        let (mut far_read, mut far_write) = far.into_split();
        let mut got = [0; 9];
        far_read.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"headwater");

        far_write.write_all(b"back").await.unwrap();
        drop(far_write);
        near.readable().await.unwrap();
        let mut near = near;
        let mut all = Vec::new();
        near.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, b"back");
    }

    #[tokio::test]
    async fn options_reach_the_kernel() {
        let (near, _far) = pair().await;
        near.tune(&SocketOptions {
            send_buffer_bytes: Some(65_536),
            notsent_lowat_bytes: Some(16_384),
            user_timeout: Some(Duration::from_secs(7)),
            congestion: Some("reno".to_owned()),
        })
        .unwrap();
        let socket = SockRef::from(&near.0);
        assert_eq!(socket.send_buffer_size().unwrap(), 131_072);
        assert_eq!(socket.tcp_notsent_lowat().unwrap(), 16_384);
        assert_eq!(
            socket.tcp_user_timeout().unwrap(),
            Some(Duration::from_secs(7))
        );
        assert!(socket.tcp_congestion().unwrap().starts_with(b"reno"));

        let unknown = SocketOptions {
            congestion: Some("no-such-control".to_owned()),
            ..SocketOptions::default()
        };
        assert!(near.tune(&unknown).is_err());
    }

    #[tokio::test]
    async fn a_reset_is_heard_by_the_peer() {
        let (near, mut far) = pair().await;
        near.reset_on_close().unwrap();
        drop(near);
        let heard = far.read(&mut [0; 1]).await.unwrap_err();
        assert_eq!(heard.kind(), io::ErrorKind::ConnectionReset);
    }
}
