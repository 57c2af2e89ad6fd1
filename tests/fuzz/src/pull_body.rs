//! The body of an internal pull: FLV with control tags, read by the receiver.

use bytes::{Bytes, BytesMut};
use headwater_hop::{Control, EndReason, Event, PullHead, ReceiveError, Receiver};
use headwater_media::{Dts, Tag, TagKind, flv};

use crate::cut::pieces;

const TAG_MAX_BYTES: usize = 16 << 10;

fn head(preface: u8) -> PullHead {
    PullHead {
        epoch: 1,
        term: 5,
        first_sequence: 10,
        dts_offset: Dts(0),
        first_dts: Dts(0xFFFF_FF00),
        gap: 0,
        previous: None,
        preface: u32::from(preface % 4),
    }
}

fn receive<'a>(
    preface: u8,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> (Vec<Event>, Result<(), ReceiveError>) {
    let mut receiver = Receiver::new(&head(preface), TAG_MAX_BYTES);
    let mut events = Vec::new();
    let go = || {
        for piece in pieces {
            receiver.feed(Bytes::copy_from_slice(piece));
            while let Some(event) = receiver.next_event()? {
                events.push(event);
            }
        }
        receiver.finish()
    };
    let end = go();
    (events, end)
}

/// First byte: headers in front; second: how the rest is cut.
pub(crate) fn run(bytes: &[u8]) {
    let [preface, seed, bytes @ ..] = bytes else {
        return;
    };
    let (events, end) = receive(*preface, std::iter::once(bytes));
    let cut = receive(*preface, pieces(bytes, *seed));
    assert_eq!(
        (&events, &end),
        (&cut.0, &cut.1),
        "a split changes the events"
    );

    let (mut next, mut term) = (head(0).first_sequence, head(0).term);
    for event in &events {
        match event {
            Event::Tag { sequence, tag } => {
                assert_eq!(*sequence, next, "tags are numbered without a hole");
                assert!(tag.payload.len() <= TAG_MAX_BYTES);
                next = next.saturating_add(1);
            }
            Event::Gap { tags, next: after } => {
                assert_eq!(
                    next.checked_add(*tags),
                    Some(*after),
                    "a gap is as long as it says"
                );
                next = *after;
            }
            Event::Term(higher) => {
                assert!(*higher >= term, "a term never goes back");
                term = *higher;
            }
            Event::Moved { next: said, .. } => assert_eq!(*said, next),
            Event::Header(_) | Event::Heartbeat | Event::Ended(_) => {}
        }
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let tag = |kind, dts, payload: &[u8]| {
        let payload = Bytes::copy_from_slice(payload);
        flv::encode_tag(&Tag {
            kind,
            dts: Dts(dts),
            payload,
        })
        .expect("a small payload")
        .to_vec()
    };
    let control = |control: Control| {
        let mut out = BytesMut::new();
        control.encode(0xFFFF_FF00, &mut out);
        out.to_vec()
    };
    let begin = [
        flv::header(true, true).to_vec(),
        tag(TagKind::Video, 0xFFFF_FF00, &[0x17, 0, 0, 0, 0, 1]),
        tag(TagKind::Video, 0xFFFF_FF00, &[0x17, 1, 0, 0, 0, 1]),
        tag(TagKind::Audio, 0x1_0000_0010, &[0xAF, 1, 2]),
    ]
    .concat();
    let middle = [
        control(Control::Heartbeat { next: 12 }),
        control(Control::Term { term: 6 }),
        control(Control::Gap {
            tags: 8,
            next: 20,
            dts: Dts(0x1_0000_0100),
            preface: 1,
        }),
        tag(TagKind::Video, 0x1_0000_0100, &[0x17, 0, 0, 0, 0, 1]),
        tag(TagKind::Video, 0x1_0000_0100, &[0x17, 1, 0, 0, 0, 1]),
        control(Control::Moved {
            to: "origin-1:7000".to_owned(),
            next: 21,
        }),
    ]
    .concat();
    let ends = EndReason::ALL.map(|reason| control(Control::End { reason, next: 21 }));
    ends.iter()
        .map(|end| [&[1, 9], &begin[..], &middle, end].concat())
        .chain([
            [&[1, 0], &begin[..], &tag(TagKind::Audio, 3, &[])].concat(),
            [&[0, 2], &begin[..40]].concat(),
        ])
        .collect()
}
