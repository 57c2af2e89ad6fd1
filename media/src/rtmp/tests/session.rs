//! What well-behaved peers do.

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
fn encoders_may_order_their_commands_as_they_like() {
    let name = || vec![Value::string("room")];
    let publish = || {
        (
            "publish",
            1,
            vec![Value::string("room"), Value::string("live")],
        )
    };
    for (encoder, order) in [
        ("plain", vec![("createStream", 0, vec![]), publish()]),
        (
            "FMLE, OBS",
            vec![
                ("releaseStream", 0, name()),
                ("FCPublish", 0, name()),
                ("createStream", 0, vec![]),
                ("_checkbw", 0, vec![]),
                publish(),
            ],
        ),
        (
            "FCPublish behind",
            vec![
                ("createStream", 0, vec![]),
                ("FCPublish", 0, name()),
                publish(),
            ],
        ),
        ("without createStream", vec![publish()]),
        (
            "with what nobody knows",
            vec![
                ("foo", 0, vec![]),
                ("createStream", 0, vec![]),
                ("receiveAudio", 1, vec![Value::Boolean(true)]),
                publish(),
            ],
        ),
    ] {
        let mut hand = Hand::connected();
        for (index, (name, stream_id, arguments)) in order.into_iter().enumerate() {
            hand.command(
                stream_id,
                name,
                2.0 + f64::from(u32::try_from(index).unwrap()),
                Value::Null,
                &arguments,
            )
            .unwrap();
        }
        assert_eq!(hand.events().len(), 1, "{encoder}");
        hand.server.accept_publish(NOW);
        assert_eq!(hand.codes(), [code::PUBLISH_START], "{encoder}");
        hand.message(message_type::VIDEO, 1, 5, b"v").unwrap();
        assert_eq!(hand.events(), [media(TagKind::Video, 5, b"v")], "{encoder}");
    }
}

#[test]
fn each_command_gets_the_answer_that_encoders_wait_for() {
    for (name, arguments, expected) in [
        ("createStream", vec![], Some(Value::Number(1.0))),
        (
            "releaseStream",
            vec![Value::string("room")],
            Some(Value::Undefined),
        ),
        (
            "FCPublish",
            vec![Value::string("room")],
            Some(Value::Undefined),
        ),
        (
            "FCUnpublish",
            vec![Value::string("room")],
            Some(Value::Undefined),
        ),
        ("_checkbw", vec![], Some(Value::Undefined)),
        (
            "getStreamLength",
            vec![Value::string("room")],
            Some(Value::Number(0.0)),
        ),
        ("deleteStream", vec![Value::Number(1.0)], None),
        ("closeStream", vec![], None),
        ("unknown", vec![], None),
    ] {
        let mut hand = Hand::connected();
        hand.answers();
        hand.command(0, name, 7.0, Value::Null, &arguments).unwrap();
        let answers = hand.answers();
        assert_eq!(answers.len(), usize::from(expected.is_some()), "{name}");
        for (_, answer) in answers {
            assert_eq!(
                (answer.name.as_str(), answer.transaction),
                ("_result", 7.0),
                "{name}"
            );
            assert_eq!(answer.argument(0), expected.as_ref(), "{name}");
        }
    }
}

#[test]
fn connect_is_answered_in_the_peers_terms() {
    let legacy = Value::object([("app", Value::string("live"))]);
    let amf3 = Value::object([
        ("app", Value::string("live")),
        ("objectEncoding", Value::Number(3.0)),
    ]);
    let list = Value::StrictArray(vec![Value::string("hvc1"), Value::string("av01")]);
    let enhanced = Value::object([
        ("app", Value::string("live")),
        ("fourCcList", list),
        ("capsEx", Value::Number(1.0)),
    ]);
    for (name, object, encoding, capabilities) in [
        ("legacy", legacy, 0.0, Capabilities::default()),
        ("AMF3", amf3, 3.0, Capabilities::default()),
        ("enhanced", enhanced, 0.0, Capabilities::forward_all()),
    ] {
        let mut hand = Hand::new();
        hand.command(0, "connect", 1.0, object, &[]).unwrap();
        let answers = hand.answers();
        let information = answers[0].1.argument(0).unwrap();
        assert_eq!(
            information.get("objectEncoding").unwrap().as_number(),
            Some(encoding),
            "{name}"
        );
        assert_eq!(Capabilities::read(information), capabilities, "{name}");
    }
}

#[test]
fn the_first_message_stream_is_always_1() {
    let mut hand = Hand::connected();
    hand.answers();
    for (name, arguments, id) in [
        ("createStream", vec![], Some(1.0)),
        ("createStream", vec![], Some(2.0)),
        ("deleteStream", vec![Value::Number(1.0)], None),
        ("createStream", vec![], Some(1.0)),
    ] {
        hand.command(0, name, 4.0, Value::Null, &arguments).unwrap();
        let answered = hand
            .answers()
            .first()
            .and_then(|(_, answer)| answer.argument(0)?.as_number());
        assert_eq!(answered, id);
    }
}

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
fn commands_in_amf3_messages_are_read_past_their_format_byte() {
    let mut hand = Hand::connected();
    let publish = Command {
        name: "publish".into(),
        transaction: 0.0,
        object: Value::Null,
        arguments: vec![Value::string("room")],
    };
    let payload = [&[0][..], &publish.encode()].concat();
    hand.message(message_type::COMMAND_AMF3, 1, 0, &payload)
        .unwrap();
    assert!(matches!(hand.events()[..], [ServerEvent::Publish { .. }]));
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
