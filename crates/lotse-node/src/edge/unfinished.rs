//! A limit for the messages of one caller that are not answered. The length that a message's head announces is charged before
//! tonic sees it: tonic reserves as much at once, and whoever announces it may never send it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use lotse_core::reason::Reason;
use tonic::Status;
use tonic::body::Body;

use super::allowance::{Allowance, Charge, overloaded};
use super::grpc::MAX_MESSAGE_BYTES;
use crate::failure::{ErrorKind, Failure};

/// The flag and the length before each message (gRPC over HTTP/2, "Requests").
const HEAD_BYTES: usize = 5;

fn too_much() -> Status {
    overloaded("too many messages of this caller have begun and are not answered: wait for answers, then send the rest")
}

fn too_large() -> Status {
    let message = format!("a message has at most {MAX_MESSAGE_BYTES} bytes: hand over less at a time");
    Failure::new(ErrorKind::Invalid, Reason::TooLarge, message).into()
}

/// The messages of one call that have begun and are not answered, charged to the caller with the length that each announced.
pub(super) struct Unanswered(Mutex<AnnouncedLengths>);

struct AnnouncedLengths {
    /// Lengths of the messages, heads included, the oldest first.
    lengths: VecDeque<usize>,
    sum: usize,
    /// The greatest length of this call: tonic keeps the buffer that it made for it as long as the call lasts.
    greatest: usize,
    charge: Charge,
}

impl Unanswered {
    pub(super) fn begin(allowance: &Arc<Allowance>) -> Arc<Unanswered> {
        let charge = allowance.begin();
        Arc::new(Unanswered(Mutex::new(AnnouncedLengths { lengths: VecDeque::new(), sum: 0, greatest: 0, charge })))
    }

    /// Charges a message from its head on; refused if that is more than a message or this caller may have.
    fn announce(&self, length: usize) -> Result<(), Status> {
        if length > HEAD_BYTES + MAX_MESSAGE_BYTES {
            return Err(too_large());
        }
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.lengths.push_back(length);
        waiting.sum += length;
        waiting.greatest = waiting.greatest.max(length);
        if waiting.settle() { Ok(()) } else { Err(too_much()) }
    }

    /// Gives back the oldest message: each one of an answer answers one.
    pub(super) fn answer(&self) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(length) = waiting.lengths.pop_front() {
            waiting.sum -= length;
            // Cannot fail: it is never more than before.
            let _ = waiting.settle();
        }
    }

    /// Forgets the buffer, once nothing more is read.
    fn end(&self) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.greatest = 0;
        let _ = waiting.settle();
    }
}

impl AnnouncedLengths {
    fn settle(&mut self) -> bool {
        self.charge.change(self.sum.max(self.greatest))
    }
}

/// The messages that a call sends, charged as they begin.
pub(super) struct Counted {
    sent: Body,
    message: Message,
    unanswered: Arc<Unanswered>,
}

impl Counted {
    pub(super) fn new(sent: Body, unanswered: Arc<Unanswered>) -> Counted {
        Counted { sent, message: Message::default(), unanswered }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.unanswered.end();
    }
}

impl hyper::body::Body for Counted {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.sent).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(bytes) = frame.data_ref()
        {
            let Counted { message, unanswered, .. } = &mut *self;
            if let Err(refusal) = message.take(bytes, |length| unanswered.announce(length)) {
                self.sent = Body::empty();
                return Poll::Ready(Some(Err(refusal)));
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.sent.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.sent.size_hint()
    }
}

/// The message that a stream of bytes is in.
#[derive(Default)]
pub(super) struct Message {
    head: [u8; HEAD_BYTES],
    /// Bytes of it that are here, the head among them.
    here: usize,
}

impl Message {
    /// Takes the next bytes and hands on the length of each message whose head is complete with them, the head included.
    pub(super) fn take<E>(
        &mut self,
        mut bytes: &[u8],
        mut begins: impl FnMut(usize) -> Result<(), E>,
    ) -> Result<(), E> {
        while !bytes.is_empty() {
            let in_head = self.here < HEAD_BYTES;
            let wanted = self.length() - self.here;
            let (next, rest) = bytes.split_at(wanted.min(bytes.len()));
            if in_head {
                self.head[self.here..self.here + next.len()].copy_from_slice(next);
            }
            self.here += next.len();
            bytes = rest;
            if in_head && self.here == HEAD_BYTES {
                begins(self.length())?;
            }
            if self.here >= HEAD_BYTES && self.here == self.length() {
                *self = Message::default();
            }
        }
        Ok(())
    }

