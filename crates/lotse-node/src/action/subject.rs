//! Whom a reference means. A reference is composed (Unicode NFC) before its subject's id is derived from it; before that was so, a
//! system that writes decomposed letters got another id. Who was recorded under that one stays known under it.

use std::collections::HashSet;

use lotse_core::id::Id;
use lotse_store::vault::Vault;
use lotse_store::{StoreError, Tx, subject};

use super::covering::Consents;
use crate::wire::text::decomposed_text;

/// The ids that the subject of a reference may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubjectIds {
    /// The id that a new subject gets.
    pub composed: Id,
    /// The id from before references were composed, where it is another.
    pub decomposed: Option<Id>,
}

impl SubjectIds {
    /// Derives the ids from a composed reference.
    pub fn new(vault: &Vault, reference: &str) -> SubjectIds {
        let before = Some(decomposed_text(reference)).filter(|before| before != reference);
        SubjectIds {
            composed: subject::id(vault, reference),
            decomposed: before.map(|before| subject::id(vault, &before)),
        }
    }

    /// Lists the ids.
    pub fn all(self) -> impl Iterator<Item = Id> {
        [Some(self.composed), self.decomposed].into_iter().flatten()
    }

    /// Returns the id of the subject whose consents count: the one from before only where no consent is found under the composed one.
    pub fn with_consents(self, consents: &Consents, named: Option<Id>) -> Id {
        let has_consent = |subject: &Id| {
            consents.of(*subject, None).iter().any(|towards| named.is_none_or(|id| towards.consent.id == id))
        };
        self.chosen(has_consent)
    }

    /// Returns the id of the subject as it is known, or the composed one.
    pub fn known_among(self, known: &HashSet<Id>) -> Id {
        self.chosen(|subject| known.contains(subject))
    }

    fn chosen(self, is_known: impl Fn(&Id) -> bool) -> Id {
        self.decomposed.filter(|before| !is_known(&self.composed) && is_known(before)).unwrap_or(self.composed)
    }

    /// Reads which of the ids is known.
    pub async fn read(self, tx: &mut Tx) -> Result<Id, StoreError> {
        if self.decomposed.is_none() {
            return Ok(self.composed);
        }
        let ids: Vec<Id> = self.all().collect();
        Ok(self.known_among(&subject::known(tx, &ids).await?))
    }
}
