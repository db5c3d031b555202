//! `lotse inbox follow`: writes every event with its content, and acknowledges what is written.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use clap::Args;
use lotse_proto::agency::v1::inbox_service_client::InboxServiceClient;
use lotse_proto::agency::v1::{
    AcknowledgeRequest, ConfirmImportRequest, FetchRequest, FetchedRecord, InboxEvent, WatchRequest, WatchResponse,
    inbox_event,
};
use tokio::time::{sleep, timeout};
use tonic::Streaming;
use tonic::transport::Channel;

use super::event_line;
use super::sink::{Beginning, Sink};
use crate::commands::system::SystemArgument;
use crate::commands::terminal::Terminal;
use crate::commands::upload::{Backoff, Broken};
use crate::commands::{Context, FolderArgument, client};
use crate::config::GrantedService;
use crate::edge::MAX_MESSAGE_BYTES;
use crate::identity::Role;
use crate::record_file::Format;

/// Events whose content is fetched and written at once.
const FETCHED_AT_ONCE: usize = 15;

/// How long the node may be silent: it gives a sign of life every 30 seconds.
const SILENCE: Duration = Duration::from_secs(90);

/// With `--once`: how long to try without getting on.
const PATIENCE: Duration = Duration::from_secs(120);

/// Writes every event of the inbox with its content, and acknowledges it after it is written. Events come at least once: after a
/// broken-off run, the last ones come again. What is written counts as imported: once every system that receives for its purpose has a
/// record, the node gives its content to nobody any more, so keep what is written.
#[derive(Args)]
pub(crate) struct Follow {
    #[command(flatten)]
    folder: FolderArgument,
    #[command(flatten)]
    system: SystemArgument,
    /// Begin behind this cursor instead of the acknowledged one; 0: from the beginning. Behind the cursor of a line that was written
    /// nothing is missed, and some lines before it may come again. Events come again, content that every system has does not.
    #[arg(long, value_name = "CURSOR")]
    from: Option<u64>,
    /// How to write.
    #[arg(long, value_enum, default_value = "ndjson")]
    format: Format,
    /// Write to the end of this file instead of standard output. It may be renamed or removed meanwhile, as `logrotate` does: nothing is
    /// confirmed before it is in the file that lies there now.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// End when everything that is there now is written, instead of waiting for more.
    #[arg(long)]
    once: bool,
}

impl Follow {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let folder = self.folder.folder();
        let system = self.system.name(&folder, GrantedService::Inbox)?;
        let beginning = Beginning { heading: event_line::headings(self.format), first_line: event_line::FIRST_LINE };
        let sink = Sink::open(&context.terminal, self.out.as_deref(), beginning)?;
        let mut reader = Reader {
            terminal: &context.terminal,
            format: self.format,
            once: self.once,
            cursor: self.from,
            sink,
            opened: false,
            told: 0,
        };
        let (mut backoff, mut progress) = (Backoff::default(), (reader.cursor, Instant::now()));
        loop {
            let connect = || client::channel(&folder, Role::System, &system, &context.clock);
            let error = match reader.follow(connect).await {
                Ok(()) if reader.told == 0 => {
                    context.terminal.note(explain_nothing(self.from));
                    return Ok(());
                }
                Ok(()) => return Ok(()),
                Err(Broken::ForGood(error)) => return Err(error),
                Err(Broken::ForNow(error)) => error,
            };
            if reader.cursor != progress.0 {
                (backoff, progress) = (Backoff::default(), (reader.cursor, Instant::now()));
            }
            if !reader.opened || self.once && progress.1.elapsed() > PATIENCE {
                return Err(error);
            }
            let pause = backoff.next(context.random.as_ref());
            context.terminal.note(format_args!("{error:#}; trying again in {:.1} s", pause.as_secs_f64()));
            sleep(pause).await;
        }
    }
}

/// Explains why nothing was written.
fn explain_nothing(from: Option<u64>) -> String {
    match from {
        Some(cursor) if cursor > 0 => format!(
            "Nothing behind the cursor {cursor}, which may lie beyond the end of the inbox. Without --from the events begin behind the \
             acknowledged cursor; --from 0 tells them from the beginning again."
        ),
        _ => "Nothing new for this system. --from 0 tells the events from the beginning again.".into(),
    }
}

/// Reads the inbox over as many connections as it takes.
struct Reader<'a> {
    terminal: &'a Terminal,
    format: Format,
    once: bool,
    /// Behind what is written.
    cursor: Option<u64>,
    sink: Sink,
    /// Whether the inbox could ever be opened: then it is worth trying again.
    opened: bool,
    /// Events that are written.
    told: usize,
}

