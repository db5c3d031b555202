//! The seal: how a document is signed (DSSE, <https://github.com/secure-systems-lab/dsse>).
//!
//! A seal carries the document's bytes exactly as they were signed. They are verified first and parsed after, and never
//! encoded again. In files a seal has the standard JSON form of DSSE ([`serde`]); on the wire it is a message of its own.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use crate::agreement::text::PARTIES;
use crate::id::AgencyId;
use crate::key::{PublicKey, SIGNATURE_BYTES, SigningKey};

/// The most signatures a seal may carry: one of each party of an agreement's version and of the version before, which has to agree
/// to its end. A bound on the work of a check.
pub const MAX_SIGNATURES: usize = 2 * *PARTIES.end();

/// What a sealed document is. The closed list of v1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DocumentType {
    /// An agency card, sealed by the agency's root key.
    Card,
    /// A cooperation agreement, sealed by every party.
    Agreement,
    /// A batch of envelopes, sealed by its sender.
    Batch,
    /// A receipt for a batch, sealed by its receiver.
    Receipt,
}

impl DocumentType {
    /// Every type.
    pub const ALL: [DocumentType; 4] =
        [DocumentType::Card, DocumentType::Agreement, DocumentType::Batch, DocumentType::Receipt];

    /// Returns the payload type of DSSE.
    pub const fn media_type(self) -> &'static str {
        match self {
            DocumentType::Card => "application/vnd.lotse.card.v1+protobuf",
            DocumentType::Agreement => "application/vnd.lotse.agreement.v1+protobuf",
            DocumentType::Batch => "application/vnd.lotse.batch.v1+protobuf",
            DocumentType::Receipt => "application/vnd.lotse.receipt.v1+protobuf",
        }
    }
}

impl fmt::Display for DocumentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.media_type())
    }
}

impl FromStr for DocumentType {
    type Err = SealError;

    /// Reads a payload type of DSSE.
    fn from_str(text: &str) -> Result<DocumentType, SealError> {
        DocumentType::ALL.into_iter().find(|kind| kind.media_type() == text).ok_or(SealError::UnknownType)
    }
}

/// Why a seal cannot be read or does not count.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SealError {
    /// The payload type is none of this protocol.
    #[error("the seal's payload type is none that this version knows")]
    UnknownType,
    /// The document is of another type than the reader expects.
    #[error("the seal holds {found}, expected {expected}")]
    OtherType {
        /// What the reader expects.
        expected: DocumentType,
        /// What the seal says.
        found: DocumentType,
    },
    /// A signature is not 64 bytes long.
    #[error("a signature has another length than 64 bytes")]
    SignatureLength,
    /// A field of the JSON form is no base64.
    #[error("a field of the seal is not base64")]
    Base64,
    /// The hint at the signing agency is no agency id.
    #[error("the agency of a signature is not an agency id")]
    Agency,
    /// There are more than [`MAX_SIGNATURES`].
    #[error("the seal carries more than {MAX_SIGNATURES} signatures")]
    TooManySignatures,
    /// None of the signatures was made by one of the keys that count.
    #[error("no signature verifies with a key that counts here")]
    NotSigned,
}

/// Returns the bytes that are signed: DSSE's pre-authentication encoding of type and payload.
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    let mut bytes = Vec::with_capacity(head.len() + payload.len());
    bytes.extend_from_slice(head.as_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// One signature of a seal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Hint at the key ([`PublicKey::key_id`]). Never a reason to trust one.
    pub key_id: String,
    /// Hint at the agency that signs. Not signed: the key is looked up in that agency's card.
    pub agency: Option<AgencyId>,
    /// The Ed25519 signature over [`pae`].
    pub bytes: [u8; SIGNATURE_BYTES],
}

impl Signature {
    /// Takes a signature of the wire or the database.
    pub fn from_parts(key_id: String, agency: Option<AgencyId>, bytes: &[u8]) -> Result<Signature, SealError> {
        let bytes = bytes.try_into().map_err(|_| SealError::SignatureLength)?;
        Ok(Signature { key_id, agency, bytes })
    }
}

/// A document and the signatures over it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "JsonForm", into = "JsonForm")]
pub struct Seal {
    /// What the document is.
    pub document_type: DocumentType,
    /// The document's bytes, exactly as signed.
    pub payload: Vec<u8>,
    /// The signatures, in the order in which they were added.
    pub signatures: Vec<Signature>,
}

