//! FLV files: what encoders are given to push, and what other muxers made of it.

use std::path::Path;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use headwater_media::flv::{self, Reader};
use headwater_media::{Dts, Tag, TagKind};

use crate::Record;

/// The longest body that is read.
const PAYLOAD_MAX_BYTES: usize = 16 << 20;

/// The tags of an FLV file.
///
/// # Errors
/// If it cannot be read or is not FLV from end to end.
pub fn read(path: &Path) -> anyhow::Result<Vec<Tag>> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    let mut reader = Reader::new(PAYLOAD_MAX_BYTES);
    reader.feed(Bytes::from(bytes));
    let mut tags = Vec::new();
    while let Some(tag) = reader.next_tag()? {
        tags.push(Tag {
            kind: tag.kind,
            dts: Dts(tag.wire_ms.into()),
            payload: tag.payload,
        });
    }
    reader.finish()?;
    Ok(tags)
}

/// Writes `tags` as an FLV file.
///
/// # Errors
/// If the file cannot be written, or a body does not fit a tag.
pub fn write(path: &Path, tags: &[Tag]) -> anyhow::Result<()> {
    let has = |kind| tags.iter().any(|tag| tag.kind == kind);
    let mut bytes = flv::header(has(TagKind::Audio), has(TagKind::Video)).to_vec();
    for tag in tags {
        bytes.extend_from_slice(&flv::encode_tag(tag).context("a body is too long")?);
    }
    std::fs::write(path, bytes).with_context(|| path.display().to_string())
}

/// Several clips behind one another, each with its own sequence headers: what a publisher sends who changes the
/// picture's size in mid-stream. Only the first keeps its script tags.
pub fn join(clips: &[Vec<Tag>], gap_ms: i64) -> Vec<Tag> {
    let mut joined: Vec<Tag> = Vec::new();
    for clip in clips {
        let offset = joined
            .iter()
            .map(|tag| tag.dts.0)
            .max()
            .map_or(0, |last| last + gap_ms);
        let first = joined.is_empty();
        joined.extend(
            clip.iter()
                .filter(|tag| first || tag.kind != TagKind::Script)
                .filter(|tag| {
                    first || !headwater_media::payload::video(&tag.payload).end_of_sequence
                })
                .map(|tag| Tag {
                    dts: tag.dts + Dts(offset),
                    ..tag.clone()
                }),
        );
    }
    joined
}

/// The records of a file's tags, timed by their stamps.
///
/// # Errors
/// As [`read`].
pub fn records(path: &Path) -> anyhow::Result<Vec<Record>> {
    let tags = read(path)?;
    ensure!(!tags.is_empty(), "{} has no tags", path.display());
    Ok(tags
        .iter()
        .map(|tag| {
            let at_us = u64::try_from(tag.dts.0).unwrap_or(0).saturating_mul(1_000);
            Record::of(tag.kind, tag.dts.wire_ms(), &tag.payload, at_us)
        })
        .collect())
}
