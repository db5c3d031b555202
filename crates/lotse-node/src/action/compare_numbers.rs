//! Compares the numbers of this node that a peer has seen with those that the node knows. A node that knows less was put back from a
//! backup or a snapshot, or a copy of it runs beside it: it would release under consents that were withdrawn, and give numbers twice.

use std::sync::Arc;

use lotse_core::id::{AgencyId, Sequence};
use lotse_core::numbers::HighestNumbers;
use lotse_core::reason::Reason;
use lotse_store::StoreError;
use lotse_store::counter::{self, Counter};

use crate::entry::{Draft, EntryKind};
use crate::failure::{ErrorKind, Failure};
use crate::federation::{Change, Federation, Write, change};
use crate::node::Node;

/// Compares the numbers that a peer's hello names. If the node knows less the exchange with this peer stops, in the database too, until
/// an administrator acts: a peer's bare word touches no other peer.
///
/// # Errors
/// `NODE_STATE_IN_DOUBT`.
pub async fn compare_numbers(node: &Arc<Node>, peer: &AgencyId, named: HighestNumbers) -> Result<(), Failure> {
    let federation = node.federation.get();
    let Some(known) = federation.peers.get(peer) else { return Ok(()) };
    if known.stopped {
        return Err(knows_less(peer));
    }
    let given = match node.numbers.uncompared(peer) {
        Some(at_start) => at_start,
        None => given(node, peer).await?,
    };
    if !named.exceed(&given.max(&known.named)) {
        node.numbers.set_compared(peer);
        return Ok(());
    }
    tracing::error!(%peer, ?named, ?given, "the peer has seen later numbers of this node than the node knows: the exchange with it stops");
    stop(node, peer.clone(), named).await
}

/// Reads what this node has given towards a peer until now.
async fn given(node: &Node, peer: &AgencyId) -> Result<HighestNumbers, StoreError> {
    let (peer, generation) = (peer.clone(), node.generation);
    let read = node.store.read("given numbers", move |tx| {
        Box::pin(async move {
            let number = |value: u64| Sequence::new(generation, u32::try_from(value).unwrap_or(u32::MAX));
            let revision = number(counter::read(tx, &Counter::Revision(peer.clone())).await?);
            let receipt = number(counter::read(tx, &Counter::Receipt(peer)).await?);
            Ok(HighestNumbers { generation, epoch: revision, revision, receipt })
        })
    });
    read.await
}

async fn stop(node: &Arc<Node>, peer: AgencyId, named: HighestNumbers) -> Result<(), Failure> {
    let at = node.now();
    let decide = move |federation: &Federation| {
        let failure = knows_less(&peer);
        let Some(known) = federation.peers.get(&peer).filter(|known| !known.stopped) else {
            return Change::none(Err(failure));
        };
        let writes = vec![Write::PeerStop(peer.clone(), named.max(&known.named), at)];
        let remark = format!(
            "named: generation {}, epoch {}, revision {}, receipt {}",
            named.generation,
            number(named.epoch),
            number(named.revision),
            number(named.receipt)
        );
        let draft = Draft { peer: Some(peer.clone()), remark, ..Draft::default() };
        Change { writes, ..Change::refuse(failure, EntryKind::PeerStopped, draft) }
    };
    change(node, "stop_peer", decide).await
}

fn number(sequence: Sequence) -> String {
    format!("{}/{}", sequence.generation(), sequence.counter())
}

/// Says that this node knows less of itself than a peer has seen.
pub fn knows_less(peer: &AgencyId) -> Failure {
    let message = format!(
        "{peer} has seen later numbers of this node than the node knows: it was put back from a backup or a snapshot, or a copy of it \
         runs; see `lotse log resume`, or `lotse peer errs {peer}`"
    );
    Failure::new(ErrorKind::Refused, Reason::NodeStateInDoubt, message)
}

/// Says that two nodes speak under the identity of a peer, to the peer and in the own status.
pub fn runs_twice(peer: &AgencyId) -> Failure {
    let message = format!(
        "two nodes speak under the identity of {peer}, a copied folder or a cloned machine: stop one of them; it goes on by itself \
         after 15 minutes, or with `lotse peer errs {peer}`"
    );
    Failure::new(ErrorKind::Refused, Reason::NodeStateInDoubt, message)
}

#[cfg(test)]
mod tests;
