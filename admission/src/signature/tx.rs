//! The scheme of hosted CDNs: `txTime` = Unix seconds in hex, `txSecret` = MD5(key + stream + txTime) in hex.

use md5::{Digest, Md5};

use super::{Fault, Subject, hex, in_time, is_any_of};

// Exactly eight digits (the years 1978 to 2106): nothing stands between stream and time in what is hashed, so with a
// free length a signature for `roomA` would also be one for `room` that ends a thousand years later.
const TIME_DIGITS: usize = 8;

const TIME_SHAPE: &str =
    "txTime must be the Unix time of its end in seconds, as 8 hexadecimal digits";
const SECRET_SHAPE: &str = "txSecret must be an MD5 sum, as 32 hexadecimal digits";

/// MD5(`key` + `stream` + `tx_time`), 16 bytes. `tx_time` counts as spelt.
pub(crate) fn digest(key: &str, stream: &str, tx_time: &str) -> [u8; 16] {
    Md5::new()
        .chain_update(key)
        .chain_update(stream)
        .chain_update(tx_time)
        .finalize()
        .into()
}

/// Whether one of `keys` made `secret` for the subject's stream and `time`, and `time` is not over.
///
/// Hex digits of either case are read. What was hashed is tried as spelt and with capitals, since some signers show
/// another case than the one they hash. The scheme knows no app: keys of different apps keep them apart.
pub(crate) fn verify<'k>(
    keys: impl Iterator<Item = &'k str>,
    subject: Subject<'_>,
    time: Option<&str>,
    secret: Option<&str>,
    now_unix_s: u64,
) -> Result<(), Fault> {
    let secret = secret.ok_or(Fault::Missing(super::TX_SECRET))?;
    let time = time.ok_or(Fault::Missing(super::TX_TIME))?;
    let secret = hex::<16>(secret).ok_or(Fault::Malformed(SECRET_SHAPE))?;
    if time.len() != TIME_DIGITS {
        return Err(Fault::Malformed(TIME_SHAPE));
    }
    let expires = hex::<4>(time).ok_or(Fault::Malformed(TIME_SHAPE))?;

    let capitals = time.to_ascii_uppercase();
    let expected = keys
        .flat_map(|key| [time, capitals.as_str()].map(|time| digest(key, subject.stream, time)));
    if !is_any_of(&secret, expected) {
        return Err(Fault::Foreign);
    }
    in_time(u32::from_be_bytes(expires).into(), now_unix_s)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Kind;
    use crate::signature::to_hex;

    const KEY: &str = "e12c46f2612d5106e2034781ab261ca3";
    const TIME: &str = "5C271099";
    const SECRET: &str = "f85a2ab363fe4deaffef9754d79da6fe";
    const END: u64 = 0x5C27_1099;

    fn check(
        stream: &str,
        time: Option<&str>,
        secret: Option<&str>,
        now: u64,
    ) -> Result<(), Fault> {
        let subject = Subject {
            kind: Kind::Publish,
            key: "default/live/ignored",
            stream,
        };
        verify([KEY].into_iter(), subject, time, secret, now)
    }

    #[test]
    fn the_published_vector_holds() {
        assert_eq!(to_hex(&digest(KEY, "test", TIME)), SECRET);
    }

    #[test]
    fn each_fault_has_its_name() {
        let lower = TIME.to_lowercase();
        let of_lower = to_hex(&digest(KEY, "test", &lower));
        let upper_secret = SECRET.to_uppercase();
        let other_key = to_hex(&digest("another", "test", TIME));
        let expired = |ago_s| Err(Fault::Expired { ago_s });
        let time_shape = Err(Fault::Malformed(TIME_SHAPE));
        let secret_shape = Err(Fault::Malformed(SECRET_SHAPE));
        for (name, stream, time, secret, now, verdict) in [
            ("good", "test", Some(TIME), Some(SECRET), 0, Ok(())),
            (
                "its last second",
                "test",
                Some(TIME),
                Some(SECRET),
                END,
                Ok(()),
            ),
            (
                "a second late",
                "test",
                Some(TIME),
                Some(SECRET),
                END + 1,
                expired(1),
            ),
            (
                "for ever late",
                "test",
                Some(TIME),
                Some(SECRET),
                u64::MAX,
                expired(u64::MAX - END),
            ),
            (
                "secret in capitals",
                "test",
                Some(TIME),
                Some(&*upper_secret),
                0,
                Ok(()),
            ),
            (
                "time shown small",
                "test",
                Some(&*lower),
                Some(SECRET),
                0,
                Ok(()),
            ),
            (
                "time hashed small",
                "test",
                Some(&*lower),
                Some(&*of_lower),
                0,
                Ok(()),
            ),
            (
                "other stream",
                "test2",
                Some(TIME),
                Some(SECRET),
                0,
                Err(Fault::Foreign),
            ),
            (
                "stream in capitals",
                "TEST",
                Some(TIME),
                Some(SECRET),
                0,
                Err(Fault::Foreign),
            ),
            (
                "other key",
                "test",
                Some(TIME),
                Some(&*other_key),
                0,
                Err(Fault::Foreign),
            ),
            (
                "foreign and late",
                "test",
                Some(TIME),
                Some(&*other_key),
                END + 9,
                Err(Fault::Foreign),
            ),
            (
                "other time",
                "test",
                Some("6C271099"),
                Some(SECRET),
                0,
                Err(Fault::Foreign),
            ),
            (
                "no secret",
                "test",
                Some(TIME),
                None,
                0,
                Err(Fault::Missing("txSecret")),
            ),
            (
                "no time",
                "test",
                None,
                Some(SECRET),
                0,
                Err(Fault::Missing("txTime")),
            ),
            (
                "decimal time",
                "test",
                Some("1546064025"),
                Some(SECRET),
                0,
                time_shape,
            ),
            ("empty time", "test", Some(""), Some(SECRET), 0, time_shape),
            (
                "signed time",
                "test",
                Some("+5C27109"),
                Some(SECRET),
                0,
                time_shape,
            ),
            (
                "short secret",
                "test",
                Some(TIME),
                Some(&SECRET[1..]),
                0,
                secret_shape,
            ),
            (
                "empty secret",
                "test",
                Some(TIME),
                Some(""),
                0,
                secret_shape,
            ),
        ] {
            assert_eq!(check(stream, time, secret, now), verdict, "{name}");
        }
    }

    #[test]
    fn a_signature_wrong_at_any_one_character_opens_nothing() {
        for at in 0..SECRET.len() {
            for (put, foreign) in [
                ("0", true),
                ("1", true),
                ("g", false),
                (" ", false),
                ("é", false),
            ] {
                let mut secret = SECRET.to_owned();
                secret.replace_range(at..=at, put);
                if secret == SECRET {
                    continue;
                }
                let fault = check("test", Some(TIME), Some(&secret), 0).unwrap_err();
                assert_eq!(fault == Fault::Foreign, foreign, "{secret}");
            }
        }
        for at in 0..TIME.len() {
            for (put, foreign) in [
                ("E", true),
                ("g", false),
                ("", false),
                ("00", false),
                ("é", false),
            ] {
                let mut time = TIME.to_owned();
                time.replace_range(at..=at, put);
                let fault = check("test", Some(&time), Some(SECRET), 0).unwrap_err();
                assert_eq!(fault == Fault::Foreign, foreign, "{time}");
            }
        }
    }

    #[test]
    fn no_digit_can_be_moved_between_stream_and_time() {
        let secret = to_hex(&digest(KEY, "roomA", TIME));
        assert_eq!(check("roomA", Some(TIME), Some(&secret), 0), Ok(()));
        let moved = check("room", Some("A5C271099"), Some(&secret), END + 1);
        assert_eq!(moved, Err(Fault::Malformed(TIME_SHAPE)));
    }

    proptest! {
        #[test]
        fn any_parameters_are_a_fault_and_never_a_panic(
            stream in ".*",
            time in proptest::option::of(".*|[0-9a-fA-F]{8}"),
            secret in proptest::option::of(".*|[0-9a-fA-F]{32}"),
            now in any::<u64>(),
        ) {
            prop_assert!(check(&stream, time.as_deref(), secret.as_deref(), now).is_err());
        }
    }
}
