//! The way of a record through two agencies, as one trace: submit, release, deliver here; take there.

use lotse_core::delivery::Outcome;
use lotse_core::id::{AgencyId, Digest, Id};
use lotse_core::reason::Reason;
use lotse_core::time::Timestamp;
use opentelemetry::KeyValue;

use super::trace::{Place, SpanId, TraceId};
use super::{Direction, Span, SpanKind, Telemetry};
use crate::shipment::Shipment;
use crate::wire::envelope;

/// Something that a system handed over, and what became of it.
pub struct HandedOver<'a> {
    /// Trace, 16 bytes.
    pub trace_id: &'a [u8],
    /// The call in which it was handed over, in its caller's trace.
    pub caller: Option<Place>,
    /// Its record id, or why it was refused.
    pub result: Result<Id, Reason>,
    /// Whether it had been handed over before.
    pub repeated: bool,
}

/// An envelope that came from a peer, and what became of it.
pub struct TakenEnvelope<'a> {
    /// Trace, 16 bytes or empty.
    pub trace_id: &'a [u8],
    /// The record.
    pub record_id: Id,
    /// The envelope.
    pub digest: Digest,
    /// What the receipt says.
    pub outcome: Outcome,
}

impl Telemetry {
    /// Tells of what was handed over for a peer.
    pub fn handed_over<'a>(&self, begun: Timestamp, peer: &AgencyId, items: impl Iterator<Item = HandedOver<'a>>) {
        let Some(instruments) = self.instruments() else { return };
        let (mut fresh, mut repeated) = (0, 0);
        for item in items {
            match item.result {
                Err(reason) => instruments.submission_refused(reason),
                Ok(_) if item.repeated => repeated += 1,
                Ok(_) => fresh += 1,
            }
            if !item.repeated {
                self.submitted(begun, peer, &item);
            }
        }
        instruments.accepted(fresh, repeated);
    }

    /// Counts something that was handed over and is not well formed, or not allowed to this system.
    pub fn submission_refused(&self, reason: Reason) {
        self.instruments().into_iter().for_each(|instruments| instruments.submission_refused(reason));
    }

    /// Counts items that ended because their release was refused for good.
    pub fn release_refused(&self, reasons: &[Reason]) {
        let Some(instruments) = self.instruments() else { return };
        reasons.iter().for_each(|&reason| instruments.release_refused(reason));
    }

    fn submitted(&self, begun: Timestamp, peer: &AgencyId, item: &HandedOver<'_>) {
        let Some(trace) = TraceId::from_slice(item.trace_id) else { return };
        let span = item.result.map_or_else(|_| self.span_id(), |record_id| SpanId::of_submission(&record_id));
        let mut attributes = vec![KeyValue::new("lotse.peer", peer.to_string())];
        attributes.extend(item.result.ok().map(|record_id| KeyValue::new("lotse.record", record_id.to_string())));
        self.tell(Span {
            name: "submit",
            kind: SpanKind::Internal,
            place: Place { trace, span },
            parent: None,
            cause: item.caller,
            begun,
            attributes,
            failed: item.result.err().map(Reason::code),
        });
    }

    /// Tells of what was released and may now be sent.
    pub fn released(&self, begun: Timestamp, shipment: &Shipment) {
        let Some(instruments) = self.instruments() else { return };
        instruments.released(shipment.items.len());
        for (trace, record_id, _) in traced(shipment) {
            self.tell(Span {
                name: "release",
                kind: SpanKind::Internal,
                place: Place { trace, span: self.span_id() },
                parent: Some(SpanId::of_submission(&record_id)),
                cause: None,
                begun,
                attributes: about(&shipment.peer, &record_id, &shipment.batch_id),
                failed: None,
            });
        }
    }

    /// Tells of what was on its way since `begun`, and has been answered for.
    pub fn delivered(&self, begun: Timestamp, shipment: &Shipment) {
        if !self.is_on() {
            return;
        }
        for (trace, record_id, digest) in traced(shipment) {
            self.tell(Span {
                name: "deliver",
                kind: SpanKind::Client,
                place: Place { trace, span: SpanId::of_delivery(&digest) },
                parent: Some(SpanId::of_submission(&record_id)),
                cause: None,
                begun,
                attributes: about(&shipment.peer, &record_id, &shipment.batch_id),
                failed: None,
            });
        }
    }

    /// Tells of a batch that came from a peer.
    pub fn taken<'a>(
        &self,
        begun: Timestamp,
        peer: &AgencyId,
        batch_id: &Id,
        envelopes: impl Iterator<Item = TakenEnvelope<'a>>,
    ) {
        for taken in envelopes {
            let Some(trace) = TraceId::from_slice(taken.trace_id) else { continue };
            self.tell(Span {
                name: "take",
                kind: SpanKind::Server,
                place: Place { trace, span: SpanId::of_taking(&taken.digest) },
                parent: Some(SpanId::of_delivery(&taken.digest)),
                cause: None,
                begun,
                attributes: about(peer, &taken.record_id, batch_id),
                failed: taken.outcome.reason().map(Reason::code),
            });
        }
    }

    /// Counts what a receipt says.
    pub fn answered(&self, direction: Direction, outcomes: impl Iterator<Item = Outcome>) {
        if let Some(instruments) = self.instruments() {
            instruments.answered(direction, outcomes);
        }
    }
}

/// Returns trace, record and digest of each envelope that has a trace.
fn traced(shipment: &Shipment) -> impl Iterator<Item = (TraceId, Id, Digest)> {
    let traces = shipment.envelopes.iter().map(|bytes| TraceId::from_slice(&envelope::trace_id(bytes)));
    traces.zip(&shipment.items).filter_map(|(trace, item)| Some((trace?, item.record_id, item.digest)))
}

fn about(peer: &AgencyId, record_id: &Id, batch_id: &Id) -> Vec<KeyValue> {
    vec![
        KeyValue::new("lotse.peer", peer.to_string()),
        KeyValue::new("lotse.record", record_id.to_string()),
        KeyValue::new("lotse.batch", batch_id.to_string()),
    ]
}