impl Reader<'_> {
    async fn follow(&mut self, connect: impl Fn() -> anyhow::Result<Channel>) -> Result<(), Broken> {
        let channel = connect().map_err(Broken::ForNow)?;
        let mut node = InboxServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
        let mut cursor = match self.cursor {
            Some(cursor) => cursor,
            None => acknowledge(&mut node, 0).await?, // changes nothing, and says what is stored
        };
        let watch = WatchRequest { after: Some(cursor) };
        let mut events = node.watch(watch).await.map_err(Broken::of)?.into_inner();
        self.opened = true;
        loop {
            let page = next(&mut events).await?;
            let enough = self.once && page.caught_up;
            cursor = self.take(&mut node, cursor, page).await?;
            self.cursor = Some(cursor);
            if enough {
                return Ok(());
            }
        }
    }

    /// Writes events behind a cursor with their content, then confirms and acknowledges them. Returns the cursor behind them.
    async fn take(
        &mut self,
        node: &mut InboxServiceClient<Channel>,
        before: u64,
        page: WatchResponse,
    ) -> Result<u64, Broken> {
        for events in page.events.chunks(FETCHED_AT_ONCE) {
            let records = fetch(self.terminal, node, events).await?;
            let line = |event: &InboxEvent| {
                let record = record_id(event).and_then(|id| records.get(id));
                let is_last = page.events.last().is_some_and(|last| std::ptr::eq(last, event));
                // Whoever begins behind the cursor of a line must miss nothing of what the page tells after it.
                let cursor = if is_last { page.cursor } else { before };
                event_line::write(self.format, cursor, event, record)
            };
            let lines = events.iter().map(line).collect::<anyhow::Result<Vec<_>>>().map_err(Broken::ForGood)?;
            self.sink.write(&lines).map_err(Broken::ForGood)?;
            self.told += lines.len();
            let import_tokens: Vec<String> = records.into_values().map(|record| record.import_token).collect();
            if !import_tokens.is_empty() {
                node.confirm_import(ConfirmImportRequest { import_tokens }).await.map_err(Broken::of)?;
            }
        }
        if page.cursor != before {
            acknowledge(node, page.cursor).await?;
        }
        Ok(page.cursor)
    }
}

/// Acknowledges what came before a cursor. Returns the acknowledged cursor, which never falls.
async fn acknowledge(node: &mut InboxServiceClient<Channel>, cursor: u64) -> Result<u64, Broken> {
    let acknowledged = node.acknowledge(AcknowledgeRequest { cursor }).await.map_err(Broken::of)?;
    Ok(acknowledged.into_inner().cursor)
}

/// Waits for the next events.
async fn next(events: &mut Streaming<WatchResponse>) -> Result<WatchResponse, Broken> {
    match timeout(SILENCE, events.message()).await {
        Ok(Ok(Some(page))) => Ok(page),
        Ok(Ok(None)) => Err(Broken::ForNow(anyhow!("the node ended the stream"))),
        Ok(Err(status)) => Err(Broken::of(status)),
        Err(_) => Err(Broken::ForNow(anyhow!("the node has given no sign of life for {} s", SILENCE.as_secs()))),
    }
}

/// Fetches the content that events tell of, by record id.
async fn fetch(
    terminal: &Terminal,
    node: &mut InboxServiceClient<Channel>,
    events: &[InboxEvent],
) -> Result<HashMap<String, FetchedRecord>, Broken> {
    let mut record_ids: Vec<String> = events.iter().filter_map(record_id).map(String::from).collect();
    let mut found = HashMap::new();
    while !record_ids.is_empty() {
        let fetched = node.fetch(FetchRequest { record_ids }).await.map_err(Broken::of)?.into_inner();
        for record_id in &fetched.unreadable {
            terminal.note(format_args!(
                "The node cannot read the record {record_id}, and keeps it: ask its administrator, then fetch it again."
            ));
        }
        found.extend(fetched.records.into_iter().map(|record| (record.record_id.clone(), record)));
        record_ids = fetched.left;
    }
    Ok(found)
}

/// Returns the id of the record that an event says can be fetched.
fn record_id(event: &InboxEvent) -> Option<&str> {
    match event.kind.as_ref()? {
        inbox_event::Kind::ReferralReceived(_) => Some(&event.referral_id),
        inbox_event::Kind::AnswerReceived(answer) => Some(&answer.answer_id),
        inbox_event::Kind::DeliveryChanged(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_behind_a_given_cursor_is_explained_with_the_end_of_the_inbox() {
        let explained = explain_nothing(Some(99_999));
        let begins = "Nothing behind the cursor 99999, which may lie beyond the end of the inbox. Without --from ";
        assert!(explained.starts_with(begins) && explained.contains("--from 0"), "{explained}");
        for from in [None, Some(0)] {
            assert!(explain_nothing(from).starts_with("Nothing new for this system. "), "{from:?}");
        }
    }
}
