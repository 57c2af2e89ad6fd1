//! The RTMP client, which a server may answer with anything.

use std::time::Duration;

use bytes::BytesMut;
use headwater_media::TagKind;
use headwater_media::rtmp::chunk::put_message;
use headwater_media::rtmp::{
    ClientConfig, ClientEvent, ClientSession, Head, Limits, PublishingType, RtmpError,
    ServerConfig, ServerSession,
};

use crate::cut::pieces;

fn talk<'a>(
    play: bool,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> (Vec<ClientEvent>, Result<(), RtmpError>) {
    let mut config = ClientConfig::new("host", "live", "room");
    config.limits = Limits {
        max_message_bytes: 64 << 10,
        max_buffered_bytes: 128 << 10,
        ..config.limits
    };
    let session = if play {
        ClientSession::play(config)
    } else {
        ClientSession::publish(config, PublishingType::Live)
    };
    let mut session = session.expect("a hello");
    let mut events = Vec::new();
    let mut end = Ok(());
    for piece in pieces {
        end = session.input(piece, Duration::ZERO);
        while let Some(event) = session.next_event() {
            events.push(event);
        }
        while session.take_output().is_some() {}
        if end.is_err() {
            break;
        }
        let _ = session.send(TagKind::Audio, 0, &[0xAF, 1]);
    }
    (events, end)
}

/// First byte: publish or play; second: how the rest is cut. The handshake's bytes, which carry no choice, are put in
/// front.
pub(crate) fn run(bytes: &[u8]) {
    let [play, seed, bytes @ ..] = bytes else {
        return;
    };
    let play = play & 1 == 1;
    let mut all = vec![0; 1 + 2 * 1_536];
    all[0] = 3;
    let hello = all.len();
    all.extend_from_slice(bytes);
    let (hello, bytes) = all.split_at(hello);
    let whole = talk(play, [hello, bytes].into_iter());
    let cut = talk(play, std::iter::once(hello).chain(pieces(bytes, *seed)));
    assert_eq!(whole, cut, "a split changes the events");
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = [true, false].map(conversation).to_vec();
    let mut control = BytesMut::new();
    for (type_id, payload) in [
        (1, &[0, 0, 16, 0][..]),
        (5, &[0, 1, 0, 0]),
        (6, &[0, 0, 0x40, 0, 2]),
        (4, &[0, 6, 0, 0, 0, 1]),
        (3, &[0, 0, 0, 9]),
    ] {
        let head = Head {
            chunk_stream_id: 2,
            timestamp: 0,
            type_id,
            stream_id: 0,
        };
        put_message(&mut control, head, payload, 128);
    }
    seeds.push([&[1, 5], &control[..]].concat());
    seeds
}

/// What a server says to a client whose wish is granted, without the handshake.
fn conversation(play: bool) -> Vec<u8> {
    let now = Duration::ZERO;
    let config = ClientConfig::new("host", "live", "room");
    let client = if play {
        ClientSession::play(config)
    } else {
        ClientSession::publish(config, PublishingType::Live)
    };
    let mut client = client.expect("a hello");
    let mut server = ServerSession::new(ServerConfig::default(), now);
    let mut said = Vec::new();
    for _ in 0..8 {
        while let Some(bytes) = client.take_output() {
            server.input(&bytes, now).expect("a good client");
        }
        while server.next_event().is_some() {
            server.accept_publish(now);
            server.accept_play();
        }
        while let Some(bytes) = server.take_output() {
            said.extend_from_slice(&bytes);
            client.input(&bytes, now).expect("a good server");
        }
        while client.next_event().is_some() {}
    }
    let mut media = BytesMut::new();
    headwater_media::rtmp::play::encode_message(
        TagKind::Video,
        40,
        &[0x17, 1, 0, 0, 0, 1],
        &mut media,
    );
    [&[u8::from(play), 3], &said[1 + 2 * 1_536..], &media].concat()
}
