//! Signed addresses: what a query presents, and whether a key made it.

pub(crate) mod hmac;
pub(crate) mod tx;

use subtle::{Choice, ConstantTimeEq};

use crate::Kind;

/// The parameters of `txTime`/`txSecret`, the spelling of hosted CDNs. `txSerect` is a misspelling in circulation.
pub(crate) const TX_TIME: &str = "txTime";
pub(crate) const TX_SECRET: &str = "txSecret";
pub(crate) const TX_SECRET_MISSPELT: &str = "txSerect";
/// The parameters of the HMAC scheme.
pub(crate) const HW_EXPIRES: &str = "hwExpires";
pub(crate) const HW_SIGN: &str = "hwSign";

/// The parameters that are of no use to anybody but the verifier.
pub(crate) const SIGNATURES: [&str; 3] = [TX_SECRET, TX_SECRET_MISSPELT, HW_SIGN];

/// What a query says about a signature, not yet believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presented<'a> {
    Nothing,
    Tx {
        time: Option<&'a str>,
        secret: Option<&'a str>,
    },
    Hmac {
        expires: Option<&'a str>,
        sign: Option<&'a str>,
    },
}

impl<'a> Presented<'a> {
    /// Reads the parameters through `get`, the first value of a name. If there are both schemes, the stronger counts.
    pub(crate) fn read(get: impl Fn(&str) -> Option<&'a str>) -> Self {
        let (expires, sign) = (get(HW_EXPIRES), get(HW_SIGN));
        if expires.is_some() || sign.is_some() {
            return Presented::Hmac { expires, sign };
        }
        let secret = get(TX_SECRET).or_else(|| get(TX_SECRET_MISSPELT));
        let time = get(TX_TIME);
        if time.is_some() || secret.is_some() {
            return Presented::Tx { time, secret };
        }
        Presented::Nothing
    }
}

/// What a signature is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) kind: Kind,
    /// `vhost/app[/instance]/stream`, decoded.
    pub(crate) key: &'a str,
    /// The last part of `key`.
    pub(crate) stream: &'a str,
}

/// A signature that opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A parameter that the scheme needs is not there.
    Missing(&'static str),
    /// A parameter does not have its shape; the text says which shape.
    Malformed(&'static str),
    /// No key in force made it for this subject.
    Foreign,
    /// A key in force made it, and it ended so many seconds ago.
    Expired { ago_s: u64 },
}

/// Reads exactly `N` bytes of hex digits, of either case.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| -> Option<u8> {
        match byte {
            b'0'..=b'9' => Some(byte.wrapping_sub(b'0')),
            b'a'..=b'f' => Some(byte.wrapping_sub(b'a').wrapping_add(10)),
            b'A'..=b'F' => Some(byte.wrapping_sub(b'A').wrapping_add(10)),
            _ => None,
        }
    };
    let (pairs, odd) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !odd.is_empty() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

/// `bytes` as lower-case hex digits.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Whether `presented` is one of `expected`, in a time that says nothing about which one or how nearly.
fn is_any_of<const N: usize>(presented: &[u8; N], expected: impl Iterator<Item = [u8; N]>) -> bool {
    expected
        .fold(Choice::from(0), |found, digest| {
            found | presented.ct_eq(&digest)
        })
        .into()
}

/// The last word on a signature that a key in force made: a good one ends with its second.
fn in_time(expires_unix_s: u64, now_unix_s: u64) -> Result<(), Fault> {
    match now_unix_s.checked_sub(expires_unix_s) {
        None | Some(0) => Ok(()),
        Some(ago_s) => Err(Fault::Expired { ago_s }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_stronger_scheme_counts_and_the_misspelling_is_read() {
        let cases: [(&[(&str, &str)], Presented<'_>); 5] = [
            (&[("bizid", "1234"), ("token", "x")], Presented::Nothing),
            (
                &[("txSerect", "s"), ("txTime", "t")],
                Presented::Tx {
                    time: Some("t"),
                    secret: Some("s"),
                },
            ),
            (
                &[("txSerect", "wrong"), ("txSecret", "s")],
                Presented::Tx {
                    time: None,
                    secret: Some("s"),
                },
            ),
            (
                &[("txTime", "t"), ("txSecret", "s"), ("hwSign", "h")],
                Presented::Hmac {
                    expires: None,
                    sign: Some("h"),
                },
            ),
            (
                &[("hwExpires", "")],
                Presented::Hmac {
                    expires: Some(""),
                    sign: None,
                },
            ),
        ];
        for (pairs, presented) in cases {
            let got = Presented::read(|name| {
                pairs
                    .iter()
                    .find_map(|(n, value)| (*n == name).then_some(*value))
            });
            assert_eq!(got, presented, "{pairs:?}");
        }
    }

    proptest! {
        #[test]
        fn hex_reads_what_hex_writes(bytes in any::<[u8; 16]>()) {
            let text = to_hex(&bytes);
            prop_assert_eq!(hex::<16>(&text), Some(bytes));
            prop_assert_eq!(hex::<16>(&text.to_uppercase()), Some(bytes));
            prop_assert_eq!(hex::<15>(&text), None);
            prop_assert_eq!(hex::<17>(&text), None);
        }

        #[test]
        fn any_text_is_hex_or_not(text in ".*") {
            hex::<16>(&text);
            hex::<32>(&text);
        }
    }
}
