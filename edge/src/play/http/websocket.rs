//! WebSocket (RFC 6455): the handshake's answer, and what a viewer sends while it plays.

use bytes::{BufMut, Bytes, BytesMut};
use headwater_delivery::{EndReason, Inbound, Reaction};
use tungstenite::handshake::derive_accept_key;

use super::cors::Cors;
use super::head::Head;
use super::upgrade::Asked;

/// Why a handshake fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HandshakeError {
    #[error("the only version of WebSocket spoken here is 13")]
    Version,
    #[error("a WebSocket handshake needs a Sec-WebSocket-Key of 24 characters")]
    Key,
    #[error("pages of this origin may not play: `edge.cors_origins` says which may")]
    Origin,
}

impl HandshakeError {
    pub(crate) fn reason(self) -> &'static str {
        match self {
            HandshakeError::Version => "websocket_version",
            HandshakeError::Key => "websocket_key",
            HandshakeError::Origin => "websocket_origin",
        }
    }

    pub(crate) fn status(self) -> u16 {
        match self {
            HandshakeError::Version => 426,
            HandshakeError::Key => 400,
            HandshakeError::Origin => 403,
        }
    }
}

impl Asked {
    /// Checks what can be checked before the stream is looked for.
    pub(super) fn check(&self, head: &Head, cors: &Cors) -> Result<(), HandshakeError> {
        if !self.version {
            return Err(HandshakeError::Version);
        }
        if self.key.as_ref().is_none_or(|key| key.len() != 24) {
            return Err(HandshakeError::Key);
        }
        // Browsers ask nobody before they open a WebSocket: the server has to look at the page's origin.
        match &head.origin {
            Some(origin) if !cors.allows(origin) => Err(HandshakeError::Origin),
            _ => Ok(()),
        }
    }

    /// The answer after which frames follow.
    pub(super) fn accepted(&self) -> Bytes {
        let key = self.key.as_deref().unwrap_or_default();
        let accept = derive_accept_key(key.as_bytes());
        Bytes::from(format!(
            "HTTP/1.1 101 Switching Protocols\r\nServer: headwater\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        ))
    }
}

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const CONTROL_MAX_BYTES: u64 = 125;

/// Reads a viewer's frames: pings are answered, a close is answered and ends the play, messages are thrown away.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    /// The head of a frame, as far as it has come.
    head: Vec<u8>,
    /// The frame whose payload is being read.
    frame: Option<Frame>,
}

#[derive(Debug)]
struct Frame {
    opcode: u8,
    mask: [u8; 4],
    left: u64,
    /// Of control frames, unmasked.
    payload: BytesMut,
}

/// What a viewer may not send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Broken;

impl Inbound for Frames {
    fn received(&mut self, mut bytes: &[u8]) -> Reaction {
        let mut reply = BytesMut::new();
        while !bytes.is_empty() || self.whole() {
            match self.step(&mut bytes, &mut reply) {
                Ok(false) => {}
                Ok(true) => return Reaction::Close(reply.freeze()),
                Err(Broken) => return Reaction::End(EndReason::Refused),
            }
        }
        if reply.is_empty() {
            Reaction::Continue
        } else {
            Reaction::Reply(reply.freeze())
        }
    }
}

impl Frames {
    /// Whether a frame is complete that has not been acted upon.
    fn whole(&self) -> bool {
        self.frame.as_ref().is_some_and(|frame| frame.left == 0)
    }

