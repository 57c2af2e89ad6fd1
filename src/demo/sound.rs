//! AAC-LC silence (ISO/IEC 14496-3).

use super::bits::Bits;

/// Samples a second.
pub(super) const RATE_HZ: u32 = 48_000;
/// Samples of a frame.
pub(super) const FRAME_SAMPLES: u32 = 1_024;

/// `AudioSpecificConfig` (1.6.2.1): AAC-LC, 48 kHz, one channel.
pub(super) fn configuration() -> Vec<u8> {
    let mut bits = Bits::default();
    bits.put(2, 5); // audioObjectType: AAC-LC
    bits.put(3, 4); // samplingFrequencyIndex: 48 kHz
    bits.put(1, 4); // channelConfiguration: one in front
    bits.put(0, 3); // frameLengthFlag: 1024, dependsOnCoreCoder, extensionFlag
    bits.into_bytes()
}

/// A `raw_data_block` (4.4.2.1) in which no band has a line.
pub(super) fn silence() -> Vec<u8> {
    let mut bits = Bits::default();
    bits.put(0, 3); // ID_SCE
    bits.put(0, 4); // element_instance_tag
    bits.put(0, 8); // global_gain
    bits.put(0, 1); // ics_reserved_bit
    bits.put(0, 2); // window_sequence: ONLY_LONG_SEQUENCE
    bits.put(0, 1); // window_shape
    bits.put(0, 6); // max_sfb
    bits.put(0, 1); // predictor_data_present
    bits.put(0, 3); // pulse_data_present, tns_data_present, gain_control_data_present
    bits.put(7, 3); // ID_END
    bits.into_bytes()
}
