//! The parts that Enhanced RTMP's audio and video headers share: `ModEx`, multitrack and FourCC.

use super::fields::Fields;

/// How many tracks one message carries (Enhanced RTMP v2, `AvMultitrackType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Multitrack {
    /// One track, which is named.
    OneTrack,
    /// Several tracks of one codec.
    ManyTracks,
    /// Several tracks, each with its codec.
    ManyTracksManyCodecs,
}

/// The same value in `AudioPacketType` and `VideoPacketType`.
const MOD_EX: u8 = 7;
/// Each kind of modifier may come once and only one kind is defined; more of them than this is an attack on our time.
const MOD_EX_MAX: usize = 16;

/// The codec and the track that a message is about; of several tracks, the first.
pub(super) struct Track {
    /// What the packet is: `SequenceStart`, `CodedFrames`, … of the audio or the video table.
    pub(super) packet_type: u8,
    pub(super) four_cc: [u8; 4],
    pub(super) id: u8,
    pub(super) multitrack: Option<Multitrack>,
}

/// Skips the modifiers before a packet, and returns the type of the packet that they modify.
pub(super) fn skip_mod_ex(fields: &mut Fields<'_>, packet_type: u8) -> Option<u8> {
    let mut packet_type = packet_type;
    for _ in 0..MOD_EX_MAX {
        if packet_type != MOD_EX {
            return Some(packet_type);
        }
        let bytes = match fields.u8()? {
            // 255 says that a longer field follows.
            0xFF => usize::from(fields.u16()?).saturating_add(1),
            size => usize::from(size).saturating_add(1),
        };
        fields.skip(bytes)?;
        (_, packet_type) = fields.nibbles()?;
    }
    None
}

/// Reads from behind the packet type to the first track's body; `multitrack_type` is what stands for `Multitrack`.
pub(super) fn first_track(
    fields: &mut Fields<'_>,
    packet_type: u8,
    multitrack_type: u8,
) -> Option<Track> {
    if packet_type != multitrack_type {
        let four_cc = fields.array()?;
        return Some(Track {
            packet_type,
            four_cc,
            id: 0,
            multitrack: None,
        });
    }
    let (kind, packet_type) = fields.nibbles()?;
    if packet_type == multitrack_type {
        return None;
    }
    let kind = match kind {
        0 => Multitrack::OneTrack,
        1 => Multitrack::ManyTracks,
        2 => Multitrack::ManyTracksManyCodecs,
        _ => return None,
    };
    // The FourCC comes once for all tracks or before each track: the same place for the first.
    let four_cc = fields.array()?;
    let id = fields.u8()?;
    if kind != Multitrack::OneTrack {
        let _size_of_track: [u8; 3] = fields.array()?;
    }
    Some(Track {
        packet_type,
        four_cc,
        id,
        multitrack: Some(kind),
    })
}
