//! Signatures of addresses: whatever is presented opens only what a key in force has signed, and only in its time.

use std::sync::OnceLock;

use headwater_admission::fuzzing::Gate;
use headwater_admission::{AdmissionConfig, KeyPair, KeyRule, Kind, TakenSchemes, sign};
use headwater_media::{Query, StreamKey};
use headwater_process::config::Secret;

use crate::input::Input;

const NOW_UNIX_S: u64 = 0x5C27_1099;
const MAIN: &str = "e12c46f2612d5106e2034781ab261ca3";
const BACKUP: &str = "backup";

fn config() -> AdmissionConfig {
    let pair = |main: Option<&str>| KeyPair {
        main: main.map(|key| Secret::new(key.to_owned())),
        backup: main.map(|_| Secret::new(BACKUP.to_owned())),
    };
    let rule = |pattern: &str, scheme, publish, play| KeyRule {
        pattern: pattern.to_owned(),
        scheme,
        publish: pair(publish),
        play: pair(play),
    };
    AdmissionConfig {
        keys: vec![
            rule("default/live", TakenSchemes::Any, Some(MAIN), Some("other")),
            rule("default/tx*", TakenSchemes::Tx, Some(MAIN), None),
            rule("tv/*", TakenSchemes::Hmac, Some(MAIN), Some(MAIN)),
        ],
        ..AdmissionConfig::default()
    }
}

fn key_of(which: u8) -> StreamKey {
    let names = [
        "default/live/test",
        "default/live/inst/räum",
        "default/tx1/test",
        "tv/a/b",
        "default/none/x",
    ];
    names[usize::from(which) % names.len()]
        .parse()
        .expect("a good name")
}

/// Whether `query` holds a signature that one of the keys makes for this subject, worked out the other way round.
fn fits(kind: Kind, key: &StreamKey, query: &Query) -> bool {
    let keys = [MAIN, "other", BACKUP];
    let get = |name| query.get(name).unwrap_or_default();
    let (expires, signed) = (
        get("hwExpires").parse::<u64>(),
        get("hwSign").to_ascii_lowercase(),
    );
    let by_hmac = expires.is_ok_and(|end| {
        end >= NOW_UNIX_S
            && keys
                .iter()
                .any(|with| sign::hmac(with, kind, key, end).1 == signed)
    });
    let secrets = [
        get("txSecret").to_ascii_lowercase(),
        get("txSerect").to_ascii_lowercase(),
    ];
    let by_tx = u32::from_str_radix(get("txTime"), 16).is_ok_and(|end| {
        u64::from(end) >= NOW_UNIX_S
            && keys
                .iter()
                .any(|with| secrets.contains(&sign::tx(with, key.stream(), end).1))
    });
    by_hmac || by_tx
}

/// First byte: publish or play; second: the stream; a third: which parameters are signed for the input, so that fuzzing
/// gets past the digest; then the end of the signature and more of the query.
pub(crate) fn run(bytes: &[u8]) {
    static GATE: OnceLock<Gate> = OnceLock::new();
    let gate = GATE.get_or_init(|| Gate::new(&config()).expect("a good configuration"));
    let mut input = Input::new(bytes);
    let kind = if input.u8() & 1 == 0 {
        Kind::Publish
    } else {
        Kind::Play
    };
    let key = key_of(input.u8());
    let how = input.u8();
    let end = input.u32();
    let Ok(more) = std::str::from_utf8(input.rest()) else {
        return;
    };
    let with = if how & 4 == 0 { MAIN } else { BACKUP };
    let text = match how & 3 {
        0 => more.to_owned(),
        1 => {
            let (time, secret) = sign::tx(with, key.stream(), end);
            format!("txSecret={secret}&txTime={time}&{more}")
        }
        2 => {
            let (expires, sign) = sign::hmac(with, kind, &key, end.into());
            format!("hwSign={sign}&hwExpires={expires}&{more}")
        }
        _ => {
            let (time, secret) = sign::tx(with, key.stream(), end);
            format!("{more}&txSerect={secret}&txTime={time}")
        }
    };
    let Ok(query) = Query::parse(&text) else {
        return;
    };
    match gate.judge(kind, &key, &query, NOW_UNIX_S) {
        Ok(true) => assert!(fits(kind, &key, &query), "{kind:?} {key} is open to {text}"),
        Ok(false) => assert!(
            kind == Kind::Play && key.app().starts_with("tx"),
            "{key} is open to all"
        ),
        Err(refusal) => assert!(!refusal.text.is_empty(), "a refusal without a reason"),
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let soon = u32::try_from(NOW_UNIX_S).expect("32 bits") + 60;
    let mut seeds = Vec::new();
    for which in 0..5 {
        for how in 1..8 {
            seeds.push([&[how & 1, which, how], &soon.to_le_bytes()[..], b"bizid=1"].concat());
        }
    }
    seeds.push(
        b"\x00\x00\x00\0\0\0\0txSecret=f85a2ab363fe4deaffef9754d79da6fe&txTime=5C271099".to_vec(),
    );
    seeds.push(b"\x00\x00\x00\0\0\0\0hwExpires=1546064025&hwSign=00".to_vec());
    seeds
}
