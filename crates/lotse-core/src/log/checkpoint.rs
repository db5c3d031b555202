//! Checkpoints (C2SP tlog-checkpoint): the signed head of an exchange log.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::id::{AgencyId, Digest};
use crate::key::{PublicKey, SigningKey};
use crate::log::note::{KeyName, Note, NoteError, VerifierKey};
use crate::log::proof::TreeHead;

/// The name of one log: `<agency id>/exchange-log/<generation>`. Also the name of the key that signs its checkpoints.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// Agency whose log it is.
    pub agency: AgencyId,
    /// Generation of the node that writes it.
    pub generation: u32,
}

/// What stands between agency and generation.
const INFIX: &str = "/exchange-log/";

/// Why a checkpoint cannot be read or does not count.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CheckpointError {
    /// The text is no origin of an exchange log.
    #[error("not the origin of an exchange log: use <agency id>/exchange-log/<generation>")]
    Origin,
    /// The note's text is not origin, size and root, each on its line, and nothing else.
    #[error("not a checkpoint: three lines with origin, size and root are needed")]
    Malformed,
    /// It is a checkpoint of another log.
    #[error("the checkpoint is of {found}, expected {expected}")]
    OtherOrigin {
        /// The log that the reader asked for.
        expected: Box<Origin>,
        /// The log that signed.
        found: Box<Origin>,
    },
    /// The note or its signatures are not in order.
    #[error(transparent)]
    Note(#[from] NoteError),
}

impl Origin {
    /// Names a key of this log, for verifying its checkpoints, here or with other people's tools.
    pub fn verifier_key(&self, key: PublicKey) -> VerifierKey {
        VerifierKey::new(self.key_name(), key)
    }

    fn key_name(&self) -> KeyName {
        KeyName(self.to_string().into()) // an agency id has neither spaces nor plus signs
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{INFIX}{}", self.agency, self.generation)
    }
}

impl FromStr for Origin {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Origin, CheckpointError> {
        let (agency, generation) = text.split_once(INFIX).ok_or(CheckpointError::Origin)?;
        let agency = agency.parse().map_err(|_| CheckpointError::Origin)?;
        let generation = generation.parse().map_err(|_| CheckpointError::Origin)?;
        let origin = Origin { agency, generation };
        if origin.to_string() == text { Ok(origin) } else { Err(CheckpointError::Origin) }
    }
}

/// The head of a log: how many entries it has, and the root over them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: Origin,
    /// Its head.
    pub head: TreeHead,
}

impl Checkpoint {
    /// Signs the checkpoint with the log's key, under the log's name.
    ///
    /// The caller has made sure that this log never signed a checkpoint that this one does not continue.
    pub fn sign(&self, key: &SigningKey) -> Note {
        let mut note = Note { text: self.to_string(), signatures: Vec::new() };
        note.sign(self.origin.key_name(), key);
        note
    }

    /// Reads a checkpoint of this log from a note that one of the log's keys has signed. Others' signatures are ignored.
    pub fn open(note: &Note, origin: &Origin, keys: &[PublicKey]) -> Result<Checkpoint, CheckpointError> {
        let known: Vec<VerifierKey> = keys.iter().map(|&key| origin.verifier_key(key)).collect();
        note.verify(&known)?;
        let checkpoint: Checkpoint = note.text().parse()?;
        if checkpoint.origin == *origin {
            return Ok(checkpoint);
        }
        Err(CheckpointError::OtherOrigin { expected: Box::new(origin.clone()), found: Box::new(checkpoint.origin) })
    }
}

impl fmt::Display for Checkpoint {
    /// Writes the note's text: origin, size, root in base64.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.head.size, STANDARD.encode(self.head.root.as_bytes()))
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;

    /// Reads a note's text. Extension lines are refused: monitors cannot audit them, and this protocol has none.
    fn from_str(text: &str) -> Result<Checkpoint, CheckpointError> {
        let mut lines = text.lines();
        let mut line = || lines.next().ok_or(CheckpointError::Malformed);
        let origin = line()?.parse()?;
        let size = line()?.parse().map_err(|_| CheckpointError::Malformed)?;
        let root = STANDARD.decode(line()?).map_err(|_| CheckpointError::Malformed)?;
        let root = Digest::from_slice(&root).map_err(|_| CheckpointError::Malformed)?;
        let checkpoint = Checkpoint { origin, head: TreeHead { size, root } };
        if checkpoint.to_string() == text { Ok(checkpoint) } else { Err(CheckpointError::Malformed) }
    }
}
