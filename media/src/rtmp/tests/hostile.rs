//! What badly behaved peers do: an error, or progress, and memory that stays bounded.

use proptest::prelude::*;

use super::*;

#[test]
fn what_a_peer_may_not_do_ends_its_connection_with_a_reason() {
    let deep = [
        &b"\x02\x00\x01x\x00\0\0\0\0\0\0\0\0"[..],
        &[3, 0, 1, b'a'].repeat(100_000),
    ]
    .concat();
    let name = |name: Value| {
        Command {
            name: "publish".into(),
            transaction: 0.0,
            object: Value::Null,
            arguments: vec![name],
        }
        .encode()
    };
    let publish_nothing = Command {
        name: "publish".into(),
        transaction: 0.0,
        object: Value::Null,
        arguments: vec![],
    }
    .encode();
    let play_number = Command {
        name: "play".into(),
        transaction: 0.0,
        object: Value::Null,
        arguments: vec![Value::Number(1.0)],
    }
    .encode();
    let connect = |object| {
        Command {
            name: "connect".into(),
            transaction: 1.0,
            object,
            arguments: vec![],
        }
        .encode()
    };
    let connect_app = connect(Value::object([("app", Value::string("live"))]));
    let not_utf8 = [
        &b"\x02\x00\x07publish\x00\0\0\0\0\0\0\0\0\x05\x02\x00\x01"[..],
        &[0xFF],
    ]
    .concat();
    let lying_array = b"\x02\x00\x01x\x00\0\0\0\0\0\0\0\0\x0A\xFF\xFF\xFF\xFF";
    for (case, type_id, payload, reason) in [
        (
            "nesting of 100,000",
            message_type::COMMAND,
            &deep[..],
            "amf_too_deep",
        ),
        (
            "array of 2^32 - 1",
            message_type::COMMAND,
            lying_array,
            "amf_cut",
        ),
        (
            "empty command",
            message_type::COMMAND,
            &[],
            "command_no_name",
        ),
        (
            "connect twice",
            message_type::COMMAND,
            &connect_app,
            "connect_twice",
        ),
        (
            "publish without a name",
            message_type::COMMAND,
            &publish_nothing,
            "missing_value",
        ),
        (
            "publish of null",
            message_type::COMMAND,
            &name(Value::Null),
            "missing_value",
        ),
        (
            "publish of bytes",
            message_type::COMMAND,
            &not_utf8,
            "missing_value",
        ),
        (
            "play of a number",
            message_type::COMMAND,
            &play_number,
            "missing_value",
        ),
        (
            "video before publish",
            message_type::VIDEO,
            &[1],
            "media_before_publish",
        ),
        (
            "audio before publish",
            message_type::AUDIO,
            &[1],
            "media_before_publish",
        ),
        (
            "empty video before publish",
            message_type::VIDEO,
            &[],
            "media_before_publish",
        ),
        (
            "chunk size 0",
            message_type::SET_CHUNK_SIZE,
            &[0, 0, 0, 0],
            "chunk_size",
        ),
        (
            "chunk size 2^31",
            message_type::SET_CHUNK_SIZE,
            &[0x80, 0, 0, 0],
            "chunk_size",
        ),
        (
            "chunk size cut",
            message_type::SET_CHUNK_SIZE,
            &[0],
            "message_cut",
        ),
        (
            "window cut",
            message_type::WINDOW_ACKNOWLEDGEMENT_SIZE,
            &[0],
            "message_cut",
        ),
    ] {
        let error = Hand::connected()
            .message(type_id, 0, 0, payload)
            .unwrap_err();
        assert_eq!(error.reason(), reason, "{case}: {error}");
    }
    for (case, payload, reason) in [
        (
            "connect without an object",
            connect(Value::Null),
            "missing_value",
        ),
        (
            "publish before connect",
            name(Value::string("room")),
            "before_connect",
        ),
    ] {
        let error = Hand::new()
            .message(message_type::COMMAND, 0, 0, &payload)
            .unwrap_err();
        assert_eq!(error.reason(), reason, "{case}: {error}");
    }
}

#[test]
fn a_zero_length_message_while_publishing_is_ignored() {
    let mut hand = Hand::publishing();
    hand.message(message_type::VIDEO, 1, 0, &[]).unwrap();
    hand.message(message_type::AUDIO, 1, 0, &[]).unwrap();
    assert_eq!(
        (hand.events().len(), hand.server.ignored_messages()),
        (0, 2)
    );
}

#[test]
fn a_command_cut_at_any_byte_is_an_error_or_a_shorter_command() {
    let object = Value::object([
        ("app", Value::string("live")),
        ("tcUrl", Value::string("rtmp://h/live")),
    ]);
    let connect = Command {
        name: "connect".into(),
        transaction: 1.0,
        object,
        arguments: vec![],
    }
    .encode();
    for cut in 0..connect.len() {
        let result = Hand::new().message(message_type::COMMAND, 0, 0, &connect[..cut]);
        if let Err(error) = result {
            assert!(
                ["amf_cut", "command_no_name", "missing_value"].contains(&error.reason()),
                "{cut}: {error}"
            );
        }
    }
}

