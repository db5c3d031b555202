//! Claims what is in doubt: the same bytes are sent again if they may still go. A repeat is decided like a first release and
//! writes no new log entry; what may no longer go stays in doubt, visible, until its recipient has been asked.

use std::sync::Arc;

use bytes::Bytes;
use lotse_core::agreement;
use lotse_core::answer;
use lotse_core::id::{AgencyId, Digest, Id};
use lotse_core::reason::Reason;
use lotse_core::release::{self, NoNotes};
use lotse_core::time::Timestamp;
use lotse_store::batch::{BatchItem, OpenBatch};
use lotse_store::consent::Towards;
use lotse_store::outbox::{Claimable, Frozen};
use lotse_store::vault::Sealed;
use lotse_store::{Readable, StoreError, Tx, batch, outbox};
use tokio::time::Instant;

use crate::action::claim::{is_told, pause, question};
use crate::action::covering::Consents;
use crate::action::cut;
use crate::action::guard;
use crate::action::outgoing::Outgoing;
use crate::federation::{self, Federation};
use crate::link::WaitCause;
use crate::node::Node;
use crate::shipment::{LEASE, Shipment};
use crate::wire::envelope::{self, BodyKind, parse_own_head};
use crate::wire::request::{AnswerAsk, Ask, ReferralAsk, Request};

/// Claims again what is in doubt towards a peer, one lapsed batch at a time. Returns none if there is none to look at now.
pub async fn claim_again(node: &Arc<Node>, peer: &AgencyId) -> Result<Option<Again>, StoreError> {
    let claim = Arc::new(Claim { node: node.clone(), peer: peer.clone(), lease_until: Instant::now() + LEASE });
    let work = node.store.transact("claim again", move |tx| {
        let claim = claim.clone();
        Box::pin(async move { claim.run(tx).await })
    });
    let again = work.await?;
    if let Some(reason) = again.as_ref().and_then(|again| again.objection) {
        node.links.set_wait(peer, Some(WaitCause::Here(reason)));
    }
    Ok(again)
}

/// What became of a lapsed batch.
pub struct Again {
    /// What may be sent again.
    pub shipment: Option<Shipment>,
    /// Items that stay in doubt.
    pub staying: usize,
    /// Why nothing may be sent to this peer now, if so.
    pub objection: Option<Reason>,
}

struct Claim {
    node: Arc<Node>,
    peer: AgencyId,
    lease_until: Instant,
}

impl Claim {
    async fn run(&self, tx: &mut Tx) -> Result<Option<Again>, StoreError> {
        if self.node.clock_jumped_ahead() {
            return Ok(None);
        }
        let at = self.node.now();
        let Some(lapsed) = batch::lapsed(tx, &self.peer, at).await? else { return Ok(None) };
        let ids: Vec<Id> = lapsed.items.iter().map(|item| item.record_id).collect();
        let Readable { rows: items, broken } = outbox::in_doubt(tx, &ids, lapsed.batch_id).await?;
        let federation = federation::stored(tx, &self.node).await?;
        let consents = self.consents(tx, &items).await?;
        let objection = guard::releasable(&self.node, &federation, &self.peer, at).err();
        let may_go = |item: &Claimable| objection.is_none() && self.may_go(&federation, &consents, item, at);
        let attempt = lapsed.attempts + 1;
        let rejoined = |item| self.rejoined(item, is_told(attempt));
        // No more than the line carries within a lease: a batch that was too large for it would lapse again and again.
        let limit = self.node.links.batch_limit(&self.peer);
        let going: Vec<_> = items.iter().filter(|item| may_go(item)).filter_map(rejoined).take(limit).collect();
        let (staying, is_full) = (items.len() + broken.len() - going.len(), going.len() == limit);
        // What stays for want of room goes as soon as there is some.
        let next = if is_full { at } else { at.plus(pause(&*self.node.random, attempt)) };
        batch::leave(tx, lapsed.batch_id, staying, next).await?;
        let shipment = if going.is_empty() { None } else { Some(self.ship(tx, &lapsed, going, at).await?) };
        Ok(Some(Again { shipment, staying, objection }))
    }

    async fn consents(&self, tx: &mut Tx, items: &[Claimable]) -> Result<Consents, StoreError> {
        let subjects = items.iter().filter_map(|item| item.subject).collect();
        let named = items.iter().filter_map(|item| item.frozen.as_ref()?.consent_id).collect();
        Consents::read(tx, &self.peer, subjects, named).await
    }

