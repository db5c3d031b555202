//! `lotse log show`: one entry, explained.

use anyhow::Context as _;
use clap::Args;
use lotse_proto::audit::v1::GetEntryRequest;

use super::{Language, ReaderArguments};
use crate::commands::{Context, OutputArgument};
use crate::entry::sentence::{explanation, sentence};

/// Shows one entry with its explanation.
#[derive(Args)]
pub struct Show {
    #[command(flatten)]
    reader: ReaderArguments,
    #[command(flatten)]
    output: OutputArgument,
    /// Which entry.
    #[arg(value_name = "INDEX")]
    index: u64,
    /// Language.
    #[arg(long, value_enum, default_value = "en")]
    language: Language,
}

impl Show {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let request = GetEntryRequest { index: self.index, generation: self.reader.generation };
        let shown = self.reader.open(context).await?.get(request).await?;
        if self.output.json {
            return context.terminal.json(&shown);
        }
        let entry = shown.entry.and_then(|logged| logged.entry).context("the node sent no entry")?;
        let language = self.language.words();
        context.terminal.one_line(sentence(&entry, language))?;
        for line in explanation(&entry, language) {
            context.terminal.one_line(format_args!("  {line}"))?;
        }
        let head: Vec<&str> = shown.checkpoint.lines().take(2).collect();
        let not_yet = (
            "Noch nicht signiert: der nächste Kontrollpunkt deckt ihn",
            "Not signed yet: it is under the next checkpoint",
        );
        match head[..] {
            [origin, size] => {
                let (signed, entries) = language.choose((("Signiert", "Einträge"), ("Signed", "entries")));
                context.terminal.line(format_args!("{signed}: {origin}, {size} {entries}"))
            }
            _ => context.terminal.line(language.choose(not_yet)),
        }
    }
}
