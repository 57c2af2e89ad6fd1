use std::sync::Arc;
use std::time::Duration;

use headwater_admission::{KeyPair, PolicyKeys, SigningKeys, TakenSchemes};
use headwater_process::config::Secret;
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::claim::{Claim, Release, Verdict};
use crate::limits::KEY_MAX_BYTES;
use crate::policy::{Policy, StreamPattern, StreamSettings};
use crate::{
    Carried, Down, Endpoint, Exception, Exceptions, Heartbeat, Load, LocateReply, LocateRequest,
    Member, Members, Order, Part, PlaceReply, PlaceRequest, PoliciesChunk, Rehome, Report, Role,
    Seen, Site, Source, Sources, StreamKey, StreamReport, Up, proto,
};

fn decode_all(bytes: &[u8]) {
    macro_rules! decode {
        ($($wire:ty => $ours:ty),* $(,)?) => {
            $(
                if let Ok(message) = <$wire>::decode(bytes) {
                    // An error is as good as a value; what must not happen is a panic.
                    let _: Result<$ours, WireError> = message.try_into();
                }
            )*
        };
    }
    decode!(
        proto::Up => Up,
        proto::Down => Down,
        proto::PlaceRequest => PlaceRequest,
        proto::PlaceReply => PlaceReply,
        proto::LocateRequest => LocateRequest,
        proto::LocateReply => LocateReply,
        proto::ClaimRequest => Claim,
        proto::ClaimReply => Verdict,
        proto::ReleaseRequest => Release,
    );
}

fn key(text: &str) -> StreamKey {
    text.parse().unwrap()
}

fn endpoint() -> Endpoint {
    Endpoint {
        member: "origin-0".into(),
        address: "[::1]:7000".to_owned(),
    }
}

fn source() -> Source {
    Source {
        member: "origin-0".into(),
        role: Role::Origin,
        part: Part::Ingress,
        address: "origin-0:7000".to_owned(),
        site: Site {
            region: "eu".to_owned(),
            zone: String::new(),
        },
    }
}

fn policy(keys: Option<PolicyKeys>) -> Policy {
    Policy {
        name: "lessons".to_owned(),
        streams: vec![StreamPattern {
            vhost: "*".to_owned(),
            app: "live".to_owned(),
            stream: "lesson-*".to_owned(),
        }],
        settings: StreamSettings {
            linger: Some(Duration::from_secs(3)),
            ..StreamSettings::default()
        },
        keys,
    }
}

/// With every key that there can be.
fn keyed(key: &str) -> Policy {
    let pair = KeyPair {
        main: Some(Secret::new(key.to_owned())),
        backup: Some(Secret::new(key.to_owned())),
    };
    policy(Some(PolicyKeys::Known(SigningKeys {
        scheme: TakenSchemes::Hmac,
        publish: pair.clone(),
        play: pair,
    })))
}

fn carried() -> Carried {
    Carried {
        key: key("default/live/a/b c"),
        part: Part::Carrier,
        epoch: u64::MAX,
        term: 1,
        ingress: Some(endpoint()),
        home: Some("origin-1".into()),
        seen: Some(Seen {
            stream_dts_ms: i64::MIN,
            unix_ms: 3,
        }),
        viewers: 4,
    }
}

#[test]
fn what_is_said_in_a_session_arrives_as_it_was_said() {
    let member = Member {
        cordoned: true,
        rtmp_url: "rtmp://live.example/".to_owned(),
        incarnation: 8,
        revision: 9,
        ..Member::new("origin-0", Role::Origin, "origin-0:7000")
    };
    let ups = [
        Up::Hello(member.clone()),
        Up::Report(Report {
            begin: true,
            complete: false,
            streams: vec![StreamReport {
                carried: carried(),
                ended: true,
            }],
        }),
        Up::Heartbeat(Heartbeat {
            ready: true,
            draining: false,
            revision: 3,
            load: Load {
                cpu_permille: 10,
                memory_bytes: 11,
                egress_bits_per_second: 12,
                connections: 13,
            },
        }),
        Up::Watch(vec![key("default/live/room")]),
        Up::Unwatch(vec![]),
    ];
    for up in ups {
        let bytes = proto::Up::from(&up).encode_to_vec();
        let said = proto::Up::decode(&*bytes).unwrap();
        assert_eq!(Up::try_from(said), Ok(up));
    }
    let downs = [
        Down::Members(Members {
            replica: "r".to_owned(),
            version: 3,
            members: vec![Arc::new(member)],
            settled: true,
            complete: true,
            operators: vec!["10.0.0.1:7100".parse().unwrap()],
        }),
        Down::Exceptions(Exceptions {
            reset: true,
            set: vec![(
                key("default/live/room"),
                Exception {
                    home: "a".into(),
                    ingress: Some(endpoint()),
                    epoch: 1,
                    term: 2,
                },
            )],
            removed: vec![key("default/live/gone")],
        }),
        Down::Rehome(Rehome {
            key: key("default/live/room"),
            epoch: 5,
            home: endpoint(),
        }),
        Down::Move {
            key: key("default/live/room"),
            sources: Sources {
                epoch: 1,
                term: 2,
                sources: vec![source()],
            },
        },
        Down::Order(Order::Drain {
            grace: Duration::from_secs(30),
            reason: "node".to_owned(),
        }),
        Down::Order(Order::Undrain),
        Down::Policies(PoliciesChunk {
            begin: true,
            complete: false,
            policies: vec![policy(None), policy(Some(PolicyKeys::Unread)), keyed("k")],
        }),
        Down::Beat { settled: true },
    ];
    for down in downs {
        let bytes = proto::Down::from(&down).encode_to_vec();
        let said = proto::Down::decode(&*bytes).unwrap();
        assert_eq!(Down::try_from(said), Ok(down));
    }
}

