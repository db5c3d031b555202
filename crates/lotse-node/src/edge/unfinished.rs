//! How much of one caller's messages may be here that have begun and not ended. Such bytes wait in memory for the rest, and whoever
//! sends them may never send it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

use super::allowance::{Allowance, Charge, overloaded};

/// What stands before each message: a flag and the length (gRPC over HTTP/2, "Requests").
const HEAD_BYTES: usize = 5;

fn too_much() -> Status {
    overloaded("too many messages of this caller have begun and not ended: send them one after the other")
}

/// What a call sends, counted as long as a message of it is not complete.
pub(super) struct Counted {
    sent: Body,
    message: Message,
    charge: Charge,
}

impl Counted {
    pub(super) fn new(sent: Body, allowance: &Arc<Allowance>) -> Counted {
        Counted { sent, message: Message::default(), charge: allowance.begin() }
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
            let begun = self.message.take(bytes);
            if !self.charge.change(begun) {
                return Poll::Ready(Some(Err(too_much())));
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
struct Message {
    head: [u8; HEAD_BYTES],
    /// Bytes of it that are here, the head among them.
    here: usize,
}

impl Message {
    /// Takes the next bytes and returns how many of the unfinished message are here; none between messages.
    fn take(&mut self, mut bytes: &[u8]) -> usize {
        while !bytes.is_empty() {
            let wanted = self.length() - self.here;
            let (next, rest) = bytes.split_at(wanted.min(bytes.len()));
            if self.here < HEAD_BYTES {
                self.head[self.here..self.here + next.len()].copy_from_slice(next);
            }
            self.here += next.len();
            bytes = rest;
            if self.here >= HEAD_BYTES && self.here == self.length() {
                *self = Message::default();
            }
        }
        self.here
    }

    /// Its length, head included; as long as the head is not complete, that of the head.
    fn length(&self) -> usize {
        let [_, length @ ..] = self.head;
        if self.here < HEAD_BYTES { HEAD_BYTES } else { HEAD_BYTES + u32::from_be_bytes(length) as usize }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures_util::stream;
    use hyper::body::Body as _;
    use proptest::prelude::*;

    use super::*;
    use crate::edge::allowance::Allowances;

    fn message(length: usize) -> Vec<u8> {
        [&[0], (length as u32).to_be_bytes().as_slice(), &vec![7; length]].concat()
    }

    proptest! {
        #[test]
        fn what_is_unfinished_is_known_however_the_bytes_come(
            lengths in proptest::collection::vec(0_usize..40, 1..8),
            pieces in proptest::collection::vec(1_usize..30, 1..40),
        ) {
            let all: Vec<u8> = lengths.iter().flat_map(|&length| message(length)).collect();
            let ends: Vec<usize> = lengths.iter().scan(0, |end, length| { *end += 5 + length; Some(*end) }).collect();
            let (mut read, mut place) = (Message::default(), 0);
            for piece in pieces {
                let next = (place + piece).min(all.len());
                let unfinished = read.take(&all[place..next]);
                place = next;
                let begun_at = ends.iter().copied().filter(|&end| end <= place).max().unwrap_or(0);
                prop_assert_eq!(unfinished, place - begun_at);
            }
        }
    }

    #[tokio::test]
    async fn a_call_that_ends_gives_back_what_it_held() {
        let allowance = Allowances::new(100).of("a");
        let begun = stream::iter([Ok::<_, Status>(message(80)[..70].to_vec())]);
        let mut counted = Counted::new(Body::new(axum::body::Body::from_stream(begun)), &allowance);
        poll_fn(|cx| Pin::new(&mut counted).poll_frame(cx)).await.unwrap().unwrap();
        assert_eq!(allowance.held(), 70);
        drop(counted);
        assert_eq!(allowance.held(), 0);
    }
}
