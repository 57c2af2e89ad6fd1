//! What both ends of a connection do alike below the commands: handshake, chunks, acknowledgement windows
//! (sections 5.4.3 to 5.4.5) and pings.

use bytes::{Bytes, BytesMut};

use super::chunk::{Input, Reader, Writer};
use super::control::Control;
use super::error::RtmpError;
use super::handshake::Handshake;
use super::limits::Limits;
use super::message::{Head, Message};

/// The window that a peer is taken to expect before it names one, in bytes.
const DEFAULT_WINDOW_BYTES: u32 = 2_500_000;

/// No more often than this are acknowledgements sent, whatever window the peer names, in bytes.
const MIN_ACKNOWLEDGEMENT_BYTES: u64 = 4_096;

/// One end of a connection.
#[derive(Debug)]
pub(super) struct Link {
    /// `None` once it is done, so that its buffers are gone.
    handshake: Option<Handshake>,
    reader: Reader,
    writer: Writer,
    output: BytesMut,
    max_output_bytes: usize,
    output_overran: bool,
    received_bytes: u64,
    acknowledged_bytes: u64,
    /// After how many bytes the peer wants to hear from us.
    peer_window_bytes: u32,
    /// What we have told the peer.
    own_window_bytes: Option<u32>,
    sent_bytes: u64,
    peer_acknowledged: Option<u32>,
}

impl Link {
    pub(super) fn server(limits: Limits) -> Link {
        Link::new(limits, Handshake::server())
    }

    pub(super) fn client(limits: Limits) -> Result<Link, RtmpError> {
        let (handshake, hello) = Handshake::client()?;
        let mut link = Link::new(limits, handshake);
        link.output.extend_from_slice(&hello);
        Ok(link)
    }

    fn new(limits: Limits, handshake: Handshake) -> Link {
        Link {
            handshake: Some(handshake),
            reader: Reader::new(limits),
            writer: Writer::default(),
            output: BytesMut::new(),
            max_output_bytes: limits.max_output_bytes,
            output_overran: false,
            received_bytes: 0,
            acknowledged_bytes: 0,
            peer_window_bytes: DEFAULT_WINDOW_BYTES,
            own_window_bytes: None,
            sent_bytes: 0,
            peer_acknowledged: None,
        }
    }

    /// The server's end of a connection whose handshake is done.
    #[cfg(feature = "fuzzing")]
    pub(super) fn server_after_handshake(limits: Limits) -> Link {
        Link {
            handshake: None,
            ..Link::new(limits, Handshake::server())
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.handshake.is_none()
    }

    /// Takes bytes from the front of `input` up to the end of a message that is not of the link's own
    /// concern; `None` when all bytes are taken, and once when the handshake is done.
    pub(super) fn read(&mut self, input: &mut Input<'_>) -> Result<Option<Message>, RtmpError> {
        let before = input.len();
        let result = self.read_uncounted(input);
        let taken = before.saturating_sub(input.len());
        self.received_bytes = self
            .received_bytes
            .saturating_add(u64::try_from(taken).unwrap_or(u64::MAX));
        if self.is_open() {
            self.acknowledge();
        }
        let message = result?;
        self.check_output()?;
        Ok(message)
    }

    fn read_uncounted(&mut self, input: &mut Input<'_>) -> Result<Option<Message>, RtmpError> {
        if let Some(handshake) = &mut self.handshake {
            let answer = input.lend(|bytes| handshake.read(bytes))?;
            self.output.extend_from_slice(&answer);
            if handshake.is_done() {
                self.handshake = None;
            }
            return Ok(None);
        }
        while let Some(message) = self.reader.read(input)? {
            // Types 1 to 6 are below the commands, whether or not they are of use.
            if message.type_id > 6 {
                return Ok(Some(message));
            }
            if let Some(control) = Control::parse(&message)? {
                self.control(control);
            }
            self.check_output()?;
        }
        Ok(None)
    }

    fn control(&mut self, control: Control) {
        match control {
            Control::Acknowledgement { sequence } => self.peer_acknowledged = Some(sequence),
            Control::WindowAcknowledgementSize { bytes } => self.peer_window_bytes = bytes,
            Control::SetPeerBandwidth { bytes, .. } => {
                if bytes > 0 && self.own_window_bytes != Some(bytes) {
                    self.announce_window(bytes);
                }
            }
            Control::PingRequest { timestamp } => {
                self.send_control(Control::PingResponse { timestamp })
            }
            Control::StreamBegin { .. }
            | Control::StreamEof { .. }
            | Control::SetBufferLength { .. }
            | Control::PingResponse { .. } => {}
        }
    }

    /// Acknowledges twice a window, so that no peer stops that waits at the window's end.
    fn acknowledge(&mut self) {
        let due = u64::from(self.peer_window_bytes / 2).max(MIN_ACKNOWLEDGEMENT_BYTES);
        if self.received_bytes.saturating_sub(self.acknowledged_bytes) >= due {
            self.acknowledged_bytes = self.received_bytes;
            let [.., a, b, c, d] = self.received_bytes.to_be_bytes();
            self.send_control(Control::Acknowledgement {
                sequence: u32::from_be_bytes([a, b, c, d]),
            });
        }
    }

    pub(super) fn announce_window(&mut self, bytes: u32) {
        self.own_window_bytes = Some(bytes);
        self.send_control(Control::WindowAcknowledgementSize { bytes });
    }

    pub(super) fn set_chunk_size(&mut self, bytes: u32) {
        self.writer.set_chunk_size(&mut self.output, bytes);
    }

    pub(super) fn send_control(&mut self, control: Control) {
        let (head, payload) = control.encode();
        self.send(head, &payload);
    }

    /// Queues a message. Over the limit it is dropped, and the next read or check is an error.
    pub(super) fn send(&mut self, head: Head, payload: &[u8]) {
        if self.output.len().saturating_add(payload.len()) > self.max_output_bytes {
            self.output_overran = true;
            return;
        }
        self.writer.write(&mut self.output, head, payload);
    }

    /// Queues a message whose sender minds the limit itself. Returns whether it fits a message.
    pub(super) fn send_media(&mut self, head: Head, payload: &[u8]) -> bool {
        self.writer.write(&mut self.output, head, payload)
    }

    /// How many bytes wait for [`take_output`](Link::take_output).
    pub(super) fn output_bytes(&self) -> usize {
        self.output.len()
    }

    pub(super) fn take_output(&mut self) -> Option<Bytes> {
        if self.output.is_empty() {
            return None;
        }
        // The buffer goes away with the bytes: most of the time there is nothing to say.
        let output = std::mem::take(&mut self.output).freeze();
        self.sent_bytes = self
            .sent_bytes
            .saturating_add(u64::try_from(output.len()).unwrap_or(u64::MAX));
        Some(output)
    }

    pub(super) fn check_output(&self) -> Result<(), RtmpError> {
        if self.output_overran {
            Err(RtmpError::OutputFull(self.max_output_bytes))
        } else {
            Ok(())
        }
    }

    /// Bytes that the peer has not acknowledged of those taken by `take_output`; `None` before its first
    /// acknowledgement.
    pub(super) fn unacknowledged_bytes(&self) -> Option<u32> {
        let [.., a, b, c, d] = self.sent_bytes.to_be_bytes();
        Some(u32::from_be_bytes([a, b, c, d]).wrapping_sub(self.peer_acknowledged?))
    }
}
