//! The exchange log as messages, as officers read it.

use lotse_core::agreement::words::Language;
use lotse_core::id::Digest;
use lotse_core::reason::Reason;
use lotse_core::time::Timestamp;
use lotse_proto::audit::v1 as audit;
use lotse_proto::exchange::v1::{LogEntry, Receipt, Seal};
use lotse_store::batch::BatchSeals;
use lotse_store::log::{Filter, Leaf};
use prost::Message;

use crate::action::get_entry::ProvenEntry;
use crate::action::get_seals::{Documents, MAX_DOCUMENTS, Wanted};
use crate::entry::sentence::{explanation, sentence};
use crate::failure::{Cause, ErrorKind, Failure};
use crate::wire::{seal, time};
use crate::wording::Wording;

/// Writes an entry with its place. Bytes that cannot be read any more show as an entry without a kind.
pub(crate) fn logged(leaf: &Leaf, generation: u32) -> audit::LoggedEntry {
    let entry = LogEntry::decode(leaf.entry.bytes.as_slice()).unwrap_or_default();
    let sentence = sentence(&entry, Language::English);
    audit::LoggedEntry { index: leaf.index, generation, entry: Some(entry), sentence }
}

/// Writes an entry with its proof.
pub(crate) fn answer(proven: ProvenEntry, generation: u32) -> audit::GetEntryResponse {
    let entry = logged(&proven.leaf, generation);
    let explained = entry.entry.as_ref().map(|entry| explanation(entry, Language::English)).unwrap_or_default();
    let (path, checkpoint) = proven.proof.map(|proof| (proof.path, proof.checkpoint)).unwrap_or_default();
    audit::GetEntryResponse {
        entry: Some(entry),
        entry_bytes: proven.leaf.entry.bytes,
        inclusion_path: path.iter().map(|hash| hash.to_vec()).collect(),
        checkpoint,
        explanation: explained,
    }
}

/// Reads what a list is narrowed to.
pub(crate) fn parse_filter(filter: audit::EntryFilter) -> Result<Filter, Failure> {
    let invalid = |field: &str, message: &str| Failure::field(Reason::FieldInvalid, field, message);
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let moment = |field: &str, given: Option<pbjson_types::Timestamp>| -> Result<Option<Timestamp>, Failure> {
        let parsed = given.map(|given| time::parse(&given).ok_or_else(|| invalid(field, "is out of range")));
        parsed.transpose()
    };
    let peer = given(&filter.peer).map(|peer| peer.parse().map_err(|_| invalid("filter.peer", "is no agency id")));
    let record = given(&filter.record_id).map(|id| id.parse().map_err(|_| invalid("filter.record_id", "is no id")));
    Ok(Filter {
        kind: (filter.kind != 0).then_some(filter.kind),
        direction: (filter.direction != 0).then_some(filter.direction),
        peer: peer.transpose()?,
        record_id: record.transpose()?,
        decision: (filter.decision != 0).then_some(filter.decision),
        from: moment("filter.from", filter.from)?,
        until: moment("filter.until", filter.until)?,
    })
}

/// Refuses a list without an entry that is narrowed to an agency which nobody here knows.
pub(crate) fn unknown_peer(explained: Wording) -> Failure {
    Failure {
        kind: ErrorKind::Invalid,
        causes: vec![Cause::about_field(Reason::PeerUnknown, "filter.peer", explained)],
    }
}

/// Reads which sealed documents are wanted.
pub(crate) fn parse_wanted(request: audit::GetSealsRequest) -> Result<Wanted, Failure> {
    let audit::GetSealsRequest { batch_ids, agreement_digests, agencies } = request;
    if batch_ids.len() + agreement_digests.len() + agencies.len() > MAX_DOCUMENTS {
        return Err(Failure::field(Reason::FieldInvalid, "batch_ids", format!("at most {MAX_DOCUMENTS} documents")));
    }
    let invalid = |field: &str, message: &str| Failure::field(Reason::FieldInvalid, field, message);
    let batch = |id: &String| id.parse().map_err(|_| invalid("batch_ids", "is no id"));
    let digest =
        |digest: &Vec<u8>| Digest::from_slice(digest).map_err(|_| invalid("agreement_digests", "needs 32 bytes"));
    let agency = |id: &String| id.parse().map_err(|_| invalid("agencies", "is no agency id"));
    Ok(Wanted {
        batches: batch_ids.iter().map(batch).collect::<Result<_, _>>()?,
        agreements: agreement_digests.iter().map(digest).collect::<Result<_, _>>()?,
        agencies: agencies.iter().map(agency).collect::<Result<_, _>>()?,
    })
}

/// Writes sealed documents. What cannot be read any more is left out, as if it were not here.
pub(crate) fn documents(found: Documents) -> audit::GetSealsResponse {
    let batch = |seals: BatchSeals| audit::BatchSeals {
        batch_id: seals.batch_id.to_string(),
        batch: Seal::decode(seals.seal.as_slice()).ok(),
        receipt: seals.receipt.and_then(|receipt| Receipt::decode(receipt.as_slice()).ok()),
    };
    audit::GetSealsResponse {
        batches: found.batches.into_iter().map(batch).collect(),
        agreements: found.agreements.iter().map(seal::message).collect(),
        cards: found.cards.iter().filter_map(|card| Seal::decode(card.as_slice()).ok()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(request: audit::GetSealsRequest) -> String {
        parse_wanted(request).unwrap_err().to_string()
    }

    #[test]
    fn sealed_documents_are_asked_for_by_well_formed_names_and_sixty_four_at_most() {
        let id = "0198c5a4-7d3e-7cc0-8000-000000000001".to_owned();
        let most = audit::GetSealsRequest {
            batch_ids: vec![id.clone(); MAX_DOCUMENTS - 2],
            agreement_digests: vec![vec![1; 32]],
            agencies: vec!["jc.example".into()],
        };
        let wanted = parse_wanted(most.clone()).unwrap();
        assert_eq!((wanted.batches.len(), wanted.agreements.len(), wanted.agencies.len()), (62, 1, 1));
        let more = audit::GetSealsRequest { agencies: vec!["jc.example".into(); 2], ..most.clone() };
        assert!(refused(more).contains("at most 64 documents"));
        let none = audit::GetSealsRequest::default();
        assert!(refused(audit::GetSealsRequest { batch_ids: vec!["7".into()], ..none.clone() }).contains("batch_ids"));
        let digest = audit::GetSealsRequest { agreement_digests: vec![vec![1; 31]], ..none.clone() };
        assert!(refused(digest).contains("agreement_digests"));
        assert!(refused(audit::GetSealsRequest { agencies: vec!["JC".into()], ..none }).contains("agencies"));
    }
}
