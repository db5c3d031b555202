//! What operators are told of a submission, and the trace that each referral gets.

use lotse_core::time::Timestamp;

use super::{Job, Outcome, Submission};
use crate::failure::Failure;
use crate::node::Node;
use crate::telemetry::HandedOver;
use crate::telemetry::trace::{Place, SpanId, TraceId};

impl Job {
    /// The place of the first submission: works of the store are told there.
    pub(super) fn place(&self) -> Option<Place> {
        let first = self.items.first()?;
        let trace = TraceId::from_slice(&first.submission.trace_id)?;
        Some(Place { trace, span: SpanId::of_submission(&first.record_id) })
    }

    pub(super) fn tell(&self, begun: Timestamp, outcome: &Outcome) {
        let handed_over = self.items.iter().zip(&outcome.results).map(|(item, result)| HandedOver {
            trace_id: &item.submission.trace_id,
            caller: item.submission.caller,
            result: result.as_ref().map(|submitted| submitted.record_id).map_err(Failure::reason),
            repeated: result.as_ref().is_ok_and(|submitted| submitted.repeated),
        });
        self.node.telemetry.handed_over(begun, &self.peer, handed_over);
        outcome.shipment.iter().for_each(|shipment| self.node.telemetry.released(begun, shipment));
    }
}

/// Gives a trace of its own to each submission that has none.
pub(super) fn trace_each(node: &Node, submissions: &mut [Submission]) {
    let mut drawn = vec![[0; 16]; submissions.len()];
    node.random.fill(drawn.as_flattened_mut());
    for (submission, drawn) in submissions.iter_mut().zip(drawn) {
        if submission.trace_id.is_empty() {
            submission.trace_id = TraceId::of_random(drawn).as_bytes().to_vec();
        }
    }
}
