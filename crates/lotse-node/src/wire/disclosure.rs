//! What the disclosure register keeps of a release, encrypted under the subject's key.

use lotse_core::category::Categories;
use lotse_core::id::Id;
use lotse_core::purpose::Purpose;
use prost::Message;

/// The basis of a release and what of the record went.
#[derive(Clone, PartialEq, Message)]
pub struct DisclosureContent {
    /// Number of the purpose.
    #[prost(int32, tag = "1")]
    pub purpose: i32,
    /// Agreement.
    #[prost(bytes = "vec", tag = "2")]
    pub agreement_id: Vec<u8>,
    /// Version of the agreement.
    #[prost(uint32, tag = "3")]
    pub agreement_version: u32,
    /// Clause.
    #[prost(string, tag = "4")]
    pub clause_id: String,
    /// Consent.
    #[prost(bytes = "vec", tag = "5")]
    pub consent_id: Vec<u8>,
    /// Categories that went, as a set's number.
    #[prost(int64, tag = "6")]
    pub categories: i64,
    /// Categories that were left out, as a set's number.
    #[prost(int64, tag = "7")]
    pub left_out: i64,
    /// Until when the recipient may hold it.
    #[prost(int64, tag = "8")]
    pub hold_until: i64,
}

impl DisclosureContent {
    /// Builds the content of an entry.
    pub fn new(purpose: Purpose, consent: Id, categories: Categories, left_out: Categories) -> DisclosureContent {
        DisclosureContent {
            purpose: purpose.number(),
            consent_id: consent.to_vec(),
            categories: categories.bits(),
            left_out: left_out.bits(),
            ..DisclosureContent::default()
        }
    }
}
