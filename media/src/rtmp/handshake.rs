//! The handshake (section 5.2), in its simple form and with Flash's digests.
//!
//! rml_rtmp computes the answers. It is given packets of the right length only, and lives no longer than it
//! takes: a connection that waits holds at most one packet.

use rml_rtmp::handshake::{Handshake as Answers, HandshakeProcessResult, PeerType};

/// The length of C1, S1, C2 and S2, in bytes.
const PACKET_BYTES: usize = 1_536;

/// Why a handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The first byte is not 3: encrypted RTMP (6), or another protocol, such as TLS (22) or HTTP.
    #[error("the first byte is {0}, not 3: not plain RTMP")]
    Version(u8),
    /// The peer's packet does not fit the form that it claims.
    #[error("the handshake does not add up")]
    Packet,
}

impl HandshakeError {
    /// A label for logs and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            HandshakeError::Version(_) => "handshake_version",
            HandshakeError::Packet => "handshake_packet",
        }
    }
}

/// One end's handshake.
#[derive(Debug)]
pub struct Handshake {
    step: Step,
}

enum Step {
    /// Server: C0 and C1 so far.
    Hello(Vec<u8>),
    /// Server: so many bytes of C2 are to come. They prove nothing, so they are not looked at.
    Echo(usize),
    /// Client: S0, S1 and S2 so far, and what it takes to answer.
    Answer(Vec<u8>, Box<Answers>),
    Done,
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Step::Hello(bytes) => write!(f, "Hello({} bytes)", bytes.len()),
            Step::Echo(left) => write!(f, "Echo({left} bytes left)"),
            Step::Answer(bytes, _) => write!(f, "Answer({} bytes)", bytes.len()),
            Step::Done => f.write_str("Done"),
        }
    }
}

impl Handshake {
    /// The server's, which waits for C0 and C1.
    pub fn server() -> Handshake {
        Handshake {
            step: Step::Hello(Vec::new()),
        }
    }

    /// The client's, and C0 and C1 to send.
    ///
    /// # Errors
    /// If the packet cannot be made.
    pub fn client() -> Result<(Handshake, Vec<u8>), HandshakeError> {
        let mut answers = Box::new(Answers::new(PeerType::Client));
        let hello = answers
            .generate_outbound_p0_and_p1()
            .map_err(|_| HandshakeError::Packet)?;
        Ok((
            Handshake {
                step: Step::Answer(Vec::new(), answers),
            },
            hello,
        ))
    }

    /// Whether chunks follow.
    pub fn is_done(&self) -> bool {
        matches!(self.step, Step::Done)
    }

    /// Takes the handshake's bytes from the front of `input` and returns what is to be sent, which may be
    /// nothing. Bytes that come after the handshake stay in `input`.
    ///
    /// # Errors
    /// As [`HandshakeError`] says; the connection is of no use then.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Vec<u8>, HandshakeError> {
        match &mut self.step {
            Step::Hello(packet) => {
                if !fill(packet, 1 + PACKET_BYTES, input)? {
                    return Ok(Vec::new());
                }
                let mut answers = Answers::new(PeerType::Server);
                let result = answers
                    .process_bytes(packet)
                    .map_err(|_| HandshakeError::Packet)?;
                let HandshakeProcessResult::InProgress { response_bytes } = result else {
                    return Err(HandshakeError::Packet);
                };
                self.step = Step::Echo(PACKET_BYTES);
                let more = self.read(input)?;
                debug_assert!(more.is_empty(), "the server has nothing to say to C2");
                Ok(response_bytes)
            }
            Step::Echo(left) => {
                let (taken, rest) = input.split_at(input.len().min(*left));
                *input = rest;
                *left = left.saturating_sub(taken.len());
                if *left == 0 {
                    self.step = Step::Done;
                }
                Ok(Vec::new())
            }
            Step::Answer(packets, answers) => {
                if !fill(packets, 1 + 2 * PACKET_BYTES, input)? {
                    return Ok(Vec::new());
                }
                let result = answers
                    .process_bytes(packets)
                    .map_err(|_| HandshakeError::Packet)?;
                let HandshakeProcessResult::Completed { response_bytes, .. } = result else {
                    return Err(HandshakeError::Packet);
                };
                self.step = Step::Done;
                Ok(response_bytes)
            }
            Step::Done => Ok(Vec::new()),
        }
    }
}

