//! What operators are told of a batch that was taken.

use lotse_core::time::Timestamp;
use lotse_proto::exchange::v1 as proto;

use super::Job;
use crate::telemetry::trace::{Place, SpanId, TraceId};
use crate::telemetry::{Direction, TakenEnvelope};
use crate::wire::batch::parse_item;

impl Job {
    /// The place of the first envelope that has a trace: works of the store are told there.
    pub(super) fn place(&self) -> Option<Place> {
        self.envelopes.iter().find_map(|envelope| {
            let (head, _) = envelope.parsed.as_ref().ok()?;
            let trace = TraceId::from_slice(&head.trace_id)?;
            Some(Place { trace, span: SpanId::of_taking(&envelope.digest) })
        })
    }

    pub(super) fn tell(&self, begun: Timestamp, receipt: &proto::Receipt) {
        let outcomes: Vec<_> = receipt.items.iter().flat_map(parse_item).map(|item| item.outcome).collect();
        let envelopes = self.envelopes.iter().zip(&outcomes).filter_map(|(envelope, &outcome)| {
            let (head, _) = envelope.parsed.as_ref().ok()?;
            let (trace_id, record_id, digest) = (head.trace_id.as_slice(), head.record_id, envelope.digest);
            Some(TakenEnvelope { trace_id, record_id, digest, outcome })
        });
        self.node.telemetry.taken(begun, &self.peer, &self.statement.batch_id, envelopes);
        self.node.telemetry.answered(Direction::In, outcomes.iter().copied());
    }
}
