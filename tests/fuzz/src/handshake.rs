//! The RTMP handshake of either end.

use headwater_media::rtmp::handshake::{Handshake, HandshakeError};

use crate::cut::pieces;

/// What a handshake made of bytes. Its answers hold random bytes, so their length stands for them.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    result: Result<(), HandshakeError>,
    said_bytes: usize,
    left: Vec<u8>,
    done: bool,
}

fn shake<'a>(mut end: Handshake, pieces: impl Iterator<Item = &'a [u8]>) -> Outcome {
    let (mut said_bytes, mut left) = (0, Vec::new());
    let mut result = Ok(());
    for mut piece in pieces {
        match end.read(&mut piece) {
            Ok(said) => said_bytes += said.len(),
            Err(error) => {
                result = Err(error);
                break;
            }
        }
        left.extend_from_slice(piece);
    }
    Outcome {
        result,
        said_bytes,
        left,
        done: end.is_done(),
    }
}

fn end(client: bool) -> Handshake {
    if client {
        Handshake::client().expect("a hello").0
    } else {
        Handshake::server()
    }
}

/// First byte: which end; second: how the rest is cut.
pub(crate) fn run(bytes: &[u8]) {
    let [which, seed, bytes @ ..] = bytes else {
        return;
    };
    let client = which & 1 == 1;
    let whole = shake(end(client), std::iter::once(bytes));
    let cut = shake(end(client), pieces(bytes, *seed));
    assert_eq!(whole, cut, "a split changes the handshake");
    assert!(
        whole.left.is_empty() || whole.done,
        "bytes are left before the end"
    );
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let (mut client, hello) = Handshake::client().expect("a hello");
    let mut server = Handshake::server();
    let answer = server.read(&mut &hello[..]).expect("an answer");
    let echo = client.read(&mut &answer[..]).expect("an echo");
    let mut simple = vec![0; 1 + 2 * 1_536];
    simple[0] = 3;
    vec![
        [&[0, 1], &hello[..], &echo[..], b"chunks"].concat(),
        [&[0, 0], &hello[..1_000]].concat(),
        [&[1, 2], &answer[..], b"chunks"].concat(),
        [&[0, 3], &simple[..], b"chunks"].concat(),
        [&[1, 4], &simple[..]].concat(),
        vec![0, 1, 22, 3, 1],
    ]
}
