//! The stronger scheme: `hwExpires` = Unix seconds, `hwSign` = hex HMAC-SHA-256 over purpose, whole key and time.

use hmac::digest::Key;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::{Fault, Subject, hex, in_time, is_any_of};

const EXPIRES_MAX_DIGITS: usize = 12;

const EXPIRES_SHAPE: &str =
    "hwExpires must be the Unix time of its end in seconds, in decimal digits";
const SIGN_SHAPE: &str = "hwSign must be an HMAC-SHA-256, as 64 hexadecimal digits";

/// HMAC-SHA-256(`key`, purpose LF stream key LF expiry), 32 bytes. No name holds a line feed.
pub(crate) fn digest(key: &str, subject: Subject<'_>, expires_unix_s: u64) -> [u8; 32] {
    Hmac::<Sha256>::new(&block(key.as_bytes()))
        .chain_update(subject.kind.label())
        .chain_update("\n")
        .chain_update(subject.key)
        .chain_update("\n")
        .chain_update(expires_unix_s.to_string())
        .finalize()
        .into_bytes()
        .into()
}

/// `key` as the block that HMAC begins with: zeros after it, and its hash if it is longer (RFC 2104, section 2).
fn block(key: &[u8]) -> Key<Hmac<Sha256>> {
    let mut block = Key::<Hmac<Sha256>>::default();
    let hash;
    let start: &[u8] = if key.len() > block.len() {
        hash = Sha256::digest(key);
        &hash
    } else {
        key
    };
    for (to, from) in block.iter_mut().zip(start) {
        *to = *from;
    }
    block
}

/// Whether one of `keys` made `sign` for the subject and `expires`, and `expires` is not over.
pub(crate) fn verify<'k>(
    keys: impl Iterator<Item = &'k str>,
    subject: Subject<'_>,
    expires: Option<&str>,
    sign: Option<&str>,
    now_unix_s: u64,
) -> Result<(), Fault> {
    let sign = sign.ok_or(Fault::Missing(super::HW_SIGN))?;
    let expires = expires.ok_or(Fault::Missing(super::HW_EXPIRES))?;
    let sign = hex::<32>(sign).ok_or(Fault::Malformed(SIGN_SHAPE))?;
    // `parse` alone would take a plus sign.
    if expires.len() > EXPIRES_MAX_DIGITS || !expires.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Fault::Malformed(EXPIRES_SHAPE));
    }
    let expires: u64 = expires
        .parse()
        .map_err(|_| Fault::Malformed(EXPIRES_SHAPE))?;

    if !is_any_of(&sign, keys.map(|key| digest(key, subject, expires))) {
        return Err(Fault::Foreign);
    }
    in_time(expires, now_unix_s)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Kind;
    use crate::signature::to_hex;

    const KEY: &str = "e12c46f2612d5106e2034781ab261ca3";
    const EXPIRES: &str = "1893456000";
    const END: u64 = 1_893_456_000;
    const SUBJECT: Subject<'static> = Subject {
        kind: Kind::Publish,
        key: "default/live/room",
        stream: "room",
    };

    fn check(subject: Subject<'_>, expires: &str, sign: &str, now: u64) -> Result<(), Fault> {
        verify([KEY].into_iter(), subject, Some(expires), Some(sign), now)
    }

    #[test]
    fn it_is_the_hmac_of_the_rfc() {
        // RFC 4231's cases 2 and 6 are about keys: a short one, and one longer than a block.
        let of = |key: &[u8], data: &str| {
            let mac = Hmac::<Sha256>::new(&block(key)).chain_update(data);
            to_hex(&mac.finalize().into_bytes())
        };
        assert_eq!(
            of(b"Jefe", "what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            of(
                &[0xAA; 131],
                "Test Using Larger Than Block-Size Key - Hash Key First"
            ),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn purpose_key_and_time_are_all_signed() {
        let sign = to_hex(&digest(KEY, SUBJECT, END));
        let play = Subject {
            kind: Kind::Play,
            ..SUBJECT
        };
        let app = Subject {
            key: "default/other/room",
            ..SUBJECT
        };
        let shape = Err(Fault::Malformed(EXPIRES_SHAPE));
        let sign_shape = Err(Fault::Malformed(SIGN_SHAPE));
        for (name, subject, expires, sign, now, verdict) in [
            ("good", SUBJECT, EXPIRES, &*sign, END, Ok(())),
            (
                "capitals",
                SUBJECT,
                EXPIRES,
                &*sign.to_uppercase(),
                END,
                Ok(()),
            ),
            (
                "late",
                SUBJECT,
                EXPIRES,
                &*sign,
                END + 60,
                Err(Fault::Expired { ago_s: 60 }),
            ),
            ("to play", play, EXPIRES, &*sign, END, Err(Fault::Foreign)),
            ("other app", app, EXPIRES, &*sign, END, Err(Fault::Foreign)),
            (
                "longer",
                SUBJECT,
                "1893456001",
                &*sign,
                END,
                Err(Fault::Foreign),
            ),
            ("hex time", SUBJECT, "70DBD880", &*sign, END, shape),
            ("plus", SUBJECT, "+1893456000", &*sign, END, shape),
            ("empty", SUBJECT, "", &*sign, END, shape),
            ("endless", SUBJECT, "9999999999999", &*sign, END, shape),
            ("short", SUBJECT, EXPIRES, &sign[2..], END, sign_shape),
            (
                "no hex",
                SUBJECT,
                EXPIRES,
                &*sign.replace('a', "x"),
                END,
                sign_shape,
            ),
        ] {
            assert_eq!(check(subject, expires, sign, now), verdict, "{name}");
        }
    }

    #[test]
    fn a_signature_wrong_at_any_one_character_opens_nothing() {
        let sign = to_hex(&digest(KEY, SUBJECT, END));
        for at in 0..sign.len() {
            for put in ["0", "1", "z", "é"] {
                let mut wrong = sign.clone();
                wrong.replace_range(at..=at, put);
                if wrong != sign {
                    check(SUBJECT, EXPIRES, &wrong, 0).unwrap_err();
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_parameters_are_a_fault_and_never_a_panic(
            key in ".*",
            expires in proptest::option::of(".*|[0-9]{1,13}"),
            sign in proptest::option::of(".*|[0-9a-fA-F]{64}"),
            now in any::<u64>(),
        ) {
            let subject = Subject { key: &key, ..SUBJECT };
            let verdict = verify([KEY].into_iter(), subject, expires.as_deref(), sign.as_deref(), now);
            prop_assert!(verdict.is_err());
        }
    }
}
