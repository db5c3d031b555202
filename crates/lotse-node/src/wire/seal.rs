//! Seals on the wire, and the scan of what they carry before it is parsed.

use lotse_core::id::AgencyId;
use lotse_core::reason::Reason;
use lotse_core::seal::{MAX_SIGNATURES, Seal, SealError, Signature};
use lotse_proto::exchange::v1 as proto;
use lotse_proto::schema::{self, MessageType};
use prost::Message;

use super::envelope::SCHEMA_LEVEL;

/// Reads a seal. Nothing is verified here.
pub fn parse(message: proto::Seal) -> Result<Seal, SealError> {
    if message.signatures.len() > MAX_SIGNATURES {
        return Err(SealError::TooManySignatures);
    }
    Ok(Seal {
        document_type: message.r#type.parse()?,
        payload: message.payload.into(),
        signatures: message.signatures.into_iter().map(parse_signature).collect::<Result<_, _>>()?,
    })
}

/// Reads one signature.
pub fn parse_signature(message: proto::Signature) -> Result<Signature, SealError> {
    let named = !message.agency.is_empty();
    let agency = named.then(|| message.agency.parse::<AgencyId>()).transpose().map_err(|_| SealError::Agency)?;
    Signature::from_parts(message.keyid, agency, &message.sig)
}

/// Reads a seal's encoding, as the database keeps it.
pub fn decode(bytes: &[u8]) -> Option<Seal> {
    parse(proto::Seal::decode(bytes).ok()?).ok()
}

/// Reads a signature's encoding, as the database keeps it.
pub fn decode_signature(bytes: &[u8]) -> Option<Signature> {
    parse_signature(proto::Signature::decode(bytes).ok()?).ok()
}

/// Writes a seal.
pub fn message(seal: &Seal) -> proto::Seal {
    proto::Seal {
        payload: seal.payload.clone().into(),
        r#type: seal.document_type.media_type().into(),
        signatures: seal.signatures.iter().map(signature_message).collect(),
    }
}

/// Writes one signature.
pub fn signature_message(signature: &Signature) -> proto::Signature {
    proto::Signature {
        keyid: signature.key_id.clone(),
        sig: signature.bytes.to_vec(),
        agency: signature.agency.as_ref().map(AgencyId::to_string).unwrap_or_default(),
    }
}

/// Walks a sealed document before it is parsed: `SCHEMA_TOO_NEW` if it has a part that this node does not understand, the
/// given reason if it is malformed.
pub fn scan(payload: &[u8], document: MessageType, malformed: Reason) -> Result<(), Reason> {
    match schema::scan(payload, document, SCHEMA_LEVEL) {
        Ok(_) => Ok(()),
        Err(error) => {
            tracing::debug!(%error, "a sealed document is not understood");
            Err(if error.is_too_new() { Reason::SchemaTooNew } else { malformed })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lotse_core::key::SigningKey;
    use lotse_core::seal::DocumentType;

    #[test]
    fn a_seal_reads_what_it_writes() {
        let mut seal = Seal::new(DocumentType::Card, b"card".to_vec());
        seal.sign(&SigningKey::from_seed([1; 32]), Some("a.example".parse().unwrap()));
        seal.sign(&SigningKey::from_seed([2; 32]), None);
        assert_eq!(parse(message(&seal)).unwrap(), seal);
        assert_eq!(decode(&message(&seal).encode_to_vec()).unwrap(), seal);
    }

    #[test]
    fn a_seal_of_another_form_is_refused() {
        let good = message(&Seal::new(DocumentType::Card, vec![]));
        let unknown = proto::Seal { r#type: "text/plain".into(), ..good.clone() };
        assert_eq!(parse(unknown), Err(SealError::UnknownType));
        let short = proto::Signature { sig: vec![1; 63], ..Default::default() };
        assert_eq!(parse_signature(short.clone()), Err(SealError::SignatureLength));
        let many = proto::Seal { signatures: vec![short; MAX_SIGNATURES + 1], ..good };
        assert_eq!(parse(many), Err(SealError::TooManySignatures));
    }

    #[test]
    fn an_unknown_part_is_too_new_and_a_broken_one_malformed() {
        let unknown_field = [0xf8, 0x3f, 0x01]; // field 1023, varint
        let at = |bytes: &[u8]| scan(bytes, MessageType::Card, Reason::CardInvalid);
        assert_eq!(at(&unknown_field), Err(Reason::SchemaTooNew));
        assert_eq!(at(&[0xff]), Err(Reason::CardInvalid));
        assert_eq!(at(&[]), Ok(()));
    }
}
