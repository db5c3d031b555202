//! `lotse agreement check`: what is wrong with a text, and what its authors should look at.

use std::path::PathBuf;

use clap::Args;
use lotse_core::agreement::check::{Weight, caveat, check};

use super::{Language, read};
use crate::commands::Context;

/// Checks the text of an agreement: mistakes with their lines, then what a lawyer should look at.
#[derive(Args)]
pub(crate) struct Check {
    /// The text.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Language of the warnings.
    #[arg(long, value_enum, default_value = "en")]
    language: Language,
}

impl Check {
    pub(super) fn run(self, context: &Context) -> anyhow::Result<()> {
        let draft = read(&self.file)?;
        let warnings = check(draft.terms());
        for warning in &warnings {
            let mark = match warning.weight() {
                Weight::Serious => "!!",
                Weight::Advice => " -",
            };
            context.terminal.line(format_args!("{mark} {}", warning.sentence(self.language.words())))?;
        }
        let terms = draft.terms();
        context.terminal.line(format_args!(
            "{}, version {}: well formed, {} parties, {} clauses, {} warnings.",
            terms.title,
            terms.version,
            terms.parties.len(),
            terms.clauses.len(),
            warnings.len()
        ))?;
        context.terminal.line(caveat(self.language.words()))
    }
}
