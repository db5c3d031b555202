//! Signed notes (C2SP signed-note): a text and lines of signatures below it.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::id::Digest;
use crate::key::{PublicKey, SigningKey};

/// The most bytes of a note, signatures of other algorithms included.
pub const MAX_NOTE_BYTES: usize = 128 * 1024;
/// The most signature lines of a note.
pub const MAX_NOTE_SIGNATURES: usize = 64;
/// Signature type of a plain Ed25519 signature.
pub const TYPE_ED25519: u8 = 0x01;

/// What a signature line begins with: an em dash and a space.
const LINE_START: &str = "— ";

/// Why a note cannot be read or does not count.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NoteError {
    /// The bytes are no signed note.
    #[error("not a signed note: text, an empty line, then signature lines")]
    Malformed,
    /// There are more bytes or signatures than a reader needs to accept.
    #[error("the note is longer than {MAX_NOTE_BYTES} bytes or has more than {MAX_NOTE_SIGNATURES} signatures")]
    TooLong,
    /// The text is empty or has a space, a plus sign or a control character.
    #[error("not a key name: it must not be empty and have no spaces, plus signs or control characters")]
    KeyName,
    /// The text is no verifier key, or one of another algorithm.
    #[error("not an Ed25519 verifier key: use <name>+<key id>+<base64>")]
    VerifierKey,
    /// A key that the reader knows is named, but its signature is wrong.
    #[error("the signature of {0} does not verify")]
    BadSignature(KeyName),
    /// No signature is by a key that the reader knows.
    #[error("the note is signed by no key that counts here")]
    NotSigned,
}

/// The name of a key in a note; for a log, its origin.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(pub(super) Box<str>);

impl FromStr for KeyName {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<KeyName, NoteError> {
        let forbidden = |c: char| c.is_whitespace() || c < ' ' || c == '+';
        if text.is_empty() || text.contains(forbidden) { Err(NoteError::KeyName) } else { Ok(KeyName(text.into())) }
    }
}

impl KeyName {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The short id of a key: it finds the key, it proves nothing.
pub type KeyId = [u8; 4];

/// Returns the id of a key: the first 4 bytes of SHA-256(name ‖ 0x0A ‖ signature type ‖ public key).
pub fn key_id(name: &KeyName, signature_type: u8, key: &PublicKey) -> KeyId {
    let hash = Digest::concat(&[name.as_str().as_bytes(), b"\n", &[signature_type], key.as_bytes()]);
    let [a, b, c, d, ..] = *hash.as_bytes();
    [a, b, c, d]
}

/// A key that a reader trusts under a name. Written as a *vkey*: `<name>+<key id>+<base64 of type and key>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: KeyName,
    key: PublicKey,
    id: KeyId,
}

impl VerifierKey {
    /// Gives an Ed25519 key a name.
    pub fn new(name: KeyName, key: PublicKey) -> VerifierKey {
        let id = key_id(&name, TYPE_ED25519, &key);
        VerifierKey { name, key, id }
    }

    /// Returns the name.
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// Returns the key.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let typed_key = [&[TYPE_ED25519], &self.key.as_bytes()[..]].concat();
        write!(f, "{}+{}+{}", self.name, hex::encode(self.id), STANDARD.encode(typed_key))
    }
}

impl FromStr for VerifierKey {
    type Err = NoteError;

    /// Reads a vkey; its key id must be that of its name and key.
    fn from_str(text: &str) -> Result<VerifierKey, NoteError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(_), Some(typed_key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::VerifierKey);
        };
        let typed_key = STANDARD.decode(typed_key).map_err(|_| NoteError::VerifierKey)?;
        let key = typed_key.strip_prefix(&[TYPE_ED25519]).ok_or(NoteError::VerifierKey)?;
        let key = PublicKey::from_slice(key).map_err(|_| NoteError::VerifierKey)?;
        let verifier = VerifierKey::new(name.parse()?, key);
        if verifier.to_string() == text { Ok(verifier) } else { Err(NoteError::VerifierKey) }
    }
}

