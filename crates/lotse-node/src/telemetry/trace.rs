//! Traces: W3C trace ids (Trace Context, section 3.2), and how the spans of two agencies find each other although nothing but the
//! trace id crosses. The span of a submission takes its id from the record, that of a delivery from the envelope's digest: both
//! agencies know these, so each knows what the other's span is called.

use std::future::Future;

use aws_lc_rs::hmac;
use lotse_core::id::{AgencyId, Digest, Id};
use lotse_core::keyed;
use lotse_core::random::Random;

/// Header in which a caller tells its trace.
pub const TRACEPARENT: &str = "traceparent";

/// A W3C trace id; not all zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceId([u8; 16]);

impl TraceId {
    /// Makes one from the random source.
    pub fn random(random: &dyn Random) -> TraceId {
        TraceId::of_random(lotse_core::random::bytes(random))
    }

    /// Makes one from random bytes.
    pub fn of_random(mut bytes: [u8; 16]) -> TraceId {
        bytes[0] |= u8::from(bytes == [0; 16]);
        TraceId(bytes)
    }

    /// Derives the trace of what goes to one agency: the first 128 bits of what is derived with the id key from the trace of the caller
    /// and the recipient. Two recipients cannot join their records by it, and none learns the caller's trace.
    pub fn towards(&self, id_key: &hmac::Key, recipient: &AgencyId) -> TraceId {
        let derived = keyed::derive(id_key, keyed::Kind::Trace, &[&self.0, recipient.as_str().as_bytes()]);
        let mut trace = [0; 16];
        trace.copy_from_slice(&derived[..16]);
        TraceId::of_random(trace)
    }

    /// Takes the bytes of a request, an envelope or the database; none if there is no trace.
    pub fn from_slice(bytes: &[u8]) -> Option<TraceId> {
        let bytes: [u8; 16] = bytes.try_into().ok()?;
        (bytes != [0; 16]).then_some(TraceId(bytes))
    }

    /// Returns the 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// The id of a span; not zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanId(u64);

impl Default for SpanId {
    fn default() -> SpanId {
        SpanId(1)
    }
}

impl SpanId {
    /// Makes one from the random source.
    pub fn random(random: &dyn Random) -> SpanId {
        SpanId::of(lotse_core::random::bytes(random))
    }

    /// The span in which a record was handed over.
    pub fn of_submission(record_id: &Id) -> SpanId {
        let [.., a, b, c, d, e, f, g, h] = *record_id.as_bytes();
        SpanId::of([a, b, c, d, e, f, g, h])
    }

    /// The span in which an envelope was on its way until its receipt came.
    pub fn of_delivery(digest: &Digest) -> SpanId {
        let [a, b, c, d, e, f, g, h, ..] = *digest.as_bytes();
        SpanId::of([a, b, c, d, e, f, g, h])
    }

    /// The span in which the recipient took an envelope.
    pub fn of_taking(digest: &Digest) -> SpanId {
        let [.., a, b, c, d, e, f, g, h] = *digest.as_bytes();
        SpanId::of([a, b, c, d, e, f, g, h])
    }

    /// Returns the number.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    fn of(bytes: [u8; 8]) -> SpanId {
        SpanId(u64::from_be_bytes(bytes).max(1))
    }
}

/// A place in a trace: something happens inside this span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The trace.
    pub trace: TraceId,
    /// The span.
    pub span: SpanId,
}

impl Place {
    /// Reads a caller's `traceparent` (W3C Trace Context, section 3.2.2); none if it is not well formed. Its flags are not
    /// followed: which traces are told is this node's own decision.
    pub fn from_traceparent(text: &str) -> Option<Place> {
        let mut parts = text.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let more = parts.next().is_some();
        let lengths_fit = version.len() == 2 && trace.len() == 32 && span.len() == 16 && flags.len() == 2;
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let digits = [version, trace, span, flags].iter().all(|part| part.bytes().all(is_digit));
        if !lengths_fit || !digits || version == "ff" || (version == "00" && more) {
            return None;
        }
        let span = u64::from_str_radix(span, 16).ok().filter(|&number| number != 0).map(SpanId)?;
        Some(Place { trace: TraceId::from_slice(&hex::decode(trace).ok()?)?, span })
    }
}

tokio::task_local! {
    static CURRENT: Place;
}

/// Works on something inside a place of a trace: works of the store that it waits for belong there.
pub async fn within<F: Future>(place: Option<Place>, future: F) -> F::Output {
    match place {
        Some(place) => CURRENT.scope(place, future).await,
        None => future.await,
    }
}

/// Returns the place inside which this task works.
pub fn current() -> Option<Place> {
    CURRENT.try_with(|place| *place).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_as_the_standard_says() {
        let place = Place::from_traceparent(GOOD).unwrap();
        assert_eq!(hex::encode(place.trace.as_bytes()), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(place.span.as_u64(), 0x00f0_67aa_0ba9_02b7);
        let later = format!("01{}-more", &GOOD[2..]);
        assert_eq!(Place::from_traceparent(&later), Some(place), "a later version may say more");
        for bad in [
            "",
            "00",
            &GOOD[..54],
            &format!("{GOOD}-more"),
            &GOOD.replace("00-4", "ff-4"),
            &GOOD.to_uppercase(),
            &GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &GOOD.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &GOOD.replace("4736", "47é"),
        ] {
            assert_eq!(Place::from_traceparent(bad), None, "{bad}");
        }
    }

    #[test]
    fn one_caller_has_another_trace_towards_each_agency() {
        let caller = Place::from_traceparent(GOOD).unwrap().trace;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
        let towards = |agency: &str| caller.towards(&key, &agency.parse().unwrap());
        assert_eq!(towards("a.example"), towards("a.example"));
        assert_ne!(towards("a.example"), towards("b.example"));
        assert_ne!(towards("a.example"), caller);
        let others = hmac::Key::new(hmac::HMAC_SHA256, &[8; 32]);
        assert_ne!(
            towards("a.example"),
            caller.towards(&others, &"a.example".parse().unwrap()),
            "nobody else can derive it"
        );
    }

    #[test]
    fn both_agencies_call_a_span_by_the_same_id() {
        let record: Id = "0198c5a4-7d3e-7cc0-8000-2f6a1b0c9d11".parse().unwrap();
        assert_eq!(SpanId::of_submission(&record).as_u64(), 0x8000_2f6a_1b0c_9d11);
        let digest = Digest::of(b"envelope");
        assert_ne!(SpanId::of_delivery(&digest), SpanId::of_taking(&digest));
        assert_eq!(SpanId::of_submission(&Id::from_bytes([0; 16])).as_u64(), 1, "zero is no span");
    }

    #[tokio::test]
    async fn a_place_holds_inside_and_nowhere_else() {
        let place = Place::from_traceparent(GOOD);
        assert_eq!(within(place, async { current() }).await, place);
        assert_eq!(within(None, async { current() }).await, None);
        assert_eq!(current(), None);
    }
}