    /// Tells whether the frozen bytes may still go, exactly as they are.
    fn may_go(&self, federation: &Federation, consents: &Consents, item: &Claimable, at: Timestamp) -> bool {
        let Some((frozen, _)) = item.frozen.as_ref().zip(item.content.as_ref()) else { return false };
        let Some(request) = Request::decode(&item.request) else { return false };
        at < item.expires_at
            && match &request.ask {
                Ask::Referral(ask) => self.referral_may_go(federation, consents, item, frozen, ask, at),
                Ask::Answer(ask) => self.answer_may_go(federation, ask, at),
            }
    }

    fn referral_may_go(
        &self,
        federation: &Federation,
        consents: &Consents,
        item: &Claimable,
        frozen: &Frozen,
        ask: &ReferralAsk,
        at: Timestamp,
    ) -> bool {
        let Some((subject, head)) = item.subject.zip(parse_own_head(&frozen.head)) else { return false };
        let same =
            |towards: &&Towards| Some(towards.consent.id) == frozen.consent_id && towards.epoch == head.basis.epoch;
        let Some(towards) = consents.of(subject, frozen.consent_id).into_iter().find(same) else { return false };
        let mut asked = question(&self.node.agency, &self.peer, item, ask, subject);
        asked.consent = frozen.consent_id;
        asked.agreement = Some(head.basis.agreement_id);
        asked.present = frozen.sent;
        let consent = std::slice::from_ref(&towards.consent);
        let current = agreement::current(&federation.agreements, head.basis.agreement_id, at);
        let same_version = current.is_some_and(|known| known.agreement.version == head.basis.agreement_version);
        let permit = release::decide(&asked, &federation.agreements, consent, at, &mut NoNotes);
        // Another version of the agreement is judged by the recipient, which knows when it took over and answers `again`.
        permit.is_ok_and(|permit| {
            permit.left_out.is_empty() && (!same_version || permit.clause_id == head.basis.clause_id)
        })
    }

    fn answer_may_go(&self, federation: &Federation, ask: &AnswerAsk, at: Timestamp) -> bool {
        let basis = ask.basis(&self.peer, &self.node.agency);
        answer::decide(&basis, ask.content, &federation.agreements, at).is_ok()
    }

    /// Joins the frozen envelope of an item. None if that fails: it then stays in doubt and holds up no other.
    fn rejoined(&self, item: &Claimable, is_told: bool) -> Option<(BatchItem, Bytes)> {
        let (frozen, content) = item.frozen.as_ref().zip(item.content.as_ref())?;
        match self.envelope(item, frozen, content) {
            Ok(bytes) => Some((BatchItem { record_id: item.record_id, digest: frozen.envelope_digest }, bytes)),
            Err(error) => {
                if is_told {
                    tracing::error!(%error, record_id = %item.record_id, "what is in doubt cannot be sent again");
                }
                None
            }
        }
    }

    /// Returns the exact bytes that were released.
    fn envelope(&self, item: &Claimable, frozen: &Frozen, content: &Sealed) -> Result<Bytes, StoreError> {
        let content = Outgoing::open(&self.node, &item.record_id, content)?;
        let nonce = content.key.envelope_nonce(&frozen.envelope_id)?;
        let kind = match item.kind {
            outbox::ItemKind::Referral => BodyKind::Referral,
            outbox::ItemKind::Answer => BodyKind::Answer,
        };
        let bytes = envelope::join_frozen(&nonce, &frozen.head, kind, &content.bytes);
        let same = Digest::of_leaf(&bytes) == frozen.envelope_digest;
        same.then(|| bytes.into()).ok_or(StoreError::Value("envelope of an item: other bytes were released"))
    }

    async fn ship(
        &self,
        tx: &mut Tx,
        lapsed: &OpenBatch,
        going: Vec<(BatchItem, Bytes)>,
        at: Timestamp,
    ) -> Result<Shipment, StoreError> {
        let (items, envelopes): (Vec<_>, Vec<_>) = going.into_iter().unzip();
        let batch_id = Id::new(at, &*self.node.random);
        let ids: Vec<Id> = items.iter().map(|item: &BatchItem| item.record_id).collect();
        outbox::rebatch(tx, &ids, batch_id).await?;
        let (seal, new_batch) = cut::seal(&self.node, &self.peer, batch_id, at, items, lapsed.attempts + 1);
        batch::insert(tx, &new_batch).await?;
        Ok(Shipment::new(new_batch, seal, envelopes, self.lease_until))
    }
}
