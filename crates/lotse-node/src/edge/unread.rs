//! How much of what one caller was answered may be here. An answer waits in memory until it is sent, and whoever asks may never read.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use hyper::body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

use super::allowance::{Allowance, Charge, overloaded};
use super::status::explain;
use super::unfinished::{Message, Unanswered};

/// What an answer is charged beside its messages, from the call until its end: tonic's buffer, the stream, what waits to be encoded.
const OPEN_ANSWER_BYTES: usize = 16 * 1024;

/// Takes the place of an answer, before the call is worked on; refused if this caller has none left.
pub(super) fn place(allowance: &Arc<Allowance>) -> Result<Charge, Status> {
    allowance.charge(OPEN_ANSWER_BYTES).ok_or_else(too_much)
}

/// An answer whose messages are charged from when they are encoded until their last byte has left.
pub(super) struct Unread {
    answer: Body,
    message: Message,
    place: Charge,
    unanswered: Arc<Unanswered>,
}

impl Unread {
    pub(super) fn new(answer: Body, place: Charge, unanswered: Arc<Unanswered>) -> Unread {
        Unread { answer, message: Message::default(), place, unanswered }
    }

    /// Charges bytes; they give the charge back themselves. An answer that would be too much ends with the reason instead.
    fn charged(&mut self, bytes: Bytes) -> Frame<Bytes> {
        let Unread { message, unanswered, .. } = self;
        let Ok(()) = message.take(&bytes, |_| {
            unanswered.answer();
            Ok::<_, Infallible>(())
        });
        if let Some(charge) = self.place.another(bytes.len()) {
            return Frame::data(Bytes::from_owner(Charged { bytes, _charge: charge }));
        }
        self.answer = Body::empty();
        let mut trailers = HeaderMap::new();
        // Cannot fail: tonic encodes every text for a header.
        let _ = too_much().add_header(&mut trailers);
        Frame::trailers(trailers)
    }
}

fn too_much() -> Status {
    overloaded("too much of what this caller was answered waits to be sent: read it, and ask for less at a time")
}

/// Bytes that wait to be sent.
struct Charged {
    bytes: Bytes,
    _charge: Charge,
}

impl AsRef<[u8]> for Charged {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Charges a page until its last byte has left; `None` if that is too much. `place` is the one taken for it.
pub(super) async fn page(answer: Response, mut place: Charge) -> Option<Response> {
    let (head, body) = answer.into_parts();
    // Pages are whole before they are sent.
    let bytes = axum::body::to_bytes(body, usize::MAX).await.ok()?;
    let fits = place.change(OPEN_ANSWER_BYTES + bytes.len());
    fits.then(|| Response::from_parts(head, Bytes::from_owner(Charged { bytes, _charge: place }).into()))
}

impl hyper::body::Body for Unread {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(frame) = ready!(Pin::new(&mut self.answer).poll_frame(cx)) else { return Poll::Ready(None) };
        Poll::Ready(Some(frame.map(|frame| match frame.into_data() {
            Ok(bytes) => self.charged(bytes),
            Err(mut other) => {
                other.trailers_mut().into_iter().for_each(explain);
                other
            }
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.answer.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.answer.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures_util::stream;
    use hyper::body::Body as _;

    use super::*;
    use crate::edge::allowance::Allowances;

    fn allowance() -> Arc<Allowance> {
        Allowances::new(2 * OPEN_ANSWER_BYTES + 100).of("a")
    }

    fn answer(allowance: &Arc<Allowance>, pieces: &[usize]) -> Unread {
        let pieces: Vec<_> = pieces.iter().map(|&length| Ok::<_, Status>(vec![7; length])).collect();
        let body = Body::new(axum::body::Body::from_stream(stream::iter(pieces)));
        Unread::new(body, place(allowance).unwrap(), Unanswered::begin(&Allowances::new(0).of("a")))
    }

    async fn next(unread: &mut Unread) -> Option<Frame<Bytes>> {
        poll_fn(|cx| Pin::new(&mut *unread).poll_frame(cx)).await.map(Result::unwrap)
    }

    #[tokio::test]
    async fn an_answer_is_charged_until_its_last_bytes_have_left() {
        let allowance = allowance();
        let mut unread = answer(&allowance, &[60, 40]);
        assert_eq!(allowance.held(), OPEN_ANSWER_BYTES);
        let first = next(&mut unread).await.unwrap().into_data().unwrap();
        let second = next(&mut unread).await.unwrap().into_data().unwrap();
        assert!(next(&mut unread).await.is_none());
        drop(unread);
        assert_eq!((first.len(), second.len(), allowance.held()), (60, 40, 100));
        let part = first.slice(50..);
        drop((first, second));
        assert_eq!(allowance.held(), 60, "a part of it is still here");
        drop(part);
        assert_eq!(allowance.held(), 0);
    }

    #[tokio::test]
    async fn an_answer_that_is_too_much_ends_with_the_reason() {
        let allowance = allowance();
        let mut kept = answer(&allowance, &[60]);
        let mut cut = answer(&allowance, &[41, 1]);
        let _unsent = next(&mut kept).await.unwrap();
        let trailers = next(&mut cut).await.unwrap().into_trailers().unwrap();
        assert_eq!(trailers["grpc-status"], "8");
        assert!(next(&mut cut).await.is_none() && cut.is_end_stream());
        assert_eq!(allowance.held(), 2 * OPEN_ANSWER_BYTES + 60);
    }

    #[test]
    fn a_call_whose_answer_has_no_place_is_refused_before_it_is_worked_on() {
        let allowance = allowance();
        let _places = [place(&allowance).unwrap(), place(&allowance).unwrap()];
        assert_eq!(place(&allowance).err().unwrap().code(), tonic::Code::ResourceExhausted);
    }
}
