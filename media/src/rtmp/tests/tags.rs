//! What a publisher sends comes out as the bodies of tags.

use super::*;
use crate::TagKind;
use crate::rtmp::code;

#[test]
fn media_behind_publish_waits_for_the_answer() {
    for accepted in [true, false] {
        let mut hand = Hand::connected();
        hand.command(1, "publish", 0.0, Value::Null, &[Value::string("room")])
            .unwrap();
        hand.message(message_type::VIDEO, 1, 0, b"header").unwrap();
        assert_eq!(hand.events().len(), 1, "the publish alone");
        if accepted {
            hand.server.accept_publish(NOW);
            assert_eq!(hand.events(), [media(TagKind::Video, 0, b"header")]);
        } else {
            hand.server
                .refuse_publish(code::CONNECT_REJECTED, "no", NOW);
            assert_eq!(hand.events(), []);
        }
    }
}

#[test]
fn data_comes_out_as_the_body_of_a_script_tag() {
    let body = b"\x02\x00\x0AonMetaData\x05";
    let framed = [&b"\x02\x00\x0D@setDataFrame"[..], body].concat();
    let amf3 = [&[0][..], &framed].concat();
    for (name, type_id, payload, expected) in [
        ("bare", message_type::DATA, &body[..], Some(&body[..])),
        ("@setDataFrame", message_type::DATA, &framed, Some(body)),
        ("AMF3", message_type::DATA_AMF3, &amf3, Some(body)),
        (
            "AMF3 without its format byte",
            message_type::DATA_AMF3,
            &framed,
            Some(body),
        ),
        (
            "@setDataFrame alone",
            message_type::DATA,
            &framed[..16],
            None,
        ),
        (
            "@clearDataFrame",
            message_type::DATA,
            b"\x02\x00\x0F@clearDataFrame\x02\x00\x01a",
            None,
        ),
        ("no name", message_type::DATA, &[5], None),
        ("empty", message_type::DATA, &[], None),
        ("shared object", 19, &body[..], None),
    ] {
        let mut hand = Hand::publishing();
        hand.message(type_id, 1, 9, payload).unwrap();
        let expected: Vec<_> = expected
            .into_iter()
            .map(|body| media(TagKind::Script, 9, body))
            .collect();
        assert_eq!(hand.events(), expected, "{name}");
    }
}

#[test]
fn aggregates_come_out_as_their_parts() {
    let mut hand = Hand::publishing();
    let part = |type_id: u8, time: u8, body: u8| {
        [type_id, 0, 0, 1, 0, 0, time, 0, 0, 0, 0, body, 0, 0, 0, 12]
    };
    hand.message(
        message_type::AGGREGATE,
        1,
        1_000,
        &[part(9, 50, 1), part(8, 60, 2)].concat(),
    )
    .unwrap();
    assert_eq!(
        hand.events(),
        [
            media(TagKind::Video, 1_000, &[1]),
            media(TagKind::Audio, 1_010, &[2])
        ]
    );
    let cut = &part(9, 0, 1)[..11];
    assert_eq!(
        hand.message(message_type::AGGREGATE, 1, 0, cut)
            .unwrap_err()
            .reason(),
        "message_cut"
    );
}

#[test]
fn only_what_brings_a_tag_keeps_a_publisher_from_being_idle() {
    let part = |type_id: u8, size: u8| {
        let head = [type_id, 0, 0, size, 0, 0, 0, 0, 0, 0, 0];
        [&head[..], &vec![1; size.into()], &[0, 0, 0, 11 + size]].concat()
    };
    for (name, type_id, payload, brings) in [
        ("video", message_type::VIDEO, vec![1], true),
        ("no bytes", message_type::VIDEO, vec![], false),
        ("a part", message_type::AGGREGATE, part(9, 1), true),
        ("no part", message_type::AGGREGATE, vec![], false),
        ("an empty part", message_type::AGGREGATE, part(9, 0), false),
        (
            "an unknown part",
            message_type::AGGREGATE,
            part(19, 1),
            false,
        ),
    ] {
        let mut hand = Hand::publishing();
        let idle = ServerConfig::default().idle_time;
        hand.message_at(NOW + idle / 2, type_id, 1, 0, &payload)
            .unwrap();
        assert_eq!(!hand.events().is_empty(), brings, "{name}");
        let ended = hand.server.on_timeout(NOW + idle);
        assert_eq!(ended.is_ok(), brings, "{name}");
    }
}

#[test]
fn media_is_part_of_a_given_buffer_that_it_fills_and_is_copied_out_of_one_that_it_does_not_fill() {
    let put = |bytes: &mut BytesMut, type_id, timestamp, payload: &[u8]| {
        let head = Head {
            chunk_stream_id: 4,
            timestamp,
            type_id,
            stream_id: 1,
        };
        put_message(bytes, head, payload, 128);
    };
    let picture: Vec<u8> = (0..=250u8).cycle().take(3_000).collect();
    for (name, filler, answered, part) in [
        ("filled", 0, true, true),
        ("half filled", 2_900, true, true),
        ("not filled", 3_300, true, false),
        ("filled, held", 0, false, true),
        ("not filled, held", 3_300, false, false),
    ] {
        let mut hand = Hand::connected();
        hand.command(1, "publish", 0.0, Value::Null, &[Value::string("room")])
            .unwrap();
        if answered {
            hand.server.accept_publish(NOW);
        }
        // What begins a chunk stream is copied.
        hand.message(message_type::VIDEO, 1, 0, &[1]).unwrap();
        let mut bytes = BytesMut::new();
        put(&mut bytes, message_type::VIDEO, 40, &picture);
        put(&mut bytes, 19, 40, &vec![0; filler]);
        let buffer = bytes.as_ptr_range();
        hand.server.input_given(bytes, NOW).unwrap();
        hand.server.accept_publish(NOW);
        let events = hand.events();
        let Some(ServerEvent::Media { payload, .. }) = events.last() else {
            panic!("{name}: {events:?}");
        };
        assert_eq!(payload[..], picture, "{name}");
        assert_eq!(buffer.contains(&payload.as_ptr()), part, "{name}");
    }
}

#[test]
fn what_nobody_wanted_does_not_count_as_media_that_fills_a_buffer() {
    let mut hand = Hand::publishing();
    hand.message(message_type::VIDEO, 1, 0, &[1]).unwrap();
    hand.command(0, "deleteStream", 4.0, Value::Null, &[Value::Number(1.0)])
        .unwrap();
    hand.events();
    let mut bytes = BytesMut::new();
    let mut put = |type_id, stream_id, payload: &[u8]| {
        let head = Head {
            chunk_stream_id: 4,
            timestamp: 0,
            type_id,
            stream_id,
        };
        put_message(&mut bytes, head, payload, 128);
    };
    put(message_type::VIDEO, 1, &[7; 9_000]);
    for (stream_id, name, arguments) in [
        (0, "createStream", vec![]),
        (1, "publish", vec![Value::string("room")]),
    ] {
        let command = Command {
            name: name.into(),
            transaction: 5.0,
            object: Value::Null,
            arguments,
        };
        put(message_type::COMMAND, stream_id, &command.encode());
    }
    put(message_type::VIDEO, 1, &[8; 1_024]);
    let buffer = bytes.as_ptr_range();
    hand.server.input_given(bytes, NOW).unwrap();
    hand.server.accept_publish(NOW);
    let events = hand.events();
    let Some(ServerEvent::Media { payload, .. }) = events.last() else {
        panic!("{events:?}");
    };
    assert_eq!(payload[..], [8; 1_024]);
    assert!(!buffer.contains(&payload.as_ptr()));
}
