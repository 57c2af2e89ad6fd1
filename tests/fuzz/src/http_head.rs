//! The edge's request: head, stream name and the play's parameters.

use headwater_edge::fuzzing;

const HEAD_MAX_BYTES: usize = 2_048;

pub(crate) fn run(bytes: &[u8]) {
    let Ok(Some(used)) = fuzzing::request(bytes, HEAD_MAX_BYTES) else {
        return;
    };
    assert!(
        (1..=HEAD_MAX_BYTES.min(bytes.len())).contains(&used),
        "{used} bytes taken"
    );
    // A head that comes in pieces is the same head, and nothing before its end.
    assert_eq!(
        fuzzing::request(&bytes[..used], HEAD_MAX_BYTES),
        Ok(Some(used))
    );
    for cut in [used / 4, used / 2, used.saturating_sub(3), used - 1] {
        assert_eq!(
            fuzzing::request(&bytes[..cut], HEAD_MAX_BYTES),
            Ok(None),
            "cut at {cut} of {used}"
        );
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        "GET /live/room.flv HTTP/1.1\r\nHost: h:8080\r\nUser-Agent: VLC/3.0\r\nOrigin: http://a\r\n\r\n",
        "HEAD /live/inst/r%C3%A4um.flv?mode=rtc&wait=2.5 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: h\r\nAccess-Control-Request-Method: GET\r\n\r\n",
        "GET http://u@live.example:80/live/a.flv?vhost=tv&txSecret=1&txTime=2 HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
        "CONNECT h:443 HTTP/1.1\r\nHost: h\r\nConnection: close, x\r\n\r\n",
        "GET /live/room.flv HTTP/1.1\nHost: h\n\nGET / HTTP/1.1\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
