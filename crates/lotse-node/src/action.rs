//! One file per thing that one can do. gRPC, commands and courier all call these; none of them knows who called.

pub mod accept_peer;
pub mod answer_referral;
pub mod cancel_referral;
pub mod claim;
pub mod claim_again;
pub mod confirm_clock;
pub mod confirm_import;
pub mod content_digest;
pub mod covering;
pub mod cut;
pub mod empty_log;
pub mod end_leases;
pub mod end_officer_sessions;
pub mod expire_consents;
pub mod expire_items;
pub mod fetch_records;
pub mod get_checkpoint;
pub mod get_consent;
pub mod get_entry;
pub mod get_referral;
pub mod get_seals;
pub mod get_status;
pub mod guard;
pub mod install_card;
pub mod issue_officer_link;
pub mod list_agreements;
pub mod list_consents;
pub mod list_entries;
pub mod list_referrals;
pub mod offer_agreement;
pub mod open_session;
pub mod outgoing;
pub mod preview_referral;
pub mod purge_ended;
pub mod purge_sent;
pub mod read_entries;
pub mod read_inbox;
pub mod record_consent;
pub mod record_look;
pub mod record_receipt;
pub mod resume_log;
pub mod sign_agreement;
pub mod submit_referrals;
pub mod suspend_agreement;
pub mod suspend_peer;
pub mod take_agreement;
pub mod take_batch;
pub mod take_card;
pub mod take_seals;
pub mod wait_for_leases;
pub mod withdraw_consent;

#[cfg(test)]
mod delivery_properties;
#[cfg(test)]
pub(crate) mod delivery_tests;
