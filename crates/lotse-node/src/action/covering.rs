//! The consents that may cover what is released to one recipient, found by subject.

use lotse_core::consent::ConsentState;
use lotse_core::id::{AgencyId, Id};
use lotse_core::reason::Reason;
use lotse_core::release::Refusal;
use lotse_store::consent::{self, Towards};
use lotse_store::vault::SubjectKey;
use lotse_store::{Readable, StoreError, Tx};

use crate::action::claim::is_told;
use crate::hold::ProvenTime;
use crate::node::Node;

/// Consents as they stand towards the recipient, found by subject.
#[derive(Default)]
pub struct Consents {
    found: Vec<Towards>,
    /// Subjects of whom a consent cannot be read.
    broken: Vec<Id>,
}

impl Consents {
    /// Reads the consents of subjects, and those that are named, as they stand towards a recipient.
    pub async fn read(
        tx: &mut Tx,
        recipient: &AgencyId,
        mut subjects: Vec<Id>,
        mut named: Vec<Id>,
    ) -> Result<Consents, StoreError> {
        if subjects.is_empty() {
            return Ok(Consents::default());
        }
        for ids in [&mut subjects, &mut named] {
            ids.sort_unstable();
            ids.dedup();
        }
        let Readable { rows: mut found, broken } = consent::towards(tx, recipient, &subjects, &named).await?;
        found.sort_by_key(|towards| towards.consent.subject);
        Ok(Consents { found, broken })
    }

    /// Returns the consents whose time is over and that nobody has committed as expired yet; none without a proven time.
    pub fn overdue(&self, now: Option<ProvenTime>) -> Vec<Id> {
        let Some(at) = now.map(ProvenTime::at) else { return Vec::new() };
        let given = |towards: &&Towards| towards.consent.state == ConsentState::Given;
        self.found.iter().filter(given).map(|t| &t.consent).filter(|c| c.expires_at <= at).map(|c| c.id).collect()
    }

    /// Returns whether a consent of the subject cannot be read: nobody knows what it covers, or that it was withdrawn.
    pub fn is_broken(&self, subject: Id) -> bool {
        self.broken.contains(&subject)
    }

    /// Returns the subject's consents and the named one, whoever it is about.
    pub fn of(&self, subject: Id, named: Option<Id>) -> Vec<&Towards> {
        let from = self.found.partition_point(|towards| towards.consent.subject < subject);
        let own = self.found[from..].iter().take_while(|towards| towards.consent.subject == subject);
        let mut found: Vec<&Towards> = own.collect();
        if let Some(named) = named.filter(|&named| found.iter().all(|towards| towards.consent.id != named)) {
            found.extend(self.found.iter().find(|towards| towards.consent.id == named));
        }
        found
    }
}

/// Unwraps the key of a consent's subject, under which the register entry of a release is encrypted. One that cannot be unwrapped lets
/// its own subject wait and nobody else.
pub fn subject_key(node: &Node, towards: &Towards, attempt: u32) -> Result<SubjectKey, Vec<Refusal>> {
    let place = lotse_store::subject::place(&towards.consent.subject);
    node.vault.subject_key(place, &towards.subject_key).map_err(|error| {
        if is_told(attempt) {
            let consent_id = towards.consent.id;
            tracing::error!(%error, %consent_id, "the key of a consent's subject cannot be read: nothing is released under it");
        }
        vec![Reason::Unavailable.into()]
    })
}
