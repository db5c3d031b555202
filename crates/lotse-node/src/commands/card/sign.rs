//! `lotse card sign`: where the root key is. Needs no node and no folder.

use std::path::PathBuf;

use clap::Args;

use super::install::TAKEN_BY_PEERS;
use crate::card_file;
use crate::commands::{Context, FolderArgument};
use crate::key_file;

/// Signs a drafted card with the root key.
#[derive(Args)]
pub(crate) struct Sign {
    #[command(flatten)]
    folder: FolderArgument,
    /// The root key; keys/root.key in the folder unless given.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The draft; cards/own.draft in the folder unless given.
    #[arg(value_name = "DRAFT")]
    draft: Option<PathBuf>,
    /// Where to write the signed card. Unless given: cards/next.card in the folder for the draft that lies there, else beside the draft,
    /// under its name with the ending .card.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Sign {
    pub(super) fn run(self, context: &Context) -> anyhow::Result<()> {
        let folder = self.folder.folder();
        let draft = self.draft.unwrap_or_else(|| folder.card_draft());
        let root = key_file::read_root(&self.key.unwrap_or_else(|| folder.root_key()))?;
        let card = card_file::read(&draft)?.card;
        let seal = card_file::signed(&card, &root)?;
        let out = self.out.unwrap_or_else(|| {
            let beside_own = draft == folder.card_draft();
            if beside_own { folder.path().join("cards/next.card") } else { draft.with_extension("card") }
        });
        card_file::write_out(&out, &seal, &card.agency)?;
        context.terminal.line(card_file::description(&card))?;
        context.terminal.line(format_args!(
            "\nSigned. Written to {}. Take it back to the node: lotse card install {}. {TAKEN_BY_PEERS}",
            out.display(),
            out.display()
        ))
    }
}
