//! `lotse peer card`: the own card as a file for another agency's administrator, and the fingerprint to compare.

use std::path::PathBuf;

use clap::Args;

use crate::card_file;
use crate::commands::{Context, FolderArgument};

/// Writes the own card to a file for other agencies and prints the fingerprint that both sides compare.
#[derive(Args)]
pub(crate) struct PrintCard {
    #[command(flatten)]
    folder: FolderArgument,
    /// Where to write it; <agency id>.card in the present folder unless given.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl PrintCard {
    pub(super) fn run(self, context: &Context) -> anyhow::Result<()> {
        let card_file::CardFile { seal, card } = card_file::read(&self.folder.folder().own_card())?;
        let out = self.out.unwrap_or_else(|| PathBuf::from(format!("{}.card", card.agency)));
        card_file::write_out(&out, &seal, &card.agency)?;
        context.terminal.line(format_args!(
            "{} of {} ({}) is written to {}

  Fingerprint:  {}

Send the file, and read the fingerprint out by a second channel, for instance by telephone. There it is accepted with
  lotse peer accept {}.card --fingerprint \"{}\"",
            format_args!("Card {}", card.version),
            card.name,
            card.agency,
            out.display(),
            card.root.fingerprint(),
            card.agency,
            card.root.fingerprint(),
        ))
    }
}
