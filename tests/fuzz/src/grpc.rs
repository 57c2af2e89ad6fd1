//! The messages between roles, from their bytes to checked values and back.

use std::fmt::Debug;

use headwater_location::claim::{Claim, OnAir, OnDuplicate, Release, Standing, Verdict};
use headwater_location::{
    Down, Endpoint, Existing, Heartbeat, LocateReply, LocateRequest, Member, Members, Order, Part,
    PlaceReply, PlaceRequest, Report, Role, Seen, Site, Source, Sources, StreamReport, Up,
    WireError, proto,
};
use prost::Message;

/// Decodes a message `P`, checks it to a `T` and back.
fn check<P, T>(bytes: &[u8])
where
    P: Message + Default + Debug + for<'a> From<&'a T>,
    T: TryFrom<P, Error = WireError> + PartialEq + Debug,
{
    let Ok(message) = P::decode(bytes) else {
        return;
    };
    match T::try_from(message) {
        Ok(value) => {
            let sent = P::from(&value).encode_to_vec();
            let received = P::decode(&sent[..]).expect("what was written can be read");
            assert_eq!(
                T::try_from(received).as_ref(),
                Ok(&value),
                "what was written reads differently"
            );
        }
        Err(error) => assert!(error.to_string().is_ascii() && !error.reason().is_empty()),
    }
}

/// First byte: which message.
pub(crate) fn run(bytes: &[u8]) {
    let [which, bytes @ ..] = bytes else { return };
    match which % 9 {
        0 => check::<proto::Up, Up>(bytes),
        1 => check::<proto::Down, Down>(bytes),
        2 => check::<proto::PlaceRequest, PlaceRequest>(bytes),
        3 => check::<proto::PlaceReply, PlaceReply>(bytes),
        4 => check::<proto::LocateRequest, LocateRequest>(bytes),
        5 => check::<proto::LocateReply, LocateReply>(bytes),
        6 => check::<proto::ClaimRequest, Claim>(bytes),
        7 => check::<proto::ClaimReply, Verdict>(bytes),
        _ => check::<proto::ReleaseRequest, Release>(bytes),
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let key = "default/live/room"
        .parse::<headwater_location::StreamKey>()
        .expect("a good name");
    let seen = Seen {
        stream_dts_ms: -5,
        unix_ms: 7,
    };
    let endpoint = Endpoint {
        member: "origin-0".into(),
        address: "10.0.0.1:7000".to_owned(),
    };
    let source = Source {
        member: "origin-0".into(),
        role: Role::Origin,
        part: Part::Home,
        address: "10.0.0.1:7000".to_owned(),
        site: Site {
            region: "eu".to_owned(),
            zone: "a".to_owned(),
        },
    };
    let sources = Sources {
        epoch: 3,
        term: 4,
        sources: vec![source.clone()],
    };
    let member = Member::new("edge-0", Role::Edge, "10.0.0.2:7001");
    let report = StreamReport {
        carried: headwater_location::Carried {
            key: key.clone(),
            part: Part::Ingress,
            epoch: 3,
            term: 4,
            ingress: Some(endpoint.clone()),
            home: Some("origin-1".into()),
            seen: Some(seen),
            viewers: 9,
        },
        ended: true,
    };
    let up = |up: Up| (0, proto::Up::from(&up).encode_to_vec());
    let down = |down: Down| (1, proto::Down::from(&down).encode_to_vec());
    let messages = vec![
        up(Up::Hello(member.clone())),
        up(Up::Report(Report {
            begin: true,
            complete: true,
            streams: vec![report],
        })),
        up(Up::Heartbeat(Heartbeat::default())),
        up(Up::Watch(vec![key.clone()])),
        up(Up::Unwatch(vec![key.clone()])),
        down(Down::Members(Members {
            replica: "operator-0".to_owned(),
            version: 1,
            members: vec![member.into()],
            settled: true,
            complete: true,
            operators: vec![([10, 0, 0, 1], 7_100).into()],
        })),
        down(Down::Move {
            key: key.clone(),
            sources: sources.clone(),
        }),
        down(Down::Order(Order::Drain {
            grace: std::time::Duration::from_secs(9),
            reason: "r".to_owned(),
        })),
        down(Down::Order(Order::Undrain)),
        down(Down::Beat { settled: false }),
        (
            2,
            proto::PlaceRequest::from(&PlaceRequest {
                key: key.clone(),
                ingress: "origin-0".into(),
                epoch: 1,
                exclude: vec!["origin-1".into()],
            })
            .encode_to_vec(),
        ),
        (
            3,
            proto::PlaceReply::from(&PlaceReply {
                candidates: vec![source],
                existing: Some(Existing {
                    epoch: 1,
                    term: 2,
                    ingress: Some(endpoint.clone()),
                }),
                highest_term: 2,
                resume: Some(seen),
                settled: true,
            })
            .encode_to_vec(),
        ),
        (
            4,
            proto::LocateRequest::from(&LocateRequest {
                key: key.clone(),
                member: "edge-0".into(),
                site: Site::default(),
            })
            .encode_to_vec(),
        ),
        (
            5,
            proto::LocateReply::from(&LocateReply {
                sources,
                cache: std::time::Duration::from_millis(500),
                left_ago: None,
                settled: true,
            })
            .encode_to_vec(),
        ),
        (
            6,
            proto::ClaimRequest::from(&Claim {
                key: key.clone(),
                epoch: 1,
                term: 2,
                ingress: endpoint,
                publisher: "192.0.2.1".to_owned(),
                on_duplicate: OnDuplicate::Refuse,
                last: Some(seen),
                standing: Some(Standing::default()),
            })
            .encode_to_vec(),
        ),
        (
            7,
            proto::ClaimReply::from(&Verdict::Accepted {
                term: 1,
                dts_offset_ms: -1,
            })
            .encode_to_vec(),
        ),
        (7, proto::ClaimReply::from(&Verdict::AtCap).encode_to_vec()),
        (
            7,
            proto::ClaimReply::from(&Verdict::Stale { term: 1 }).encode_to_vec(),
        ),
        (
            7,
            proto::ClaimReply::from(&Verdict::Refused {
                reason: "duplicate".to_owned(),
                text: "taken".to_owned(),
            })
            .encode_to_vec(),
        ),
        (
            7,
            proto::ClaimReply::from(&Verdict::StandsBy(OnAir::default())).encode_to_vec(),
        ),
        (
            8,
            proto::ReleaseRequest::from(&Release {
                key,
                epoch: 1,
                term: 2,
                code: "c".to_owned(),
                reason: "r".to_owned(),
                stands_by: true,
            })
            .encode_to_vec(),
        ),
    ];
    messages
        .into_iter()
        .map(|(which, bytes)| [&[which], &bytes[..]].concat())
        .collect()
}