#[test]
fn the_fullest_chunk_fits_a_message() {
    let word = || "x".repeat(WORD_MAX_BYTES);
    let full = StreamReport {
        carried: Carried {
            key: key(&format!("default/live/{}", "x".repeat(KEY_MAX_BYTES - 13))),
            ingress: Some(Endpoint {
                member: word().into(),
                address: word(),
            }),
            home: Some(word().into()),
            ..carried()
        },
        ended: true,
    };
    let up = Up::Report(Report {
        begin: true,
        complete: true,
        streams: vec![full; CHUNK_MAX_ENTRIES],
    });
    assert!(proto::Up::from(&up).encoded_len() < crate::limits::MESSAGE_MAX_BYTES);
    let member = Member {
        site: Site {
            region: word(),
            zone: word(),
        },
        version: word(),
        rtmp_url: "x".repeat(TEXT_MAX_BYTES),
        http_url: "x".repeat(TEXT_MAX_BYTES),
        ..Member::new(&word(), Role::Origin, &word())
    };
    let down = Down::Members(Members {
        members: std::iter::repeat_n(Arc::new(member), CHUNK_MAX_ENTRIES).collect(),
        ..Members::default()
    });
    assert!(proto::Down::from(&down).encoded_len() < crate::limits::MESSAGE_MAX_BYTES);
    let pattern = StreamPattern {
        vhost: word(),
        app: word(),
        stream: word(),
    };
    let policy = Policy {
        name: word(),
        streams: vec![pattern; crate::limits::POLICY_PATTERNS_MAX],
        ..keyed(&"x".repeat(1024))
    };
    let down = Down::Policies(PoliciesChunk {
        policies: vec![policy; crate::limits::POLICIES_CHUNK_MAX],
        ..PoliciesChunk::default()
    });
    assert!(proto::Down::from(&down).encoded_len() < crate::limits::MESSAGE_MAX_BYTES);
}

#[test]
fn keys_that_sign_nothing_are_no_policy_and_open_nothing() {
    let mut policy = proto::Policy::from(&keyed("k"));
    policy.keys = Some(proto::PolicyKeys::default());
    assert_eq!(
        Policy::try_from(policy),
        Err(WireError::Meaningless("policy.keys"))
    );
}

#[test]
fn what_the_contract_does_not_know_is_refused_by_field() {
    let good = || proto::Member::from(&Member::new("a", Role::Edge, "a:1"));
    let member = |change: fn(&mut proto::Member)| {
        let mut member = good();
        change(&mut member);
        Member::try_from(member).map(|_| ())
    };
    type Change = fn(&mut proto::Member);
    let cases: [(&str, Change, Result<(), WireError>); 6] = [
        ("good", |_| {}, Ok(())),
        (
            "no id",
            |it| it.id.clear(),
            Err(WireError::Missing("member.id")),
        ),
        (
            "no role",
            |it| it.role = 0,
            Err(WireError::Meaningless("role")),
        ),
        (
            "role of the future",
            |it| it.role = 99,
            Err(WireError::Meaningless("role")),
        ),
        (
            "two lines",
            |it| it.version = "1\n2".to_owned(),
            Err(WireError::Meaningless("member.version")),
        ),
        (
            "long",
            |it| it.internal = "x".repeat(WORD_MAX_BYTES + 1),
            Err(WireError::TooLong("member.internal")),
        ),
    ];
    for (name, change, want) in cases {
        assert_eq!(member(change), want, "{name}");
    }
    let crowd = proto::Up {
        message: Some(proto::up::Message::Watch(proto::Watch {
            keys: vec!["default/live/room".to_owned(); CHUNK_MAX_ENTRIES + 1],
        })),
    };
    assert_eq!(Up::try_from(crowd), Err(WireError::TooLong("keys")));
    let empty = proto::Up { message: None };
    assert_eq!(Up::try_from(empty), Err(WireError::Missing("up.message")));
    for name in ["", "a", "a/b", "a/../b", "a/b/\0", "a//b"] {
        let request = proto::LocateRequest {
            key: name.to_owned(),
            ..proto::LocateRequest::default()
        };
        assert!(LocateRequest::try_from(request).is_err(), "{name:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_give_an_error_or_a_value(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        decode_all(&bytes);
    }

    #[test]
    fn good_bytes_with_a_few_wrong_ones_too(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let report = Up::Report(Report {
            streams: vec![StreamReport { carried: carried(), ended: false }; 3],
            ..Report::default()
        });
        let mut bytes = proto::Up::from(&report).encode_to_vec();
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        decode_all(&bytes);
    }
}
