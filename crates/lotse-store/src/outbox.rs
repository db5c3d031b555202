//! The outbox: what this agency's systems handed over, until the recipient has said what became of it.
//!
//! One row lives from submission to the end. A claim freezes the envelope: its head is written beside the content, and the two
//! together are its exact bytes. An item in doubt whose batch is answered is taken; only exceptions are written into the row, so
//! that a receipt that takes everything writes no row per item.

mod claim;
mod item;
mod purge;
mod settle;
mod submit;

use lotse_core::delivery::DeliveryState;
use lotse_core::purpose::Purpose;
use lotse_core::referral::ReferralState;

use crate::engine::{Directory, Row, StoreError};
use crate::vault::Sealed;

pub use claim::{Claimable, Frozen, Rest, due, in_doubt, rebatch, release, replace_content};
pub use item::{
    Delivered, Item, Latest, NextAttempts, Oldest, ReferralPage, SentAnswer, WaitReason, Waiting, answers, delivered,
    expired, find, find_readable, list_referrals, newest, next_attempts, oldest, repeated, wait_reasons, waiting,
};
pub use purge::{Kept, Overdue, kept, purge, purge_ended, purge_overdue};
pub use settle::{Settled, retry_now, set_referral_state, settle};
pub use submit::{Known, NewItem, Release, insert, known};

/// How items are found by their record ids, of which no two have the same.
pub(crate) static RECORDS: Directory =
    Directory { table: "outbox", alias: "o", id: "record_id", places: "outbox_place", young: 8_192 };

/// Items that are looked up at once.
pub(crate) const AT_ONCE: usize = 8_000;

/// What an outgoing item carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ItemKind {
    /// A referral.
    Referral = 1,
    /// An answer to a referral.
    Answer = 2,
}

impl ItemKind {
    /// Finds the kind with this number.
    pub fn from_number(number: i32) -> Option<ItemKind> {
        [ItemKind::Referral, ItemKind::Answer].into_iter().find(|kind| *kind as i32 == number)
    }
}

/// Reads the item's state and its batch's from two columns: in doubt in an answered batch is taken.
fn effective_state(row: &Row, column: usize) -> Result<DeliveryState, StoreError> {
    let state = DeliveryState::from_number(row.get(column)?).ok_or(StoreError::Value("delivery state"))?;
    let answered = row.get::<Option<i32>>(column + 1)? == Some(crate::batch::ANSWERED);
    Ok(if state == DeliveryState::InDoubt && answered { DeliveryState::Taken } else { state })
}

/// Returns where a referral stands: what was taken is received, which is not written into the row.
fn effective_referral_state(delivery: DeliveryState, stored: i32) -> Result<ReferralState, StoreError> {
    let stored = ReferralState::from_number(stored).ok_or(StoreError::Value("referral state"))?;
    let is_taken = delivery == DeliveryState::Taken && stored == ReferralState::Offered;
    Ok(if is_taken { ReferralState::Received } else { stored })
}

pub(crate) fn kind(row: &Row, column: usize) -> Result<ItemKind, StoreError> {
    ItemKind::from_number(row.get(column)?).ok_or(StoreError::Value("item kind"))
}

pub(crate) fn purpose(row: &Row, column: usize) -> Result<Purpose, StoreError> {
    Purpose::from_number(row.get(column)?).ok_or(StoreError::Value("purpose"))
}

/// Reads content from the columns of its key and its bytes; none when it was destroyed.
fn sealed(row: &Row, column: usize) -> Result<Option<Sealed>, StoreError> {
    let (key, ciphertext) = (row.get::<Option<_>>(column)?, row.get::<Option<_>>(column + 1)?);
    Ok(key.zip(ciphertext).map(|(key, ciphertext)| Sealed { key, ciphertext }))
}

#[cfg(test)]
pub(crate) mod tests;
