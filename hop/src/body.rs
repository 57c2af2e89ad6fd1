//! A body that is made piece by piece by an async function, without a task of its own.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};

/// Calls `make` with the state for each piece, when the connection has room for one: so back-pressure needs no channel,
/// and nothing is left behind when the connection drops the body.
pub(crate) struct Pieces<S, M, F> {
    make: M,
    state: Option<S>,
    piece: Pin<Box<Option<F>>>,
}

impl<S, M, F> Pieces<S, M, F> {
    pub(crate) fn new(state: S, make: M) -> Self {
        Pieces {
            make,
            state: Some(state),
            piece: Box::pin(None),
        }
    }
}

impl<S, M, F, E> Body for Pieces<S, M, F>
where
    S: Unpin,
    M: FnMut(S) -> F + Unpin,
    F: Future<Output = (Option<Result<Bytes, E>>, S)>,
{
    type Data = Bytes;
    type Error = E;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, E>>> {
        let this = self.get_mut();
        if let Some(state) = this.state.take() {
            this.piece.set(Some((this.make)(state)));
        }
        let Some(making) = this.piece.as_mut().as_pin_mut() else {
            return Poll::Ready(None);
        };
        let Poll::Ready((piece, state)) = making.poll(cx) else {
            return Poll::Pending;
        };
        this.piece.set(None);
        // Without a state the body has ended.
        this.state = piece.is_some().then_some(state);
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }
}
