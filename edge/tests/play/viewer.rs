//! A viewer over HTTP.

use std::time::Duration;

use bytes::Bytes;
use headwater_media::flv::{Reader, WireTag};
use headwater_process::net;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::stream::identity;

/// What nothing here takes longer than.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// What carries a connection.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Socket for S {}

/// One connection and what has come on it.
pub(crate) struct Viewer {
    pub(crate) socket: Box<dyn Socket>,
    /// Bytes that are not read yet.
    pub(crate) input: Vec<u8>,
    chunked: bool,
    /// Left of the chunk that is read.
    chunk_left: usize,
    flv: Reader,
    /// The terminating chunk, or the end of a close-delimited body, has come.
    pub(crate) ended: bool,
}

/// The head of an answer.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) head: String,
}

impl Answered {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (have, value) = line.split_once(':')?;
            have.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

impl Viewer {
    pub(crate) async fn connect(to: &str) -> Viewer {
        Viewer::over(net::connect(to, SOON).await.unwrap())
    }

    pub(crate) fn over(socket: impl Socket + 'static) -> Viewer {
        Viewer {
            socket: Box::new(socket),
            input: Vec::new(),
            chunked: false,
            chunk_left: 0,
            flv: Reader::new(1 << 20),
            ended: false,
        }
    }

    /// Sends `text` as it is.
    pub(crate) async fn send(&mut self, text: &str) {
        self.socket.write_all(text.as_bytes()).await.unwrap();
    }

    /// Asks with GET and reads the answer's head.
    pub(crate) async fn get(to: &str, target: &str) -> (Viewer, Answered) {
        let mut viewer = Viewer::connect(to).await;
        viewer
            .send(&format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n"))
            .await;
        let answered = viewer.answer().await;
        (viewer, answered)
    }

    /// Plays `target`, which must be there.
    pub(crate) async fn play(to: &str, target: &str) -> Viewer {
        let (viewer, answered) = Viewer::get(to, target).await;
        assert_eq!(answered.status, 200, "{}", answered.head);
        viewer
    }

    /// Reads more; false at the end.
    async fn more(&mut self) -> bool {
        let mut piece = [0; 16 << 10];
        let read = tokio::time::timeout(SOON, self.socket.read(&mut piece))
            .await
            .expect("nothing comes");
        let read = read.unwrap_or(0);
        self.input.extend_from_slice(&piece[..read]);
        read > 0
    }

    /// Reads the head of an answer.
    pub(crate) async fn answer(&mut self) -> Answered {
        loop {
            if let Some(end) = self.input.windows(4).position(|four| four == b"\r\n\r\n") {
                let head: Vec<u8> = self.input.drain(..end + 4).collect();
                let head = String::from_utf8(head).unwrap();
                let status = head.split(' ').nth(1).unwrap().parse().unwrap();
                self.chunked = head
                    .to_ascii_lowercase()
                    .contains("transfer-encoding: chunked");
                return Answered { status, head };
            }
            assert!(
                self.more().await,
                "closed before an answer: {:?}",
                String::from_utf8_lossy(&self.input)
            );
        }
    }

    /// Reads a body of the length that the head says.
    pub(crate) async fn text(&mut self, answered: &Answered) -> String {
        let length: usize = answered
            .field("content-length")
            .unwrap_or("0")
            .parse()
            .unwrap();
        while self.input.len() < length {
            assert!(self.more().await, "closed inside a body");
        }
        String::from_utf8(self.input.drain(..length).collect()).unwrap()
    }

    /// Whether the peer has closed, with nothing left to read.
    pub(crate) async fn closed(&mut self) -> bool {
        self.input.is_empty() && !self.more().await
    }

    /// The next tag; `None` after a clean end of the stream.
    pub(crate) async fn tag(&mut self) -> Option<WireTag> {
        loop {
            self.dechunk();
            if let Some(tag) = self.flv.next_tag().expect("FLV") {
                return Some(tag);
            }
            if self.ended {
                self.flv.finish().expect("whole tags");
                return None;
            }
            if !self.more().await {
                assert!(!self.chunked, "closed without the last chunk");
                self.ended = true;
            }
        }
    }

    /// The next `count` frames: session, number and stamp of each.
    pub(crate) async fn frames(&mut self, count: usize) -> Vec<(u64, u64, u32)> {
        let mut frames = Vec::new();
        while frames.len() < count {
            let tag = self.tag().await.expect("a stream that goes on");
            if let Some((epoch, sequence)) = identity(&tag.payload) {
                frames.push((epoch, sequence, tag.wire_ms));
            }
        }
        frames
    }

    fn dechunk(&mut self) {
        if !self.chunked {
            let bytes = Bytes::from(std::mem::take(&mut self.input));
            return self.flv.feed(bytes);
        }
        while !self.ended {
            if self.chunk_left == 0 {
                let Some(end) = self.input.windows(2).position(|two| two == b"\r\n") else {
                    return;
                };
                let size = std::str::from_utf8(&self.input[..end]).unwrap();
                let size = usize::from_str_radix(size, 16)
                    .unwrap_or_else(|_| panic!("chunk size {size:?}"));
                if size == 0 {
                    if self.input.len() < end + 4 {
                        return;
                    }
                    assert_eq!(&self.input[end..end + 4], b"\r\n\r\n");
                    self.input.drain(..end + 4);
                    self.ended = true;
                    return;
                }
                self.input.drain(..end + 2);
                self.chunk_left = size + 2;
            }
            let here = self.chunk_left.min(self.input.len());
            if here == 0 {
                return;
            }
            let piece: Vec<u8> = self.input.drain(..here).collect();
            let data = self.chunk_left.saturating_sub(2).min(here);
            self.flv.feed(Bytes::copy_from_slice(&piece[..data]));
            self.chunk_left -= here;
        }
    }
}

/// Asserts that frames follow one another without a hole and without going back in time.
pub(crate) fn assert_gapless(frames: &[(u64, u64, u32)]) {
    for pair in frames.windows(2) {
        let ((epoch, sequence, ms), (next_epoch, next_sequence, next_ms)) = (pair[0], pair[1]);
        assert!(next_ms >= ms, "time goes back: {pair:?}");
        if epoch == next_epoch {
            assert_eq!(
                next_sequence,
                sequence + 1,
                "a tag is lost or doubled: {pair:?}"
            );
        } else {
            assert!(next_epoch > epoch, "an old session comes back: {pair:?}");
        }
    }
}

/// The next frames of FLV that comes in pieces.
pub(crate) async fn frames<F: AsyncFnMut() -> Bytes>(
    flv: &mut Reader,
    count: usize,
    mut piece: F,
) -> Vec<(u64, u64, u32)> {
    let mut got = Vec::new();
    while got.len() < count {
        match flv.next_tag().unwrap() {
            Some(tag) => {
                if let Some((epoch, sequence)) = identity(&tag.payload) {
                    got.push((epoch, sequence, tag.wire_ms));
                }
            }
            None => flv.feed(piece().await),
        }
    }
    got
}