/// Moves bytes from `input` until `packet` holds `length`; returns whether it does.
fn fill(packet: &mut Vec<u8>, length: usize, input: &mut &[u8]) -> Result<bool, HandshakeError> {
    let wanted = length.saturating_sub(packet.len());
    let (taken, rest) = input.split_at(input.len().min(wanted));
    if packet.is_empty() && !taken.is_empty() {
        packet.reserve_exact(length);
    }
    packet.extend_from_slice(taken);
    *input = rest;
    match packet.first() {
        Some(version) if *version != 3 => Err(HandshakeError::Version(*version)),
        _ => Ok(packet.len() >= length),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the server says to `bytes`, given in pieces of `step`, and what it leaves over.
    fn serve(bytes: &[u8], step: usize) -> Result<(Vec<u8>, Vec<u8>, bool), HandshakeError> {
        let mut server = Handshake::server();
        let (mut said, mut left) = (Vec::new(), Vec::new());
        for mut piece in bytes.chunks(step) {
            said.extend(server.read(&mut piece)?);
            left.extend_from_slice(piece);
        }
        Ok((said, left, server.is_done()))
    }

    #[test]
    fn the_simple_handshake_gets_its_packet_back() {
        let mut hello = vec![0; 1 + PACKET_BYTES];
        hello[0] = 3;
        hello[100] = 42;
        let bytes = [&hello[..], &[7; PACKET_BYTES], b"chunks"].concat();
        for step in [1, 7, 1_537, bytes.len()] {
            let (said, left, done) = serve(&bytes, step).unwrap();
            assert_eq!(said.len(), 1 + 2 * PACKET_BYTES);
            assert_eq!(said[1 + PACKET_BYTES..], hello[1..], "S2 is C1");
            assert_eq!((left, done), (b"chunks".to_vec(), true), "step {step}");
        }
    }

    #[test]
    fn the_digest_handshake_completes_with_the_client() {
        let (mut client, hello) = Handshake::client().unwrap();
        let mut server = Handshake::server();
        let answer = server.read(&mut &hello[..]).unwrap();
        assert_ne!(
            answer[1 + PACKET_BYTES..],
            hello[1..],
            "S2 is signed, not C1"
        );
        let mut input = &[&answer[..], b"chunks"].concat()[..];
        let echo = client.read(&mut input).unwrap();
        assert_eq!(
            (echo.len(), input, client.is_done()),
            (PACKET_BYTES, &b"chunks"[..], true)
        );
        assert!(server.read(&mut &echo[..]).unwrap().is_empty());
        assert!(server.is_done());
    }

    #[test]
    fn a_handshake_that_stops_waits_and_holds_one_packet() {
        let (_, hello) = Handshake::client().unwrap();
        let bytes = [&hello[..], &[0; PACKET_BYTES]].concat();
        for cut in 0..bytes.len() {
            let (said, left, done) = serve(&bytes[..cut], 4_096).unwrap();
            assert_eq!(
                (said.is_empty(), left.len(), done),
                (cut <= PACKET_BYTES, 0, false),
                "{cut}"
            );
        }
    }

    #[test]
    fn other_protocols_are_told_by_their_first_byte() {
        for (name, bytes, version) in [("RTMPE", 6, 6), ("TLS", 22, 22), ("HTTP", b'G', 71)] {
            assert_eq!(
                serve(&[bytes], 1),
                Err(HandshakeError::Version(version)),
                "{name}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_error_or_progress(mut bytes in prop::collection::vec(any::<u8>(), 1..4_000)) {
            let _ = serve(&bytes, 1_000);
            bytes[0] = 3;
            prop_assert!(serve(&bytes, 1_000).is_ok());
            let (mut client, _) = Handshake::client().unwrap();
            let _ = client.read(&mut &bytes[..]);
        }
    }
}
