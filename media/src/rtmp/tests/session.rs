//! Sessions of well-behaved peers, from the first byte to their end.

use super::*;
use crate::TagKind;
use crate::rtmp::{Capabilities, code, play};

#[test]
fn a_publisher_connects_publishes_and_its_tags_come_out_whatever_the_pieces() {
    let keyframe: Vec<u8> = (0..200_000u32).map(|n| n.to_le_bytes()[0]).collect();
    for step in [1, 3, 1_000, usize::MAX] {
        let mut pair = Pair::publisher("room?txSecret=1");
        let seen = pair.settle(step);
        assert_eq!(
            seen,
            [ClientEvent::Connected(Capabilities::forward_all())],
            "step {step}"
        );
        let [
            ServerEvent::Connected {
                app,
                tc_url,
                flash_ver,
                capabilities,
            },
            publish,
        ] = &pair.events[..]
        else {
            panic!("step {step}: {:?}", pair.events);
        };
        assert_eq!(
            (app.as_str(), tc_url.as_deref()),
            ("live", Some("rtmp://example.com/live"))
        );
        assert!(flash_ver.as_deref().unwrap().starts_with("FMLE/3.0"));
        assert!(capabilities.reconnect());
        let name = "room?txSecret=1".to_owned();
        let publishing_type = PublishingType::Live;
        assert_eq!(
            *publish,
            ServerEvent::Publish {
                message_stream_id: 1,
                name,
                publishing_type
            }
        );

        pair.events.clear();
        pair.server.accept_publish(NOW);
        let seen = pair.settle(step);
        assert!(
            seen.contains(&ClientEvent::Started),
            "step {step}: {seen:?}"
        );

        let tags: [(TagKind, u32, &[u8]); 5] = [
            (TagKind::Script, 0, b"\x02\x00\x0AonMetaData\x05"),
            (TagKind::Video, 0, &keyframe),
            (TagKind::Audio, 0x00FF_FFFF, b"audio"),
            (TagKind::Audio, u32::MAX, b"audio"),
            (TagKind::Video, 40, b"v"),
        ];
        for (kind, wire_ms, payload) in tags {
            pair.client.send(kind, wire_ms, payload).unwrap();
        }
        pair.settle(step);
        let expected = tags.map(|(kind, wire_ms, payload)| media(kind, wire_ms, payload));
        assert_eq!(pair.events, expected, "step {step}");

        pair.events.clear();
        pair.client.close();
        pair.settle(step);
        assert_eq!(pair.events, [ServerEvent::Unpublish], "step {step}");
    }
}

#[test]
fn a_viewer_gets_shared_messages_between_the_sessions_own() {
    let large = vec![7; 200_000];
    for wire_ms in [0, 0x00FF_FFFE, 0x00FF_FFFF, u32::MAX] {
        let mut pair = Pair::viewer("room");
        pair.settle(usize::MAX);
        let play = ServerEvent::Play {
            message_stream_id: 1,
            name: "room".into(),
        };
        assert_eq!(pair.events.last(), Some(&play));
        pair.server.accept_play();
        assert!(pair.settle(usize::MAX).contains(&ClientEvent::Started));
        let mut window = BytesMut::new();
        let tags: [(TagKind, &[u8]); 4] = [
            (TagKind::Script, b"s"),
            (TagKind::Video, &large),
            (TagKind::Video, &large[..65_536]),
            (TagKind::Audio, b""),
        ];
        for (kind, payload) in tags {
            let before = window.len();
            assert!(play::encode_message(kind, wire_ms, payload, &mut window));
            assert!(window.len() - before <= play::encoded_len(payload.len()));
        }
        pair.client.input(&window, NOW).unwrap();
        pair.server
            .end_play(code::PLAY_UNPUBLISH_NOTIFY, "the publisher has gone", NOW);
        let seen = pair.settle(7);
        let ended = ClientEvent::Ended {
            code: code::PLAY_UNPUBLISH_NOTIFY.into(),
            description: "the publisher has gone".into(),
        };
        let expected: Vec<_> = tags
            .into_iter()
            .map(|(kind, payload)| ClientEvent::Media {
                kind,
                wire_ms,
                payload: payload.to_vec().into(),
            })
            .chain([ended])
            .collect();
        assert_eq!(seen, expected);
    }
}

#[test]
fn refusals_reach_the_client_with_code_and_reason() {
    let mut pair = Pair::publisher("room");
    pair.settle(usize::MAX);
    pair.server
        .refuse_publish(code::PUBLISH_BAD_NAME, "the name is taken", NOW);
    let (code, description) = (
        code::PUBLISH_BAD_NAME.to_owned(),
        "the name is taken".to_owned(),
    );
    assert_eq!(
        pair.settle(usize::MAX),
        [ClientEvent::Refused { code, description }]
    );

    let mut pair = Pair::viewer("room");
    pair.settle(usize::MAX);
    pair.server
        .refuse_play(code::PLAY_STREAM_NOT_FOUND, "nobody publishes it", NOW);
    let (code, description) = (
        code::PLAY_STREAM_NOT_FOUND.to_owned(),
        "nobody publishes it".to_owned(),
    );
    assert_eq!(
        pair.settle(usize::MAX),
        [ClientEvent::Refused { code, description }]
    );
}

