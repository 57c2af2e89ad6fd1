//! H.264 without a compressor: every macroblock that has changed is sent as it is (`I_PCM`), the others are skipped.
//!
//! Baseline profile, one slice a picture, no B-pictures. Section numbers are those of ITU-T H.264.

use super::bits::Bits;
use super::picture::{COLUMNS, HEIGHT, MACROBLOCK, ROWS, macroblock};

/// Pictures from one keyframe to the next.
pub(super) const GOP_PICTURES: usize = 50;
/// Pictures a second.
pub(super) const PICTURES_PER_SECOND: u32 = 25;

const BASELINE: u8 = 66;
/// Also conforms to the constrained baseline profile.
const CONSTRAINTS: u8 = 0xC0;
const LEVEL: u8 = 30;
const FRAME_NUMBER_BITS: u32 = 8;

/// `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15, 5.3.3.1), with lengths of 4 bytes.
pub(super) fn configuration() -> Vec<u8> {
    let (sequence, picture) = (sequence_parameters(), picture_parameters());
    let mut record = vec![1, BASELINE, CONSTRAINTS, LEVEL, 0xFF];
    for (count, set) in [(0xE1, sequence), (1, picture)] {
        record.push(count);
        record.extend_from_slice(&u16::try_from(set.len()).unwrap_or(u16::MAX).to_be_bytes());
        record.extend_from_slice(&set);
    }
    record
}

/// The NAL unit of picture number `picture`, counted from 0, with its length before it.
pub(super) fn picture(picture: usize) -> Vec<u8> {
    let of_gop = picture % GOP_PICTURES;
    let nal = if of_gop == 0 {
        keyframe(picture)
    } else {
        difference(picture, of_gop)
    };
    let mut sized = u32::try_from(nal.len())
        .unwrap_or(u32::MAX)
        .to_be_bytes()
        .to_vec();
    sized.extend_from_slice(&nal);
    sized
}

/// 7.3.2.1.1
fn sequence_parameters() -> Vec<u8> {
    let mut bits = Bits::default();
    bits.bytes(&[BASELINE, CONSTRAINTS, LEVEL]);
    bits.ue(0); // seq_parameter_set_id
    bits.ue(FRAME_NUMBER_BITS - 4);
    bits.ue(2); // pic_order_cnt_type: shown as decoded
    bits.ue(1); // max_num_ref_frames
    bits.put(0, 1); // gaps_in_frame_num_value_allowed_flag
    bits.ue(u32::try_from(COLUMNS - 1).unwrap_or(0));
    bits.ue(u32::try_from(ROWS - 1).unwrap_or(0));
    bits.put(1, 1); // frame_mbs_only_flag
    bits.put(1, 1); // direct_8x8_inference_flag
    bits.put(1, 1); // frame_cropping_flag
    let hidden = ROWS * MACROBLOCK - HEIGHT;
    for crop in [0, 0, 0, hidden / 2] {
        bits.ue(u32::try_from(crop).unwrap_or(0));
    }
    bits.put(0, 1); // vui_parameters_present_flag
    bits.into_nal(0x67)
}

/// 7.3.2.2
fn picture_parameters() -> Vec<u8> {
    let mut bits = Bits::default();
    bits.ue(0); // pic_parameter_set_id
    bits.ue(0); // seq_parameter_set_id
    bits.put(0, 2); // entropy_coding_mode_flag: CAVLC; bottom_field_pic_order_in_frame_present_flag
    bits.ue(0); // num_slice_groups_minus1
    bits.ue(0); // num_ref_idx_l0_default_active_minus1
    bits.ue(0); // num_ref_idx_l1_default_active_minus1
    bits.put(0, 3); // weighted_pred_flag, weighted_bipred_idc
    for _ in ["pic_init_qp", "pic_init_qs", "chroma_qp_index_offset"] {
        bits.ue(0);
    }
    bits.put(1, 1); // deblocking_filter_control_present_flag
    bits.put(0, 2); // constrained_intra_pred_flag, redundant_pic_cnt_present_flag
    bits.into_nal(0x68)
}

fn keyframe(picture: usize) -> Vec<u8> {
    const I_SLICE: u32 = 7;
    const I_PCM: u32 = 25;
    let mut bits = slice_head(I_SLICE, 0);
    // Two keyframes in succession must differ in idr_pic_id.
    bits.ue(u32::from(picture / GOP_PICTURES % 2 == 1));
    bits.put(0, 2); // no_output_of_prior_pics_flag, long_term_reference_flag
    slice_tail(&mut bits);
    for row in 0..ROWS {
        for column in 0..COLUMNS {
            bits.ue(I_PCM);
            bits.align();
            bits.bytes(&macroblock(picture, column, row));
        }
    }
    bits.into_nal(0x65)
}

fn difference(picture: usize, of_gop: usize) -> Vec<u8> {
    const P_SLICE: u32 = 5;
    const I_PCM_IN_P: u32 = 5 + 25;
    let mut bits = slice_head(P_SLICE, of_gop);
    bits.put(0, 2); // num_ref_idx_active_override_flag, ref_pic_list_modification_flag_l0
    bits.put(0, 1); // adaptive_ref_pic_marking_mode_flag
    slice_tail(&mut bits);
    let mut skipped = 0;
    for row in 0..ROWS {
        for column in 0..COLUMNS {
            let samples = macroblock(picture, column, row);
            if samples == macroblock(picture - 1, column, row) {
                skipped += 1;
                continue;
            }
            bits.ue(skipped); // mb_skip_run
            skipped = 0;
            bits.ue(I_PCM_IN_P);
            bits.align();
            bits.bytes(&samples);
        }
    }
    if skipped > 0 {
        bits.ue(skipped);
    }
    bits.into_nal(0x41)
}

/// 7.3.3, up to `frame_num`.
fn slice_head(slice_type: u32, frame_number: usize) -> Bits {
    let mut bits = Bits::default();
    bits.ue(0); // first_mb_in_slice
    bits.ue(slice_type);
    bits.ue(0); // pic_parameter_set_id
    bits.put(u32::try_from(frame_number).unwrap_or(0), FRAME_NUMBER_BITS);
    bits
}

/// 7.3.3, from `slice_qp_delta`.
fn slice_tail(bits: &mut Bits) {
    bits.ue(0); // slice_qp_delta
    bits.ue(1); // disable_deblocking_filter_idc
}
