//! The head of an internal pull's answer: that of a pull, or of a refusal.

use headwater_hop::{Elsewhere, Previous, PullHead, Refusal, StartAt};
use headwater_media::Dts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::input::Input;

fn headers(bytes: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n').take(32) {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let name = parts.next().unwrap_or_default();
        let value = parts.next().unwrap_or_default();
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        {
            headers.append(name, value);
        }
    }
    headers
}

/// A status, the session and tag asked for, then header lines.
pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let status = input.u16();
    let asked = StartAt::After {
        epoch: input.u8().into(),
        sequence: input.u8().into(),
    };
    let headers = headers(input.rest());
    if let Ok(head) = PullHead::read(&headers) {
        let _ = head.check(asked);
        let mut again = HeaderMap::new();
        head.write(&mut again);
        assert_eq!(
            PullHead::read(&again),
            Ok(head),
            "what was written reads differently"
        );
    }
    let Ok(status) = StatusCode::from_u16(status) else {
        return;
    };
    if let Some(refusal) = Refusal::read(status, &headers) {
        let mut again = HeaderMap::new();
        refusal.write(&mut again);
        assert_eq!(
            Refusal::read(refusal.status(), &again),
            Some(refusal),
            "what was written reads differently"
        );
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let text = |status: u16, headers: &HeaderMap| {
        let mut bytes = status.to_le_bytes().to_vec();
        bytes.extend_from_slice(&[1, 5]);
        for (name, value) in headers {
            bytes.extend_from_slice(name.as_str().as_bytes());
            bytes.push(b':');
            bytes.extend_from_slice(value.as_bytes());
            bytes.push(b'\n');
        }
        bytes
    };
    let head = |previous, gap| {
        let mut headers = HeaderMap::new();
        PullHead {
            epoch: u64::MAX,
            term: 1,
            first_sequence: 6,
            dts_offset: Dts(-5),
            first_dts: Dts(i64::MIN),
            gap,
            previous,
            preface: 3,
        }
        .write(&mut headers);
        text(200, &headers)
    };
    let refusal = |refusal: Refusal| {
        let mut headers = HeaderMap::new();
        refusal.write(&mut headers);
        text(refusal.status().as_u16(), &headers)
    };
    vec![
        head(None, 0),
        head(
            Some(Previous {
                epoch: 1,
                last: None,
            }),
            7,
        ),
        head(
            Some(Previous {
                epoch: 1,
                last: Some(2),
            }),
            0,
        ),
        refusal(Refusal::NotHere(Elsewhere {
            home: Some("a:1".to_owned()),
            ingress: Some("b:2".to_owned()),
            term: 3,
        })),
        refusal(Refusal::Behind { epoch: 4, term: 5 }),
        refusal(Refusal::NotYet),
        refusal(Refusal::Loop),
    ]
}
