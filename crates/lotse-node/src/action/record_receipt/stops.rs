//! Pauses that begin or end by a receipt, as some of its reasons concern more than the items that they stand at.

use lotse_core::id::{AgencyId, Id};
use lotse_core::reason::Reason;

use crate::node::Node;
use crate::pause::PauseScope;

/// Pauses that a receipt begins and ends.
#[derive(Default)]
pub(super) struct Stops {
    begun: Vec<(PauseScope, Reason)>,
    /// Pauses that end: something of them was taken.
    pub(super) ended: Vec<PauseScope>,
}

impl Stops {
    /// Notes a reason for `again`. A peer that has taken something in the same receipt does not stop everything.
    pub(super) fn begin(&mut self, reason: Reason, agreement: Option<Id>, some_taken: bool) {
        let scope = PauseScope::of(reason, agreement).filter(|scope| *scope != PauseScope::Peer || !some_taken);
        let known = |scope: &PauseScope| self.begun.iter().any(|(begun, _)| begun == scope);
        if let Some(scope) = scope.filter(|scope| !known(scope)) {
            self.begun.push((scope, reason));
        }
    }

    /// Begins and ends the pauses after the commit, and wakes whoever waits for them.
    pub(super) fn announce(&self, node: &Node, peer: &AgencyId) {
        let at = node.now();
        for &(scope, reason) in &self.begun {
            node.pauses.begin(peer, scope, reason, at, &*node.random);
            if matches!(reason, Reason::AgreementUnknown | Reason::AgreementSuperseded) {
                node.signals.offer_again(peer).notify_one();
            }
        }
        if !self.ended.is_empty() {
            node.pauses.end(peer, &self.ended);
            node.signals.due(peer).notify_one();
        }
    }
}
