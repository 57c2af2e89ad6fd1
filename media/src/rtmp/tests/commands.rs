//! Commands as encoders send them, and what they are answered.

use super::*;
use crate::TagKind;
use crate::rtmp::{Capabilities, code};

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