/// One signature line. The bytes mean what the key's signature type says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    /// Name of the key.
    pub name: KeyName,
    /// Id of the key.
    pub id: KeyId,
    /// What follows the id.
    pub bytes: Vec<u8>,
}

impl NoteSignature {
    /// Reads a line without its newline.
    fn parse(line: &str) -> Result<NoteSignature, NoteError> {
        let (name, bytes) =
            line.strip_prefix(LINE_START).and_then(|rest| rest.split_once(' ')).ok_or(NoteError::Malformed)?;
        let bytes = STANDARD.decode(bytes).map_err(|_| NoteError::Malformed)?;
        let (&id, bytes) = bytes.split_first_chunk().ok_or(NoteError::Malformed)?;
        if bytes.is_empty() {
            return Err(NoteError::Malformed);
        }
        Ok(NoteSignature { name: name.parse().map_err(|_| NoteError::Malformed)?, id, bytes: bytes.to_vec() })
    }

    fn is_by(&self, key: &VerifierKey) -> bool {
        self.name == key.name && self.id == key.id
    }
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{LINE_START}{} {}", self.name, STANDARD.encode([&self.id[..], &self.bytes].concat()))
    }
}

/// A text and its signatures. Written, it is the signed note; the text must be ignored until [`Note::verify`] accepts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub(super) text: String,
    pub(super) signatures: Vec<NoteSignature>,
}

impl Note {
    /// Takes a text that nobody has signed yet: lines, each with its newline, without other control characters.
    pub fn new(text: String) -> Result<Note, NoteError> {
        if text.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLong);
        }
        let well_formed = text.ends_with('\n') && !text.contains(|c: char| c < ' ' && c != '\n');
        if well_formed { Ok(Note { text, signatures: Vec::new() }) } else { Err(NoteError::Malformed) }
    }

    /// Reads a signed note. At least one signature line is needed; what the lines are worth is not looked at.
    pub fn parse(bytes: &[u8]) -> Result<Note, NoteError> {
        if bytes.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLong);
        }
        let note = std::str::from_utf8(bytes).map_err(|_| NoteError::Malformed)?;
        let text_bytes = note.rfind("\n\n").ok_or(NoteError::Malformed)? + 1;
        let (text, lines) = note.split_at(text_bytes);
        let lines = lines.strip_prefix('\n').and_then(|lines| lines.strip_suffix('\n')).ok_or(NoteError::Malformed)?;
        if lines.split('\n').count() > MAX_NOTE_SIGNATURES {
            return Err(NoteError::TooLong);
        }
        let signatures = lines.split('\n').map(NoteSignature::parse).collect::<Result<_, _>>()?;
        Ok(Note { signatures, ..Note::new(text.to_owned())? })
    }

    /// Returns the text, its last newline included.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the signature lines.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Adds an Ed25519 signature over the text, in place of an older one by this key under this name.
    pub fn sign(&mut self, name: KeyName, key: &SigningKey) {
        let id = key_id(&name, TYPE_ED25519, &key.public());
        self.add(NoteSignature { name, id, bytes: key.sign(self.text.as_bytes()).to_vec() });
    }

    /// Adds a signature made elsewhere, for instance a witness's, in place of an older one of the same name and id.
    pub fn add(&mut self, signature: NoteSignature) {
        self.signatures.retain(|old| old.name != signature.name || old.id != signature.id);
        self.signatures.push(signature);
    }

    /// Checks the signatures by keys that the reader knows, and returns those keys.
    ///
    /// Other signatures are ignored. One wrong signature of a known key refuses the whole note, and so does none at all.
    pub fn verify<'k>(&self, known: &'k [VerifierKey]) -> Result<Vec<&'k VerifierKey>, NoteError> {
        let mut signers = Vec::new();
        for signature in &self.signatures {
            for key in known.iter().filter(|key| signature.is_by(key)) {
                if !key.key.verify(self.text.as_bytes(), &signature.bytes) {
                    return Err(NoteError::BadSignature(key.name.clone()));
                }
                if !signers.contains(&key) {
                    signers.push(key);
                }
            }
        }
        if signers.is_empty() { Err(NoteError::NotSigned) } else { Ok(signers) }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| write!(f, "{signature}"))
    }
}