    /// Takes some of `bytes`; true after a close.
    fn step(&mut self, bytes: &mut &[u8], reply: &mut BytesMut) -> Result<bool, Broken> {
        let Some(frame) = &mut self.frame else {
            if let Some((first, rest)) = bytes.split_first() {
                self.head.push(*first);
                *bytes = rest;
                self.frame = Frame::read(&self.head)?;
                if self.frame.is_some() {
                    self.head.clear();
                }
            }
            return Ok(false);
        };
        let here = usize::try_from(frame.left)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let (payload, rest) = bytes.split_at_checked(here).unwrap_or((bytes, &[]));
        *bytes = rest;
        frame.left = frame.left.saturating_sub(here as u64);
        if frame.opcode >= CLOSE {
            for byte in payload {
                let mask = frame.mask.get(frame.payload.len() % 4).copied();
                frame.payload.put_u8(byte ^ mask.unwrap_or(0));
            }
        }
        if frame.left > 0 {
            return Ok(false);
        }
        let (opcode, payload) = (frame.opcode, frame.payload.split());
        self.frame = None;
        match opcode {
            CLOSE => control(CLOSE, &payload, reply),
            PING => control(PONG, &payload, reply),
            _ => {}
        }
        Ok(opcode == CLOSE)
    }
}

impl Frame {
    /// The frame that `head` begins, once the head is whole.
    fn read(head: &[u8]) -> Result<Option<Frame>, Broken> {
        let [first, second, rest @ ..] = head else {
            return Ok(None);
        };
        let (opcode, length) = (first & 0x0F, second & !MASKED);
        // Viewers mask (5.1), and no extension has been agreed on.
        if first & RESERVED != 0 || second & MASKED == 0 {
            return Err(Broken);
        }
        if !matches!(opcode, 0..=2 | CLOSE..=PONG) {
            return Err(Broken);
        }
        let wide = match length {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let Some((wide_length, mask)) = rest.split_at_checked(wide) else {
            return Ok(None);
        };
        let Ok(mask) = <[u8; 4]>::try_from(mask) else {
            return Ok(None);
        };
        let left = if wide == 0 {
            u64::from(length)
        } else {
            wide_length
                .iter()
                .fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
        };
        if opcode >= CLOSE && (left > CONTROL_MAX_BYTES || first & FIN == 0) {
            return Err(Broken);
        }
        Ok(Some(Frame {
            opcode,
            mask,
            left,
            payload: BytesMut::new(),
        }))
    }
}

fn control(opcode: u8, payload: &[u8], out: &mut BytesMut) {
    out.put_u8(FIN | opcode);
    out.put_u8(u8::try_from(payload.len()).unwrap_or(0));
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const END: Reaction = Reaction::End(EndReason::Refused);

    /// A frame as a browser sends it.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first];
        match payload.len() {
            length @ 0..126 => bytes.push(MASKED | u8::try_from(length).unwrap()),
            length => {
                bytes.push(MASKED | 126);
                bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
        }
        let mask = [1, 2, 3, 4];
        bytes.extend(mask);
        bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
        bytes
    }

    #[test]
    fn pings_and_closes_are_answered_and_messages_are_not() {
        for (name, bytes, reaction) in [
            ("text", frame(0x81, b"hello"), Reaction::Continue),
            ("long binary", frame(0x82, &[7; 4_000]), Reaction::Continue),
            ("pong", frame(0x8A, b""), Reaction::Continue),
            (
                "ping",
                frame(0x89, b"abcde"),
                Reaction::Reply(Bytes::from_static(b"\x8A\x05abcde")),
            ),
            (
                "close",
                frame(0x88, &[3, 0xE8]),
                Reaction::Close(Bytes::from_static(b"\x88\x02\x03\xE8")),
            ),
            (
                "empty ping",
                frame(0x89, b""),
                Reaction::Reply(Bytes::from_static(b"\x8A\0")),
            ),
            ("reserved bits", frame(0xC1, b"x"), END),
            ("unknown opcode", frame(0x83, b"x"), END),
            ("long ping", frame(0x89, &[0; 126]), END),
            ("ping in parts", frame(0x09, b""), END),
            ("not masked", vec![0x81, 1, b'x'], END),
        ] {
            assert_eq!(Frames::default().received(&bytes), reaction, "{name}");
        }
        let both = [frame(0x89, b"1"), frame(0x81, b"x"), frame(0x89, b"2")].concat();
        assert_eq!(
            Frames::default().received(&both),
            Reaction::Reply(Bytes::from_static(b"\x8A\x011\x8A\x012"))
        );
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_answers(cut in 0_usize..60) {
            let bytes = [frame(0x82, &[7; 30]), frame(0x89, b"abcde"), frame(0x81, b"x")].concat();
            let (front, back) = bytes.split_at(cut.min(bytes.len()));
            let mut frames = Frames::default();
            let mut replies = Vec::new();
            for part in [front, back] {
                match frames.received(part) {
                    Reaction::Reply(reply) => replies.extend_from_slice(&reply),
                    Reaction::Continue => {}
                    Reaction::Close(_) | Reaction::End(_) => panic!("ended"),
                }
            }
            prop_assert_eq!(replies, b"\x8A\x05abcde");
        }

        #[test]
        fn any_bytes_are_frames_or_the_end(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut frames = Frames::default();
            for part in bytes.chunks(7) {
                if matches!(frames.received(part), Reaction::End(_) | Reaction::Close(_)) {
                    break;
                }
                prop_assert!(frames.head.len() <= 14);
            }
        }
    }
}