#[test]
fn an_older_publisher_hears_why_it_ends_and_where_to_go() {
    let mut pair = Pair::publisher("room");
    pair.settle(usize::MAX);
    pair.server.accept_publish(NOW);
    pair.settle(usize::MAX);
    pair.server
        .request_reconnect(Some("rtmp://other/live"), "moving");
    let (tc_url, description) = (Some("rtmp://other/live".to_owned()), "moving".to_owned());
    assert_eq!(
        pair.settle(usize::MAX),
        [ClientEvent::Reconnect {
            tc_url,
            description
        }]
    );
    pair.events.clear();
    pair.client.send(TagKind::Audio, 0, b"on its way").unwrap();
    pair.server.end_publish(
        code::PUBLISH_BAD_NAME,
        "a newer publisher has taken over",
        NOW,
    );
    let (code, description) = (
        code::PUBLISH_BAD_NAME.into(),
        "a newer publisher has taken over".into(),
    );
    assert_eq!(
        pair.settle(usize::MAX),
        [ClientEvent::Ended { code, description }]
    );
    assert_eq!((pair.events.len(), pair.server.ignored_messages()), (0, 1));
}

#[test]
fn a_publish_may_end_and_begin_again_on_one_connection() {
    let mut hand = Hand::publishing();
    hand.message(message_type::AUDIO, 1, 0, b"a").unwrap();
    hand.command(0, "FCUnpublish", 5.0, Value::Null, &[Value::string("room")])
        .unwrap();
    hand.message(message_type::AUDIO, 1, 0, b"late").unwrap();
    hand.command(0, "deleteStream", 6.0, Value::Null, &[Value::Number(1.0)])
        .unwrap();
    assert_eq!(
        hand.events(),
        [media(TagKind::Audio, 0, b"a"), ServerEvent::Unpublish]
    );
    hand.command(
        1,
        "publish",
        0.0,
        Value::Null,
        &[Value::string("other"), Value::string("append")],
    )
    .unwrap();
    let publishing_type = PublishingType::Append;
    let publish = ServerEvent::Publish {
        message_stream_id: 1,
        name: "other".into(),
        publishing_type,
    };
    assert_eq!(hand.events(), [publish]);
}

#[test]
fn an_answer_goes_to_its_own_ask_and_not_to_the_one_after() {
    let mut hand = Hand::connected();
    hand.command(1, "publish", 0.0, Value::Null, &[Value::string("first")])
        .unwrap();
    hand.command(1, "closeStream", 0.0, Value::Null, &[])
        .unwrap();
    hand.command(1, "publish", 0.0, Value::Null, &[Value::string("second")])
        .unwrap();
    hand.message(message_type::AUDIO, 1, 0, b"a").unwrap();
    hand.codes();
    assert!(matches!(
        hand.events()[..],
        [
            ServerEvent::Publish { .. },
            ServerEvent::Unpublish,
            ServerEvent::Publish { .. }
        ]
    ));
    hand.server.accept_publish(NOW);
    assert_eq!(hand.codes(), [""; 0], "nobody waits for the first answer");
    assert_eq!(hand.events(), [], "the second is not granted by it");
    hand.server.refuse_publish(code::PUBLISH_DENIED, "no", NOW);
    assert_eq!(hand.codes(), [code::PUBLISH_DENIED]);

    hand.command(1, "play", 0.0, Value::Null, &[Value::string("first")])
        .unwrap();
    hand.command(1, "closeStream", 0.0, Value::Null, &[])
        .unwrap();
    hand.command(1, "play", 0.0, Value::Null, &[Value::string("second")])
        .unwrap();
    hand.server.refuse_play(code::PLAY_FAILED, "no", NOW);
    assert_eq!(hand.codes(), [""; 0], "nobody waits for the first answer");
    hand.server.accept_play();
    assert_eq!(hand.codes(), [code::PLAY_RESET, code::PLAY_START]);
}

