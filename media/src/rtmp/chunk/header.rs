//! Chunk headers (section 5.3.1): 1 to 3 bytes that name the chunk stream, 0 to 11 of the message, and 4 of
//! extended time.

use super::EXTENDED;
use crate::rtmp::message::u24;

/// The longest header, in bytes.
pub(super) const MAX_HEADER_BYTES: usize = 3 + 11 + 4;

/// A chunk's basic header (5.3.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Basic {
    /// 0 to 3: how much of the message header follows.
    pub(super) format: u8,
    pub(super) chunk_stream_id: u32,
}

impl Basic {
    /// The basic header and what follows it; `None` if more bytes are needed.
    pub(super) fn parse(bytes: &[u8]) -> Option<(Basic, &[u8])> {
        let (&first, rest) = bytes.split_first()?;
        let format = first >> 6;
        let (chunk_stream_id, rest) = match first & 0x3F {
            0 => {
                let (&low, rest) = rest.split_first()?;
                (u32::from(low).saturating_add(64), rest)
            }
            1 => {
                let (low_high, rest) = rest.split_first_chunk()?;
                (
                    u32::from(u16::from_le_bytes(*low_high)).saturating_add(64),
                    rest,
                )
            }
            id => (u32::from(id), rest),
        };
        Some((
            Basic {
                format,
                chunk_stream_id,
            },
            rest,
        ))
    }
}

/// The message header of formats 0 to 2 (5.3.1.2), extended time resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fields {
    /// Absolute in format 0, else the distance to the message before, in milliseconds.
    pub(super) time: u32,
    /// Whether the time came in the extended field, which the chunks that follow then repeat.
    pub(super) extended: bool,
    /// Formats 0 and 1: length of the message in bytes, and its type.
    pub(super) kind: Option<(u32, u8)>,
    /// Format 0: the message stream.
    pub(super) stream_id: Option<u32>,
}

impl Fields {
    /// The fields of `format`, which is less than 3, and what follows them; `None` if more bytes are needed.
    pub(super) fn parse(format: u8, bytes: &[u8]) -> Option<(Fields, &[u8])> {
        let (time, mut rest) = bytes.split_first_chunk()?;
        let time = u24(*time);
        let mut fields = Fields {
            time,
            extended: time == EXTENDED,
            kind: None,
            stream_id: None,
        };
        if format <= 1 {
            let ([length @ .., type_id], after) = rest.split_first_chunk::<4>()?;
            fields.kind = Some((u24(*length), *type_id));
            rest = after;
        }
        if format == 0 {
            let (stream_id, after) = rest.split_first_chunk()?;
            fields.stream_id = Some(u32::from_le_bytes(*stream_id));
            rest = after;
        }
        if fields.extended {
            let (extended, after) = rest.split_first_chunk()?;
            fields.time = u32::from_be_bytes(*extended);
            rest = after;
        }
        Some((fields, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_headers_of_each_length() {
        for (name, bytes, format, id) in [
            ("one byte", &[0b1100_0011][..], 3, 3),
            ("one byte, highest", &[0b0011_1111], 0, 63),
            ("two bytes, lowest", &[0b0100_0000, 0], 1, 64),
            ("two bytes, highest", &[0, 255], 0, 319),
            ("three bytes", &[1, 0, 1], 0, 320),
            ("three bytes, highest", &[1, 255, 255], 0, 65_599),
        ] {
            let (basic, rest) = Basic::parse(bytes).unwrap();
            assert_eq!(
                (basic.format, basic.chunk_stream_id, rest.len()),
                (format, id, 0),
                "{name}"
            );
            assert_eq!(
                Basic::parse(&bytes[..bytes.len() - 1]),
                None,
                "{name}, one byte less"
            );
        }
    }

    #[test]
    fn message_headers_of_each_format() {
        let bytes = [0xFF, 0xFF, 0xFF, 0, 1, 2, 9, 1, 0, 0, 0, 1, 0, 0, 2];
        let (fields, rest) = Fields::parse(0, &bytes).unwrap();
        assert_eq!(
            fields,
            Fields {
                time: 0x0100_0002,
                extended: true,
                kind: Some((258, 9)),
                stream_id: Some(1)
            }
        );
        assert!(rest.is_empty());
        for cut in 0..bytes.len() {
            assert_eq!(Fields::parse(0, &bytes[..cut]), None, "{cut}");
        }
        let (fields, rest) = Fields::parse(1, &[0, 0, 5, 0, 0, 7, 8, 0]).unwrap();
        assert_eq!(
            fields,
            Fields {
                time: 5,
                extended: false,
                kind: Some((7, 8)),
                stream_id: None
            }
        );
        assert_eq!(rest.len(), 1);
        let (fields, rest) = Fields::parse(2, &[0, 0, 5, 0]).unwrap();
        assert_eq!(
            fields,
            Fields {
                time: 5,
                extended: false,
                kind: None,
                stream_id: None
            }
        );
        assert_eq!(rest.len(), 1);
    }
}
