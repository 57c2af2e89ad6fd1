//! The PROXY header of a load balancer in front.

use headwater_process::accept::proxy_header;

pub(crate) fn run(bytes: &[u8]) {
    // The bytes come as the network has them: whatever is decided is decided at the same byte.
    let whole = proxy_header(bytes);
    let first = (0..bytes.len()).find_map(|length| match proxy_header(&bytes[..length]) {
        Ok(None) => None,
        decided => Some((length, decided)),
    });
    match (whole, first) {
        (Ok(Some((length, client))), None) => {
            assert_eq!(length, bytes.len(), "{client:?} needs no more bytes")
        }
        (Ok(Some((length, client))), Some((at, decided))) => {
            assert_eq!(
                (at, decided),
                (length, Ok(Some((length, client)))),
                "a header is whole at its last byte"
            );
        }
        (Err(_), Some((_, decided))) => assert!(decided.is_err(), "{decided:?}, and then an error"),
        (Err(_), None) | (Ok(None), None) => {}
        (Ok(None), Some((at, decided))) => panic!("{decided:?} after {at} bytes, and then nothing"),
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
    let v2 = |head: &[u8], body: &[u8]| {
        let length = u16::try_from(body.len())
            .expect("a short body")
            .to_be_bytes();
        [SIGNATURE, head, &length, body, b"rest"].concat()
    };
    let v4 = [192, 0, 2, 1, 10, 0, 0, 1, 0x80, 0, 7, 0x8F];
    let v6 = [&[0x20, 1, 0x0D, 0xB8][..], &[1; 28], &[0x80, 0, 7, 0x8F]].concat();
    vec![
        b"PROXY TCP4 192.0.2.1 10.0.0.1 56324 1935\r\n\x03".to_vec(),
        b"PROXY TCP6 2001:db8::1 fd00::1 56324 1935\r\nGET".to_vec(),
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY TCP4 300.0.2.1 10.0.0.1 1 1\r\n".to_vec(),
        v2(&[0x21, 0x11], &v4),
        v2(&[0x21, 0x21], &v6),
        v2(&[0x20, 0x00], &[]),
        v2(
            &[0x21, 0x11],
            &[&v4[..], &[1, 0, 2, b'h', b'2', 4, 0, 1, 0]].concat(),
        ),
        v2(&[0x21, 0x31], &[0; 216]),
        v2(&[0x31, 0x11], &v4),
        SIGNATURE[..7].to_vec(),
    ]
}
