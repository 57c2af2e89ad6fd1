//! Control messages (sections 5.4 and 7.1.7), as payloads.

use super::message::{Head, Message, MessageError, message_type};

/// The chunk stream of control messages.
pub(super) const CHUNK_STREAM_ID: u32 = 2;

/// User control events (7.1.7).
mod event {
    pub(super) const STREAM_BEGIN: u16 = 0;
    pub(super) const STREAM_EOF: u16 = 1;
    pub(super) const SET_BUFFER_LENGTH: u16 = 3;
    pub(super) const PING_REQUEST: u16 = 6;
    pub(super) const PING_RESPONSE: u16 = 7;
}

/// A control message that both ends of a connection act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Control {
    Acknowledgement { sequence: u32 },
    WindowAcknowledgementSize { bytes: u32 },
    SetPeerBandwidth { bytes: u32, limit: u8 },
    StreamBegin { stream_id: u32 },
    StreamEof { stream_id: u32 },
    SetBufferLength { stream_id: u32, milliseconds: u32 },
    PingRequest { timestamp: u32 },
    PingResponse { timestamp: u32 },
}

impl Control {
    /// What a message of types 3 to 6 says; `None` for other types and for user control events that
    /// Headwater has no use for.
    pub(super) fn parse(message: &Message) -> Result<Option<Control>, MessageError> {
        let cut = MessageError::ControlCut(message.type_id);
        let first = |bytes: &[u8]| {
            bytes
                .first_chunk()
                .map(|word| u32::from_be_bytes(*word))
                .ok_or(cut)
        };
        let payload = &message.payload[..];
        Ok(Some(match message.type_id {
            message_type::ACKNOWLEDGEMENT => Control::Acknowledgement {
                sequence: first(payload)?,
            },
            message_type::WINDOW_ACKNOWLEDGEMENT_SIZE => Control::WindowAcknowledgementSize {
                bytes: first(payload)?,
            },
            message_type::SET_PEER_BANDWIDTH => {
                // Encoders that leave the limit type out mean a hard limit.
                let limit = payload.get(4).copied().unwrap_or(0);
                Control::SetPeerBandwidth {
                    bytes: first(payload)?,
                    limit,
                }
            }
            message_type::USER_CONTROL => {
                let (event, rest) = payload.split_first_chunk().ok_or(cut)?;
                match u16::from_be_bytes(*event) {
                    event::STREAM_BEGIN => Control::StreamBegin {
                        stream_id: first(rest)?,
                    },
                    event::STREAM_EOF => Control::StreamEof {
                        stream_id: first(rest)?,
                    },
                    event::SET_BUFFER_LENGTH => {
                        let milliseconds = rest.get(4..).map_or(Err(cut), first)?;
                        Control::SetBufferLength {
                            stream_id: first(rest)?,
                            milliseconds,
                        }
                    }
                    event::PING_REQUEST => Control::PingRequest {
                        timestamp: first(rest)?,
                    },
                    event::PING_RESPONSE => Control::PingResponse {
                        timestamp: first(rest)?,
                    },
                    _ => return Ok(None),
                }
            }
            _ => return Ok(None),
        }))
    }

    /// The message's head and payload.
    pub(super) fn encode(self) -> (Head, Vec<u8>) {
        let user = |event: u16, words: &[u32]| {
            let words = words.iter().flat_map(|word| word.to_be_bytes());
            (
                message_type::USER_CONTROL,
                event.to_be_bytes().into_iter().chain(words).collect(),
            )
        };
        let (type_id, payload): (u8, Vec<u8>) = match self {
            Control::Acknowledgement { sequence } => (
                message_type::ACKNOWLEDGEMENT,
                sequence.to_be_bytes().to_vec(),
            ),
            Control::WindowAcknowledgementSize { bytes } => (
                message_type::WINDOW_ACKNOWLEDGEMENT_SIZE,
                bytes.to_be_bytes().to_vec(),
            ),
            Control::SetPeerBandwidth { bytes, limit } => {
                let [a, b, c, d] = bytes.to_be_bytes();
                (message_type::SET_PEER_BANDWIDTH, vec![a, b, c, d, limit])
            }
            Control::StreamBegin { stream_id } => user(event::STREAM_BEGIN, &[stream_id]),
            Control::StreamEof { stream_id } => user(event::STREAM_EOF, &[stream_id]),
            Control::SetBufferLength {
                stream_id,
                milliseconds,
            } => user(event::SET_BUFFER_LENGTH, &[stream_id, milliseconds]),
            Control::PingRequest { timestamp } => user(event::PING_REQUEST, &[timestamp]),
            Control::PingResponse { timestamp } => user(event::PING_RESPONSE, &[timestamp]),
        };
        (
            Head {
                chunk_stream_id: CHUNK_STREAM_ID,
                timestamp: 0,
                type_id,
                stream_id: 0,
            },
            payload,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_control_message_reads_as_it_was_written_and_is_an_error_when_cut() {
        for control in [
            Control::Acknowledgement { sequence: 7 },
            Control::WindowAcknowledgementSize { bytes: 2_500_000 },
            Control::SetPeerBandwidth {
                bytes: 2_500_000,
                limit: 2,
            },
            Control::StreamBegin { stream_id: 1 },
            Control::StreamEof { stream_id: 1 },
            Control::SetBufferLength {
                stream_id: 1,
                milliseconds: 3_000,
            },
            Control::PingRequest { timestamp: 5 },
            Control::PingResponse { timestamp: 5 },
        ] {
            let (head, payload) = control.encode();
            let parse = |payload: &[u8]| {
                let Head {
                    chunk_stream_id,
                    timestamp,
                    type_id,
                    stream_id,
                } = head;
                let payload = payload.to_vec().into();
                Control::parse(&Message {
                    chunk_stream_id,
                    timestamp,
                    type_id,
                    stream_id,
                    payload,
                })
            };
            assert_eq!(parse(&payload), Ok(Some(control)));
            for cut in 0..payload.len() {
                let limit_left_out = head.type_id == message_type::SET_PEER_BANDWIDTH && cut == 4;
                assert_eq!(
                    parse(&payload[..cut]).is_ok(),
                    limit_left_out,
                    "{control:?} at {cut}"
                );
            }
        }
    }
}
