//! Where the first TLS record of a write ends, so that all behind it are copied at full speed.
//!
//! Each record is copied to right behind its header, in a block that begins where a page does. From a source that lies a few
//! bytes before that place in its own page, the processor takes each load for one of the bytes just stored and waits: that
//! copy is twenty times slower than any other (docs/performance.md), and windows do begin where a page does.

use std::io::IoSlice;

/// In front of a record's content (RFC 8446, 5.1).
const RECORD_HEAD_BYTES: usize = 5;
/// Addresses that are so far apart look the same to a processor that compares their lower parts.
const PAGE_BYTES: usize = 4_096;
/// A copy to less than this ahead of its source, pages aside, waits for itself.
const ALIASES_BYTES: usize = 128;
/// Enough to shift what follows out of that.
const LEAD_BYTES: usize = 1_024;

/// The beginning of `bufs` that is to be a record of its own, if there is to be one.
pub(super) fn lead<'b>(bufs: &'b [IoSlice<'_>]) -> Option<&'b [u8]> {
    let first: &[u8] = bufs.first()?;
    let ahead = RECORD_HEAD_BYTES.wrapping_sub(first.as_ptr().addr()) % PAGE_BYTES;
    let lead = first.get(..LEAD_BYTES)?;
    (1..ALIASES_BYTES).contains(&ahead).then_some(lead)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_right_before_its_copys_place_in_the_page_begins_with_a_short_record() {
        let buffer = vec![0_u8; 4 * PAGE_BYTES];
        let page = buffer.as_ptr().align_offset(PAGE_BYTES);
        for (in_page, bytes, expected) in [
            (0, 2 * PAGE_BYTES, Some(LEAD_BYTES)),
            (4, 2 * PAGE_BYTES, Some(LEAD_BYTES)),
            (PAGE_BYTES - 1, 2 * PAGE_BYTES, Some(LEAD_BYTES)),
            (PAGE_BYTES - 122, 2 * PAGE_BYTES, Some(LEAD_BYTES)),
            (PAGE_BYTES - 123, 2 * PAGE_BYTES, None),
            (5, 2 * PAGE_BYTES, None),
            (LEAD_BYTES, 2 * PAGE_BYTES, None),
            (0, LEAD_BYTES - 1, None),
        ] {
            let from = page + in_page;
            let bufs = [IoSlice::new(&buffer[from..from + bytes])];
            let found = lead(&bufs).map(<[u8]>::len);
            assert_eq!(found, expected, "{bytes} bytes at {in_page} of a page");
        }
        assert_eq!(lead(&[]), None);
    }
}
