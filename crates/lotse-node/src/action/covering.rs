//! The consents that may cover what is released to one recipient, found by subject.

use lotse_core::consent::ConsentState;
use lotse_core::id::{AgencyId, Id};
use lotse_store::consent::{self, Towards};
use lotse_store::{StoreError, Tx};

use crate::hold::ProvenTime;

/// Consents as they stand towards the recipient, found by subject.
#[derive(Default)]
pub struct Consents(Vec<Towards>);

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
        let mut towards = consent::towards(tx, recipient, &subjects, &named).await?;
        towards.sort_by_key(|towards| towards.consent.subject);
        Ok(Consents(towards))
    }

    /// Returns the consents whose time is over and that nobody has committed as expired yet; none without a proven time.
    pub fn overdue(&self, now: Option<ProvenTime>) -> Vec<Id> {
        let Some(at) = now.map(ProvenTime::at) else { return Vec::new() };
        let given = |towards: &&Towards| towards.consent.state == ConsentState::Given;
        self.0.iter().filter(given).map(|t| &t.consent).filter(|c| c.expires_at <= at).map(|c| c.id).collect()
    }

    /// Returns the subject's consents and the named one, whoever it is about.
    pub fn of(&self, subject: Id, named: Option<Id>) -> Vec<&Towards> {
        let from = self.0.partition_point(|towards| towards.consent.subject < subject);
        let own = self.0[from..].iter().take_while(|towards| towards.consent.subject == subject);
        let mut found: Vec<&Towards> = own.collect();
        if let Some(named) = named.filter(|&named| found.iter().all(|towards| towards.consent.id != named)) {
            found.extend(self.0.iter().find(|towards| towards.consent.id == named));
        }
        found
    }
}