#[test]
fn a_second_publish_or_play_is_refused_and_the_first_goes_on() {
    let mut hand = Hand::publishing();
    hand.answers();
    hand.command(1, "publish", 0.0, Value::Null, &[Value::string("other")])
        .unwrap();
    assert_eq!(hand.codes(), [code::PUBLISH_BAD_NAME]);
    hand.message(message_type::AUDIO, 1, 0, b"a").unwrap();
    assert_eq!(hand.events(), [media(TagKind::Audio, 0, b"a")]);

    let mut hand = Hand::connected();
    hand.command(2, "play", 0.0, Value::Null, &[Value::string("room")])
        .unwrap();
    assert_eq!(hand.codes(), [code::PLAY_FAILED], "not on stream 1");
    hand.command(1, "play", 0.0, Value::Null, &[Value::string("room")])
        .unwrap();
    hand.server.accept_play();
    assert_eq!(hand.codes(), [code::PLAY_RESET, code::PLAY_START]);
    hand.command(1, "play", 0.0, Value::Null, &[Value::string("room")])
        .unwrap();
    assert_eq!(hand.codes(), [code::PLAY_FAILED], "twice");
    hand.command(
        1,
        "pause",
        0.0,
        Value::Null,
        &[Value::Boolean(true), Value::Number(0.0)],
    )
    .unwrap();
    hand.command(1, "seek", 0.0, Value::Null, &[Value::Number(0.0)])
        .unwrap();
    assert_eq!(hand.codes(), [code::PAUSE_NOTIFY, code::SEEK_FAILED]);
    hand.command(1, "closeStream", 0.0, Value::Null, &[])
        .unwrap();
    let [
        ServerEvent::Play { .. },
        ServerEvent::Pause(true),
        ServerEvent::StopPlay,
    ] = hand.events()[..]
    else {
        panic!("play, pause and its end");
    };
}

#[test]
fn both_ends_keep_to_acknowledgement_windows_and_pings() {
    let mut hand = Hand::publishing();
    hand.answers();
    hand.message(
        message_type::WINDOW_ACKNOWLEDGEMENT_SIZE,
        0,
        0,
        &20_000u32.to_be_bytes(),
    )
    .unwrap();
    hand.message(message_type::USER_CONTROL, 0, 0, &[0, 6, 1, 2, 3, 4])
        .unwrap();
    hand.message(message_type::SET_PEER_BANDWIDTH, 0, 0, &[0, 0, 0x40, 0, 2])
        .unwrap();
    hand.message(message_type::VIDEO, 1, 0, &[1; 30_000])
        .unwrap();
    let said = messages(&hand.said.split());
    let [pong, window, acknowledgement] = &said[..] else {
        panic!("{said:?}")
    };
    assert_eq!(
        (pong.type_id, &pong.payload[..]),
        (message_type::USER_CONTROL, &[0, 7, 1, 2, 3, 4][..])
    );
    assert_eq!(
        (window.type_id, &window.payload[..]),
        (
            message_type::WINDOW_ACKNOWLEDGEMENT_SIZE,
            &[0, 0, 0x40, 0][..]
        )
    );
    let bytes = u32::from_be_bytes(acknowledgement.payload[..].try_into().unwrap());
    assert_eq!(acknowledgement.type_id, message_type::ACKNOWLEDGEMENT);
    assert!(
        (33_000..34_000).contains(&bytes),
        "{bytes} bytes, the handshake's among them"
    );
    assert_eq!(hand.server.unacknowledged_bytes(), None);
    hand.message(message_type::ACKNOWLEDGEMENT, 0, 0, &3_000u32.to_be_bytes())
        .unwrap();
    assert!(
        hand.server
            .unacknowledged_bytes()
            .is_some_and(|bytes| bytes < 2_000)
    );
}

#[test]
fn each_phase_has_its_own_time_limit() {
    let config = ServerConfig {
        ping_interval: Some(Duration::from_secs(7)),
        ..ServerConfig::default()
    };
    let mut server = ServerSession::new(config, NOW);
    assert_eq!(server.next_timeout(), Some(NOW + config.handshake_time));
    assert_eq!(server.on_timeout(NOW), Ok(()));
    let error = server.on_timeout(NOW + config.handshake_time).unwrap_err();
    assert_eq!(error, RtmpError::HandshakeTimeout(config.handshake_time));

    let mut hand = Hand::with(config);
    assert_eq!(hand.server.next_timeout(), Some(NOW + config.command_time));
    let error = hand
        .server
        .on_timeout(NOW + config.command_time)
        .unwrap_err();
    assert_eq!(error, RtmpError::CommandTimeout(config.command_time));

    hand.command(0, "connect", 1.0, Value::object([]), &[])
        .unwrap();
    hand.command(1, "publish", 0.0, Value::Null, &[Value::string("room")])
        .unwrap();
    hand.said.clear();
    let ping_at = NOW + Duration::from_secs(7);
    assert_eq!(
        hand.server.next_timeout(),
        Some(ping_at),
        "the owner's answer has no limit here"
    );
    hand.server.on_timeout(ping_at).unwrap();
    let said = messages(&hand.server.take_output().unwrap());
    assert_eq!(
        (said[0].type_id, &said[0].payload[..2]),
        (message_type::USER_CONTROL, &[0, 6][..])
    );
    assert_eq!(
        hand.server.next_timeout(),
        Some(ping_at + Duration::from_secs(7))
    );

    hand.server.accept_publish(NOW);
    let error = hand.server.on_timeout(NOW + config.idle_time).unwrap_err();
    assert_eq!(error, RtmpError::Idle(config.idle_time));
}