    /// Returns its length, head included; as long as the head is not complete, that of the head.
    fn length(&self) -> usize {
        let [_, length @ ..] = self.head;
        if self.here < HEAD_BYTES { HEAD_BYTES } else { HEAD_BYTES + u32::from_be_bytes(length) as usize }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::poll_fn;

    use futures_util::stream;
    use hyper::body::Body as _;
    use proptest::prelude::*;
    use tonic::Code;

    use super::*;
    use crate::edge::allowance::Allowances;

    fn message(length: usize) -> Vec<u8> {
        [head(length).as_slice(), &vec![7; length]].concat()
    }

    fn head(length: usize) -> [u8; HEAD_BYTES] {
        let [a, b, c, d] = (length as u32).to_be_bytes();
        [0, a, b, c, d]
    }

    fn counted(allowance: &Arc<Allowance>, pieces: &[&[u8]]) -> Counted {
        let pieces: Vec<_> = pieces.iter().map(|piece| Ok::<_, Status>(piece.to_vec())).collect();
        let sent = Body::new(axum::body::Body::from_stream(stream::iter(pieces)));
        Counted::new(sent, Unanswered::begin(allowance))
    }

    async fn next(counted: &mut Counted) -> Option<Result<Frame<Bytes>, Status>> {
        poll_fn(|cx| Pin::new(&mut *counted).poll_frame(cx)).await
    }

    proptest! {
        #[test]
        fn a_message_is_known_from_its_head_on_however_the_bytes_come(
            lengths in proptest::collection::vec(0_usize..40, 1..8),
            pieces in proptest::collection::vec(1_usize..30, 1..40),
        ) {
            let all: Vec<u8> = lengths.iter().flat_map(|&length| message(length)).collect();
            let starts = lengths.iter().scan(0, |end, length| { *end += 5 + length; Some(*end - 5 - length) });
            let known: Vec<(usize, usize)> = starts.map(|start| start + 5).zip(lengths.iter().map(|length| 5 + length)).collect();
            let (mut read, mut position, mut begun) = (Message::default(), 0, Vec::new());
            for piece in pieces {
                let next = (position + piece).min(all.len());
                read.take(&all[position..next], |length| { begun.push(length); Ok::<_, Infallible>(()) }).unwrap();
                position = next;
                let expected: Vec<usize> =
                    known.iter().filter(|(head_end, _)| *head_end <= position).map(|(_, length)| *length).collect();
                prop_assert_eq!(&begun, &expected);
            }
        }
    }

    #[tokio::test]
    async fn a_message_is_charged_with_what_it_announces_until_its_call_ends() {
        let allowance = Allowances::new(100).of("a");
        let whole = head(80);
        let mut counted = counted(&allowance, &[&whole[..4], &whole[4..]]);
        next(&mut counted).await.unwrap().unwrap();
        assert_eq!(allowance.held(), 0);
        next(&mut counted).await.unwrap().unwrap();
        assert_eq!(allowance.held(), 85, "80 bytes are reserved for a head of 5");
        drop(counted);
        assert_eq!(allowance.held(), 0);
    }

    #[tokio::test]
    async fn a_head_that_announces_more_than_is_left_never_reaches_tonic() {
        let allowance = Allowances::new(100).of("a");
        let mut first = counted(&allowance, &[&head(60)]);
        next(&mut first).await.unwrap().unwrap();
        let mut second = counted(&allowance, &[&head(60)]);
        assert_eq!(next(&mut second).await.unwrap().unwrap_err().code(), Code::ResourceExhausted);
        assert_eq!(allowance.held(), 65);
        assert!(next(&mut second).await.is_none(), "nothing more of it is read");
    }

    #[tokio::test]
    async fn a_head_that_announces_more_than_a_message_may_have_is_refused_and_charges_nothing() {
        let allowance = Allowances::new(usize::MAX).of("a");
        for length in [MAX_MESSAGE_BYTES + 1, u32::MAX as usize] {
            let refused = next(&mut counted(&allowance, &[&head(length)])).await.unwrap().unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument);
            assert_eq!(allowance.held(), 0);
        }
        next(&mut counted(&allowance, &[&head(MAX_MESSAGE_BYTES)])).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn whole_messages_of_a_stream_are_charged_until_they_are_answered() {
        let allowance = Allowances::new(200).of("a");
        let mut stream = counted(&allowance, &[&message(60), &message(30), &message(30), &message(95)]);
        for held in [65, 100, 135] {
            next(&mut stream).await.unwrap().unwrap();
            assert_eq!(allowance.held(), held);
        }
        let unanswered = stream.unanswered.clone();
        unanswered.answer();
        assert_eq!(allowance.held(), 70);
        unanswered.answer();
        unanswered.answer();
        unanswered.answer();
        assert_eq!(allowance.held(), 65, "the buffer of the largest is still here");
        next(&mut stream).await.unwrap().unwrap();
        assert_eq!(allowance.held(), 100);
        drop(stream);
        assert_eq!(allowance.held(), 100, "the last is not answered");
        unanswered.answer();
        assert_eq!(allowance.held(), 0);
    }
}
