//! The head as text: TOML that an administrator can read, with a checksum against a bit that flips on the disk.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lotse_core::id::Digest;
use lotse_core::log::proof::TreeHead;
use serde::{Deserialize, Serialize};

use super::Head;

const COMMENT: &str = "# The newest signed head of this node's exchange log. Written by the node alone; never edit, never put an older\n\
                       # copy back: the node would refuse to release until `lotse log resume`. Backups leave this file out.\n";

/// The names and order of the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    origin: String,
    generation: u32,
    size: u64,
    root: String,
    checkpoints: u64,
    fencing_number: u64,
    card_version: u64,
    #[serde(default)]
    checksum: String,
}

impl Form {
    /// Returns what proves that no part of the file changed by accident. It keeps nobody from writing another file.
    fn checksum(&self) -> String {
        let Form { origin, generation, size, root, checkpoints, fencing_number, card_version, checksum: _ } = self;
        let parts =
            format!("{origin}\n{generation}\n{size}\n{root}\n{checkpoints}\n{fencing_number}\n{card_version}\n");
        Digest::of(parts.as_bytes()).to_string()
    }
}

/// Writes the file.
pub(super) fn write(head: &Head) -> String {
    let mut form = Form {
        origin: head.origin.to_string(),
        generation: head.origin.generation,
        size: head.tree.size,
        root: STANDARD.encode(head.tree.root.as_bytes()),
        checkpoints: head.checkpoints,
        fencing_number: head.fencing_number,
        card_version: head.card_version,
        checksum: String::new(),
    };
    form.checksum = form.checksum();
    format!("{COMMENT}{}", toml::to_string(&form).unwrap_or_default()) // strings and numbers can always be written
}

/// Reads the file, or says what is wrong with it.
pub(super) fn parse(text: &str) -> Result<Head, String> {
    let form: Form = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    if form.checksum != form.checksum() {
        return Err("the checksum differs".to_owned());
    }
    let origin: lotse_core::log::checkpoint::Origin = form.origin.parse().map_err(|_| "origin".to_owned())?;
    let root = STANDARD.decode(&form.root).ok().and_then(|bytes| Digest::from_slice(&bytes).ok());
    if origin.generation != form.generation {
        return Err("origin and generation differ".to_owned());
    }
    Ok(Head {
        origin,
        tree: TreeHead { size: form.size, root: root.ok_or("root")? },
        checkpoints: form.checkpoints,
        fencing_number: form.fencing_number,
        card_version: form.card_version,
    })
}