impl Seal {
    /// Puts a document in a seal that nobody has signed yet.
    pub fn new(document_type: DocumentType, payload: Vec<u8>) -> Seal {
        Seal { document_type, payload, signatures: Vec::new() }
    }

    /// Adds a signature over the bytes as they are. A key that has signed already adds nothing.
    pub fn sign(&mut self, key: &SigningKey, agency: Option<AgencyId>) {
        let bytes = key.sign(&self.signed_bytes());
        let signed_already = self.signatures.iter().any(|signature| signature.bytes == bytes);
        if !signed_already {
            self.signatures.push(Signature { key_id: key.public().key_id(), agency, bytes });
        }
    }

    /// Checks that the document is of the expected type and signed by one of the keys, and says by which.
    ///
    /// The keys are those that count for the one agency whose signature is asked about, whatever the hints say; for an
    /// agreement this is called once for each party.
    pub fn verify(&self, expected: DocumentType, keys: &[PublicKey]) -> Result<PublicKey, SealError> {
        if self.document_type != expected {
            return Err(SealError::OtherType { expected, found: self.document_type });
        }
        if self.signatures.len() > MAX_SIGNATURES {
            return Err(SealError::TooManySignatures);
        }
        let signed_bytes = self.signed_bytes();
        let mut pairs = self.pairs(keys);
        pairs.sort_by_key(|(signature, key)| signature.key_id != key.key_id()); // what the hint names is tried first
        let signer = pairs.iter().find(|(signature, key)| key.verify(&signed_bytes, &signature.bytes));
        signer.map(|&(_, key)| key).ok_or(SealError::NotSigned)
    }

    fn pairs(&self, keys: &[PublicKey]) -> Vec<(&Signature, PublicKey)> {
        self.signatures.iter().flat_map(|signature| keys.iter().map(move |&key| (signature, key))).collect()
    }

    fn signed_bytes(&self) -> Vec<u8> {
        pae(self.document_type.media_type(), &self.payload)
    }
}

/// The JSON form of DSSE. Unknown fields are ignored, as DSSE asks.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonForm {
    payload: String,
    payload_type: String,
    signatures: Vec<JsonSignature>,
}

/// One signature in the JSON form; `agency` is an addition of this protocol, which DSSE allows.
#[derive(Serialize, Deserialize)]
struct JsonSignature {
    #[serde(default)]
    keyid: String,
    sig: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agency: Option<String>,
}

impl From<Seal> for JsonForm {
    fn from(seal: Seal) -> JsonForm {
        let signatures = seal.signatures.into_iter().map(|signature| JsonSignature {
            keyid: signature.key_id,
            sig: STANDARD.encode(signature.bytes),
            agency: signature.agency.map(|agency| agency.to_string()),
        });
        JsonForm {
            payload: STANDARD.encode(seal.payload),
            payload_type: seal.document_type.to_string(),
            signatures: signatures.collect(),
        }
    }
}

impl TryFrom<JsonForm> for Seal {
    type Error = SealError;

    fn try_from(form: JsonForm) -> Result<Seal, SealError> {
        if form.signatures.len() > MAX_SIGNATURES {
            return Err(SealError::TooManySignatures);
        }
        Ok(Seal {
            document_type: form.payload_type.parse()?,
            payload: from_base64(&form.payload)?,
            signatures: form.signatures.into_iter().map(Signature::try_from).collect::<Result<_, _>>()?,
        })
    }
}

impl TryFrom<JsonSignature> for Signature {
    type Error = SealError;

    fn try_from(form: JsonSignature) -> Result<Signature, SealError> {
        let agency = form.agency.map(|agency| agency.parse()).transpose().map_err(|_| SealError::Agency)?;
        Signature::from_parts(form.keyid, agency, &from_base64(&form.sig)?)
    }
}

/// Reads base64 of the standard or the URL-safe alphabet: DSSE allows both.
fn from_base64(text: &str) -> Result<Vec<u8>, SealError> {
    let url_safe = text.contains(['-', '_']);
    let alphabet = if url_safe { &alphabet::URL_SAFE } else { &alphabet::STANDARD };
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(alphabet, config).decode(text).map_err(|_| SealError::Base64)
}

#[cfg(test)]
mod tests;
