//! What a withdrawal does to the content that was released under the consent, here at its owner. Frozen bytes of before are never
//! sent again, since their epoch is over: whole content goes, and where only categories were withdrawn, these go out of it. What
//! was in doubt stays so, and visible.

use std::collections::BTreeSet;

use lotse_core::category::Categories;
use lotse_core::id::Id;
use lotse_store::consent::Recipient;
use lotse_store::outbox::{self, Kept, Rest};
use lotse_store::{Readable, StoreError, Tx, register};

use crate::action::outgoing::Outgoing;
use crate::node::Node;

/// Items whose content is looked at together.
const AT_ONCE: usize = 256;

/// Destroys what was withdrawn towards these recipients; returns of how many items. What is due is left to the claim, which decides
/// again, and ends it or cuts it without what was withdrawn.
pub(super) async fn destroy(tx: &mut Tx, node: &Node, touched: &[Recipient]) -> Result<u64, StoreError> {
    let consents: BTreeSet<Id> = touched.iter().map(|recipient| recipient.consent_id).collect();
    let mut destroyed = 0;
    for consent_id in consents {
        let released = register::under_consent(tx, consent_id).await?;
        let records: BTreeSet<Id> = released.into_iter().map(|(record_id, _)| record_id).collect();
        let records: Vec<Id> = records.into_iter().collect();
        for some in records.chunks(AT_ONCE) {
            // What cannot be read cannot be sent, nor parted: it goes whole.
            let Readable { rows: kept, broken: mut gone } = outbox::kept(tx, consent_id, some).await?;
            let mut rest = Vec::new();
            for item in kept {
                match withdrawn(&item, consent_id, touched) {
                    Withdrawn::Nothing => {}
                    Withdrawn::Whole => gone.push(item.record_id),
                    Withdrawn::Part(categories) => match without(node, &item, categories) {
                        Ok(parted) => rest.push(parted),
                        Err(error) => {
                            let record_id = item.record_id;
                            tracing::error!(%error, %record_id, "a content cannot be read, and is destroyed whole");
                            gone.push(record_id);
                        }
                    },
                }
            }
            destroyed += outbox::purge(tx, &gone).await? + rest.len() as u64;
            if !rest.is_empty() {
                outbox::replace_content(tx, rest).await?;
            }
        }
    }
    Ok(destroyed)
}

/// What of an item's content was withdrawn.
enum Withdrawn {
    Nothing,
    Whole,
    Part(Categories),
}

fn withdrawn(item: &Kept, consent_id: Id, touched: &[Recipient]) -> Withdrawn {
    let towards = |one: &&Recipient| one.consent_id == consent_id && one.recipient == item.recipient;
    let Some(Recipient { withdrawn, .. }) = touched.iter().find(towards) else { return Withdrawn::Nothing };
    let part = withdrawn.categories.and(item.sent);
    if withdrawn.whole || withdrawn.purposes.contains(item.purpose) {
        Withdrawn::Whole
    } else if part.is_empty() {
        Withdrawn::Nothing
    } else {
        Withdrawn::Part(part)
    }
}

/// Encrypts an item's content anew, without these categories.
fn without(node: &Node, item: &Kept, removed: Categories) -> Result<Rest, StoreError> {
    let whole = Outgoing::open(node, &item.record_id, &item.content)?;
    let rest = whole.without(node, &item.record_id, removed)?;
    Ok(Rest { record_id: item.record_id, removed, content: rest.sealed })
}
