//! `lotse log list`: entries, newest first.

use anyhow::{Context as _, anyhow, bail};
use clap::{Args, ValueEnum};
use lotse_core::id::{AgencyId, Id};
use lotse_core::time::Timestamp;
use lotse_proto::audit::v1::{EntryFilter, ListEntriesRequest, LoggedEntry};
use lotse_proto::exchange::v1::{Decision, Direction, EntryKind};
use serde_json::to_value;

use super::{Language, ReaderArguments};
use crate::action::list_entries::MAX_PAGE;
use crate::commands::{Context, OutputArgument};
use crate::entry::sentence::{matter, sentence};
use crate::record_file;
use crate::wire;

/// Lists entries, newest first.
#[derive(Args)]
pub struct List {
    #[command(flatten)]
    reader: ReaderArguments,
    #[command(flatten)]
    output: OutputArgument,
    /// At most so many entries; a line on standard error says if there are older ones.
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// Only this kind, for instance `released` or `submit-refused`.
    #[arg(long)]
    kind: Option<String>,
    /// Only what went to other agencies, or only what came from them.
    #[arg(long, value_enum)]
    direction: Option<Way>,
    /// Only with this agency.
    #[arg(long, value_name = "AGENCY")]
    peer: Option<AgencyId>,
    /// Only about this record; for a referral also about the answers to it, and for what was sent the receipt.
    #[arg(long, value_name = "ID")]
    record: Option<Id>,
    /// Only refusals.
    #[arg(long)]
    refused: bool,
    /// From this day on, or not before this time: 2026-12-01, 01.12.2026 or 2026-12-01T08:00:00+01:00. A day begins with its midnight
    /// in Germany.
    #[arg(long, value_name = "DAY|TIME", value_parser = TypedTime::read_begin)]
    from: Option<TypedTime>,
    /// Until this day, inclusive, or before this time, exclusive; written as for --from.
    #[arg(long, value_name = "DAY|TIME", value_parser = TypedTime::read_end)]
    until: Option<TypedTime>,
    /// Language.
    #[arg(long, value_enum, default_value = "en")]
    language: Language,
}

/// Time with the text that was typed for it.
#[derive(Clone)]
struct TypedTime {
    typed: String,
    at: Timestamp,
}

impl TypedTime {
    fn read_begin(text: &str) -> Result<TypedTime, String> {
        record_file::begin(text).map(|at| TypedTime { typed: text.to_owned(), at })
    }

    fn read_end(text: &str) -> Result<TypedTime, String> {
        record_file::end(text).map(|at| TypedTime { typed: text.to_owned(), at })
    }
}

/// Which way, as people write it.
#[derive(Clone, Copy, ValueEnum)]
enum Way {
    Out,
    In,
}

impl From<Way> for Direction {
    fn from(way: Way) -> Direction {
        match way {
            Way::Out => Direction::Out,
            Way::In => Direction::In,
        }
    }
}

impl List {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let mut source = self.reader.open(context).await?;
        let filter = self.filter()?;
        let (mut left, mut is_empty) = (self.limit, true);
        let mut page_token = String::new();
        while left > 0 {
            let request = ListEntriesRequest {
                filter: Some(filter.clone()),
                page_size: left.min(MAX_PAGE),
                page_token,
                generation: self.reader.generation,
            };
            let page = source.list(request).await?;
            left = left.saturating_sub(page.entries.len() as u32);
            is_empty &= page.entries.is_empty();
            for entry in &page.entries {
                self.print(entry, context)?;
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        if is_empty && page_token.is_empty() {
            context.terminal.note("No entry matches.");
        }
        if !page_token.is_empty() {
            context.terminal.note(format_args!(
                "There are older entries: these are the newest {}. --limit shows more, --until those before a day or time.",
                self.limit
            ));
        }
        Ok(())
    }

    fn print(&self, logged: &LoggedEntry, context: &Context) -> anyhow::Result<()> {
        if self.output.json {
            return context.terminal.data(to_value(logged)?); // one object per line
        }
        let entry = logged.entry.as_ref().context("the node sent a place without an entry")?;
        let at = Timestamp::from_micros(entry.at_us);
        let (told, matter) = (sentence(entry, self.language.words()), matter(entry, self.language.words()));
        let matter = if matter.is_empty() { matter } else { format!(" ({matter})") };
        context.terminal.one_line(format_args!("{:>8}  {at}  {told}{matter}", logged.index))
    }

    fn filter(&self) -> anyhow::Result<EntryFilter> {
        if let (Some(from), Some(until)) = (&self.from, &self.until)
            && from.at >= until.at
        {
            bail!(
                "--from {} is not before --until {}, so no entry lies between: write an earlier --from or a later --until",
                from.typed,
                until.typed
            );
        }
        Ok(EntryFilter {
            kind: self.kind.as_deref().map_or(Ok(0), |name| kind(name).map(|kind| kind as i32))?,
            direction: self.direction.map_or(0, |way| Direction::from(way) as i32),
            peer: self.peer.as_ref().map_or_else(String::new, AgencyId::to_string),
            record_id: self.record.map_or_else(String::new, |record| record.to_string()),
            decision: if self.refused { Decision::Refuse as i32 } else { 0 },
            from: self.from.as_ref().map(|from| wire::time::message(from.at)),
            until: self.until.as_ref().map(|until| wire::time::message(until.at)),
        })
    }
}

/// Reads a kind as people write it.
fn kind(name: &str) -> anyhow::Result<EntryKind> {
    let full = format!("ENTRY_KIND_{}", name.replace('-', "_").to_uppercase());
    EntryKind::from_str_name(&full).ok_or_else(|| {
        let known: Vec<String> = crate::entry::kind::all().map(crate::entry::kind::code).collect();
        anyhow!("there is no kind of entry called {name:?}: use one of {}", known.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_named_as_people_write_them() {
        assert_eq!(kind("submit-refused").unwrap(), EntryKind::SubmitRefused);
        assert_eq!(kind("LOG_STARTED").unwrap(), EntryKind::LogStarted);
        let refused = kind("sent").unwrap_err().to_string();
        assert!(refused.contains("called \"sent\"") && refused.contains("log-started, released"), "{refused}");
    }
}
