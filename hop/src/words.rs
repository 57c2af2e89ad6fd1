//! What a receiver says while it is served: whether it passes each tag on at once.
//!
//! It stands in the body of the request, which goes on as long as the answer does: a byte for each change, `1` when tags
//! are wanted at once and `0` when the receiver looks at a tick of its own. A receiver that says nothing wants them at once,
//! and a sender that does not listen sends them so.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body, Frame};
use hyper::body::Incoming;
use parking_lot::Mutex;

const AT_ONCE: u8 = b'1';
const AT_A_TICK: u8 = b'0';

/// The receiver's mouth.
#[derive(Debug)]
pub(crate) struct Say {
    said: bool,
    word: Arc<Mutex<Word>>,
}

/// What is said, as a body.
#[derive(Debug)]
pub(crate) struct Saying(Arc<Mutex<Word>>);

/// What is on the tip of the tongue: only the last word counts.
#[derive(Debug, Default)]
struct Word {
    at_once: Option<bool>,
    waker: Option<Waker>,
}

/// At first tags are wanted at once.
pub(crate) fn words() -> (Say, Saying) {
    let word = Arc::default();
    let say = Say {
        said: true,
        word: Arc::clone(&word),
    };
    (say, Saying(word))
}

impl Say {
    /// Says whether tags are wanted at once, if that is news.
    pub(crate) fn at_once(&mut self, at_once: bool) {
        if std::mem::replace(&mut self.said, at_once) == at_once {
            return;
        }
        let waker = {
            let mut word = self.word.lock();
            word.at_once = Some(at_once);
            word.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Body for Saying {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let mut word = self.0.lock();
        let Some(at_once) = word.at_once.take() else {
            if !word
                .waker
                .as_ref()
                .is_some_and(|it| it.will_wake(cx.waker()))
            {
                word.waker = Some(cx.waker().clone());
            }
            return Poll::Pending;
        };
        let byte = if at_once { &[AT_ONCE] } else { &[AT_A_TICK] };
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(byte)))))
    }
}

/// The sender's ear.
#[derive(Debug)]
pub(crate) struct Hear(Option<Incoming>);

impl Hear {
    pub(crate) fn new(body: Incoming) -> Hear {
        Hear((!body.is_end_stream()).then_some(body))
    }

    /// Waits for the receiver's next word; for ever if it says nothing more, or what is no word. Safe to cancel.
    pub(crate) async fn at_once(&mut self) -> bool {
        loop {
            let Some(body) = &mut self.0 else {
                return std::future::pending().await;
            };
            let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await;
            let data = frame.and_then(Result::ok).map(Frame::into_data);
            match data.map(|data| data.map(|data| data.last().copied())) {
                Some(Ok(Some(AT_ONCE))) => return true,
                Some(Ok(Some(AT_A_TICK))) => return false,
                Some(Ok(None)) => {}
                // Gone, or another protocol: the connection tells which.
                Some(Ok(Some(_)) | Err(_)) | None => self.0 = None,
            }
        }
    }
}