#[test]
fn media_that_does_not_wait_for_its_answer_is_bounded() {
    let limits = Limits {
        max_buffered_bytes: 10_000,
        ..Limits::default()
    };
    let mut hand = Hand::with(ServerConfig {
        limits,
        ..ServerConfig::default()
    });
    hand.command(0, "connect", 1.0, Value::object([]), &[])
        .unwrap();
    hand.command(1, "publish", 0.0, Value::Null, &[Value::string("room")])
        .unwrap();
    let error = (0..20).find_map(|_| hand.message(message_type::VIDEO, 1, 0, &[0; 1_000]).err());
    assert_eq!(error.unwrap().reason(), "media_before_answer");
}

#[test]
fn a_peer_that_asks_and_never_reads_is_cut_off() {
    let mut hand = Hand::connected();
    let mut ping = BytesMut::new();
    let head = Head {
        chunk_stream_id: 2,
        timestamp: 0,
        type_id: message_type::USER_CONTROL,
        stream_id: 0,
    };
    put_message(&mut ping, head, &[0, 6, 0, 0, 0, 0], 128);
    let error = (0..100_000).find_map(|_| hand.server.input(&ping, NOW).err());
    assert_eq!(error.unwrap().reason(), "output_full");
    assert!(hand.server.take_output().unwrap().len() <= Limits::default().max_output_bytes + 64);
}

#[test]
fn a_connection_makes_no_more_message_streams_than_the_limit() {
    let mut hand = Hand::connected();
    let error = (0..100).find_map(|_| hand.command(0, "createStream", 2.0, Value::Null, &[]).err());
    assert_eq!(error.unwrap().reason(), "message_streams");
}

/// What a legal publisher sends after the handshake.
fn legal() -> Vec<u8> {
    let mut client =
        ClientSession::publish(ClientConfig::new("h", "live", "room"), PublishingType::Live)
            .unwrap();
    let mut server = ServerSession::new(ServerConfig::default(), NOW);
    let mut sent = Vec::new();
    for round in 0..20u32 {
        while let Some(bytes) = client.take_output() {
            sent.extend_from_slice(&bytes);
            server.input(&bytes, NOW).unwrap();
        }
        while let Some(event) = server.next_event() {
            if matches!(event, ServerEvent::Publish { .. }) {
                server.accept_publish(NOW);
            }
        }
        while let Some(bytes) = server.take_output() {
            client.input(&bytes, NOW).unwrap();
        }
        let _ = client.send(
            crate::TagKind::Video,
            round * 40,
            &[round.to_le_bytes()[0]; 300],
        );
    }
    sent.split_off(1 + 2 * 1_536)
}

/// The events of `bytes` after a handshake, in pieces that end where `cuts` say.
fn events(bytes: &[u8], cuts: &[usize]) -> (Vec<ServerEvent>, Option<RtmpError>) {
    let mut hand = Hand::new();
    let mut events = Vec::new();
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    for ends in cuts.windows(2) {
        let result = hand.server.input(&bytes[ends[0]..ends[1]], NOW);
        hand.server.take_output();
        while let Some(event) = hand.server.next_event() {
            if matches!(event, ServerEvent::Publish { .. }) {
                hand.server.accept_publish(NOW);
            }
            events.push(event);
        }
        if let Err(error) = result {
            return (events, Some(error));
        }
    }
    (events, None)
}

#[test]
fn a_legal_publisher_is_understood_in_the_property_below() {
    let (events, error) = events(&legal(), &[]);
    assert_eq!(error, None);
    assert!(events.len() > 15, "{events:?}");
}

proptest! {
    #[test]
    fn any_bytes_are_an_error_or_progress(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        let mut server = ServerSession::new(ServerConfig::default(), NOW);
        let _ = server.input(&bytes, NOW);
        let _ = events(&bytes, &[]);
        let mut client = ClientSession::play(ClientConfig::new("h", "live", "room")).unwrap();
        let hello = vec![3; 1 + 2 * 1_536];
        let _ = client.input(&hello, NOW).and_then(|()| client.input(&bytes, NOW));
    }

    #[test]
    fn a_legal_publisher_with_wrong_bytes_is_an_error_or_progress(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = legal();
        for (index, byte) in flips {
            *index.get_mut(&mut bytes[..]) = byte;
        }
        let _ = events(&bytes, &[]);
    }

    #[test]
    fn any_split_of_the_bytes_gives_the_same_events(
        cuts in prop::collection::vec(any::<usize>(), 0..40),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let mut bytes = legal();
        for (index, byte) in flips {
            *index.get_mut(&mut bytes[..]) = byte;
        }
        // Legal or not: the events up to an error, and the error, do not depend on the pieces.
        prop_assert_eq!(events(&bytes, &cuts), events(&bytes, &[]));
    }
}
