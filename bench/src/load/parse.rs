//! An HTTP-FLV answer, read as it comes.

use bytes::{Bytes, BytesMut};
use headwater_media::flv::{Reader, WireTag};

/// An answer's head may be this long.
const HEAD_MAX_BYTES: usize = 16 << 10;
/// A line with a chunk's size may be this long.
const CHUNK_LINE_MAX_BYTES: usize = 256;

/// Reads one answer.
#[derive(Debug)]
pub(super) struct Parser {
    stage: Stage,
    held: BytesMut,
    flv: Reader,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Head,
    /// A body until the connection ends.
    Plain,
    ChunkLine,
    Chunk(usize),
    /// The line end behind a chunk.
    ChunkEnd(usize),
    Over,
}

impl Parser {
    pub(super) fn new() -> Parser {
        Parser {
            stage: Stage::Head,
            held: BytesMut::new(),
            flv: Reader::new(16 << 20),
        }
    }

    /// Takes bytes and hands every whole tag to `each`.
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(&WireTag),
    ) -> Result<(), String> {
        self.held.extend_from_slice(bytes);
        while self.step()? {}
        while let Some(tag) = self.flv.next_tag().map_err(|e| e.to_string())? {
            each(&tag);
        }
        Ok(())
    }

    /// Moves what is there one stage on; returns whether there may be more to do.
    fn step(&mut self) -> Result<bool, String> {
        match self.stage {
            Stage::Head => {
                let Some(end) = find(&self.held, b"\r\n\r\n") else {
                    return if self.held.len() > HEAD_MAX_BYTES {
                        Err("the answer's head does not end".to_owned())
                    } else {
                        Ok(false)
                    };
                };
                let head = self.held.split_to(end + 4);
                self.stage = read_head(&String::from_utf8_lossy(&head))?;
            }
            Stage::Plain => {
                if self.held.is_empty() {
                    return Ok(false);
                }
                self.flv.feed(self.held.split().freeze());
            }
            Stage::ChunkLine => {
                let Some(end) = find(&self.held, b"\r\n") else {
                    return if self.held.len() > CHUNK_LINE_MAX_BYTES {
                        Err("a chunk's size does not end".to_owned())
                    } else {
                        Ok(false)
                    };
                };
                let line = self.held.split_to(end + 2);
                let line = String::from_utf8_lossy(&line);
                let digits = line.split([';', '\r']).next().unwrap_or("").trim();
                let size = usize::from_str_radix(digits, 16)
                    .map_err(|_| format!("`{digits}` is no chunk size"))?;
                self.stage = if size == 0 {
                    Stage::Over
                } else {
                    Stage::Chunk(size)
                };
            }
            Stage::Chunk(left) => {
                let now = left.min(self.held.len());
                if now == 0 {
                    return Ok(false);
                }
                let data: Bytes = self.held.split_to(now).freeze();
                self.flv.feed(data);
                self.stage = if now == left {
                    Stage::ChunkEnd(2)
                } else {
                    Stage::Chunk(left - now)
                };
            }
            Stage::ChunkEnd(left) => {
                let now = left.min(self.held.len());
                if now == 0 {
                    return Ok(false);
                }
                drop(self.held.split_to(now));
                self.stage = if now == left {
                    Stage::ChunkLine
                } else {
                    Stage::ChunkEnd(left - now)
                };
            }
            Stage::Over => return Ok(false),
        }
        Ok(true)
    }
}

fn read_head(head: &str) -> Result<Stage, String> {
    let first = head.lines().next().unwrap_or("");
    if first.split(' ').nth(1) != Some("200") {
        return Err(first.to_owned());
    }
    let lower = head.to_ascii_lowercase();
    let chunked = lower
        .lines()
        .any(|line| line.starts_with("transfer-encoding:") && line.contains("chunked"));
    Ok(if chunked {
        Stage::ChunkLine
    } else {
        Stage::Plain
    })
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use headwater_media::flv;
    use headwater_media::{Dts, Tag, TagKind};

    use super::*;

    #[test]
    fn tags_come_out_however_the_answer_is_framed_and_cut() {
        let mut body = flv::header(true, true).to_vec();
        for dts in 0..3 {
            let tag = Tag {
                kind: TagKind::Audio,
                dts: Dts(dts),
                payload: Bytes::from_static(b"abc"),
            };
            body.extend_from_slice(&flv::encode_tag(&tag).unwrap());
        }
        let mut plain = b"HTTP/1.0 200 OK\r\n\r\n".to_vec();
        plain.extend_from_slice(&body);
        let mut chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for part in body.chunks(7) {
            chunked.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
            chunked.extend_from_slice(part);
            chunked.extend_from_slice(b"\r\n");
        }
        chunked.extend_from_slice(b"0\r\n\r\n");
        for answer in [plain, chunked] {
            for size in [1, 5, 1_000] {
                let mut parser = Parser::new();
                let mut stamps = Vec::new();
                for piece in answer.chunks(size) {
                    parser.feed(piece, |tag| stamps.push(tag.wire_ms)).unwrap();
                }
                assert_eq!(stamps, [0, 1, 2]);
            }
        }
    }

    #[test]
    fn a_refusal_is_named() {
        let refused = Parser::new().feed(b"HTTP/1.1 404 Not Found\r\n\r\n", |_| {});
        assert_eq!(refused.unwrap_err(), "HTTP/1.1 404 Not Found");
    }
}
