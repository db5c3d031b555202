//! Sends the messages of a file over one stream: a limited number is under way, each line has its result, and what has no answer
//! when a connection breaks is sent again (the same key has one effect).

mod broken;
mod progress;
mod remedy;
mod report;
mod result_file;
mod window;

use std::future::Future;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use clap::Args;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use http::header::ACCEPT_LANGUAGE;
use lotse_core::agreement::words::Language;
use lotse_proto::agency::v1::ReasonDetail;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::agreement::Language as LanguageArgument;
use super::system::SystemArgument;
use super::{Context, FolderArgument, client};
use crate::config::GrantedService;
use crate::identity::Role;
use crate::record_file::{Column, Encoding, Format, Malformed, Reader, Record, Settings};
pub(super) use broken::{Backoff, Broken};
use progress::Progress;
pub(super) use report::{Answer, OpenReferral, Refused, Replaced};
use report::{Outcome, Report};
use result_file::ResultFile;
use window::{WINDOW, Window};

/// How long the node may be silent while something is under way.
const SILENCE: Duration = Duration::from_secs(60);

/// Answers of a stream: the key of what is answered, and the answer.
pub(super) type Answers = BoxStream<'static, Result<(String, Answer), Status>>;

/// A message that can be sent from a file.
pub(super) trait Sendable: Record {
    /// The service that takes it.
    const SERVICE: GrantedService;
    /// Columns of its CSV form.
    const COLUMNS: &'static [Column];
    /// By what its answer names it, and the node notices a repetition.
    fn key(&self) -> &str;
    /// Opens a stream that takes such messages, with the metadata of the request.
    fn open(
        channel: Channel,
        messages: Request<ReceiverStream<Self>>,
    ) -> impl Future<Output = Result<Answers, Status>> + Send;
}

/// What all commands that send a file are told.
#[derive(Args)]
pub(super) struct UploadArguments {
    #[command(flatten)]
    pub(super) folder: FolderArgument,
    #[command(flatten)]
    pub(super) system: SystemArgument,
    /// The file; README, "Files", describes both formats.
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// How it is written; follows from the end of its name unless given.
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// How a CSV file writes letters; found out unless given.
    #[arg(long, value_enum)]
    encoding: Option<Encoding>,
    /// Language of the messages about lines; else that of LC_ALL, LC_MESSAGES or LANG.
    #[arg(long, value_enum)]
    language: Option<LanguageArgument>,
    /// Write the results here too, one JSON object per line, in the order in which they come. Until the end they are in FILE.part; what
    /// is at FILE is only replaced if it holds results.
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,
    /// End after so many seconds in which the node did not answer.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    give_up_after: u64,
}

impl UploadArguments {
    /// Returns the language of the messages about lines.
    pub(super) fn language(&self, context: &Context) -> Language {
        self.language.map_or(context.terminal.language(), LanguageArgument::words)
    }

    /// Sends the file. `prepare` completes a message and refuses what cannot be sent.
    pub(super) async fn send<M: Sendable>(
        &self,
        context: &Context,
        prepare: impl Fn(&mut M) -> Result<(), Malformed>,
    ) -> anyhow::Result<()> {
        let upload = self.open(context, prepare)?;
        self.run(context, upload).await.1
    }

    /// Sends the file, and returns which referrals that were open before its lines replace.
    pub(super) async fn send_replacing<M: Sendable>(
        &self,
        context: &Context,
        prepare: impl Fn(&mut M) -> Result<(), Malformed>,
    ) -> anyhow::Result<(Replaced, anyhow::Result<()>)> {
        let mut upload = self.open(context, prepare)?;
        upload.report = upload.report.replacing();
        Ok(self.run(context, upload).await)
    }

    async fn run<M: Sendable, P: Fn(&mut M) -> Result<(), Malformed>>(
        &self,
        context: &Context,
        mut upload: Upload<M, P>,
    ) -> (Replaced, anyhow::Result<()>) {
        let sent = match self.system.name(&self.folder.folder(), M::SERVICE) {
            Ok(system) => self.send_all(context, &system, &mut upload).await,
            Err(error) => Err(error),
        };
        let replaced = upload.report.take_replaced();
        match sent {
            Ok(()) => (replaced, upload.finish()),
            Err(error) => {
                upload.leave();
                (replaced, Err(error))
            }
        }
    }

    /// Opens the files.
    fn open<M: Sendable, P: Fn(&mut M) -> Result<(), Malformed>>(
        &self,
        context: &Context,
        prepare: P,
    ) -> anyhow::Result<Upload<M, P>> {
        self.system.name(&self.folder.folder(), M::SERVICE)?;
        let language = self.language(context);
        let settings = Settings { format: self.format, encoding: self.encoding, language };
        let (reader, survey) = Reader::open(&self.file, M::COLUMNS, settings)?;
        let progress = Progress::new(&context.terminal, survey.lines);
        let results = self.results.as_deref().map(|path| ResultFile::create(path, &self.file)).transpose()?;
        let report = Report::new(&context.terminal, results);
        let window = Window::default();
        Ok(Upload { reader, language, prepare, held: None, window, report, progress, last_answer: None })
    }

    /// Sends until every line has an answer, over as many connections as it takes.
    async fn send_all<M: Sendable, P: Fn(&mut M) -> Result<(), Malformed>>(
        &self,
        context: &Context,
        system: &str,
        upload: &mut Upload<M, P>,
    ) -> anyhow::Result<()> {
        let mut backoff = Backoff::default();
        let patience = Duration::from_secs(self.give_up_after);
        let mut broken_since: Option<Instant> = None;
        loop {
            let before = upload.last_answer;
            let connect = || client::channel(&self.folder.folder(), Role::System, system, &context.clock);
            let error = match upload.connect_and_send(connect).await {
                Ok(()) => return Ok(()),
                Err(Broken::ForGood(error)) => return Err(error),
                Err(Broken::ForNow(error)) => error,
            };
            if upload.last_answer != before {
                (broken_since, backoff) = (None, Backoff::default());
            }
            let since = *broken_since.get_or_insert_with(Instant::now);
            if upload.last_answer.is_none() && upload.window.is_empty() {
                return Err(error.context("nothing was sent"));
            }
            if upload.last_answer.is_none() || since.elapsed() > patience {
                return Err(
                    error.context("not all lines have an answer: give the same command again; nothing happens twice")
                );
            }
            let pause = backoff.next(context.random.as_ref());
            upload.progress.say(format_args!("{error:#}; trying again in {:.1} s", pause.as_secs_f64()));
            sleep(pause).await;
        }
    }
}

/// A file on its way.
struct Upload<M, P> {
    reader: Reader<M>,
    language: Language,
    prepare: P,
    /// A line that waits because another with its key is under way.
    held: Option<(u64, M)>,
    window: Window<M>,
    report: Report,
    progress: Progress,
    last_answer: Option<Instant>,
}

impl<M: Sendable, P: Fn(&mut M) -> Result<(), Malformed>> Upload<M, P> {
    /// Opens a stream, sends again what has no answer, then goes on until every line has one.
    async fn connect_and_send(&mut self, connect: impl Fn() -> anyhow::Result<Channel>) -> Result<(), Broken> {
        let channel = connect().map_err(Broken::ForNow)?;
        let (out, messages) = mpsc::channel(WINDOW);
        for message in self.window.unanswered() {
            let _ = out.try_send(message); // there is room for a whole window; a broken stream shows below
        }
        let mut request = Request::new(ReceiverStream::new(messages));
        let code = MetadataValue::from_static(self.language.choose(("de", "en")));
        request.metadata_mut().insert(ACCEPT_LANGUAGE.as_str(), code);
        let mut answers = M::open(channel, request).await.map_err(Broken::of)?;
        let mut out = Some(out);
        loop {
            if let Some(open) = &out
                && !self.fill(open).map_err(Broken::ForGood)?
            {
                out = None;
            }
            if out.is_none() && self.window.is_empty() {
                return Ok(());
            }
            let silent = || Broken::ForNow(anyhow!("the node has not answered for {} s", SILENCE.as_secs()));
            let ended = || Broken::ForNow(anyhow!("the node ended the stream"));
            let answer = timeout(SILENCE, answers.next()).await.map_err(|_| silent())?.ok_or_else(ended)?;
            let (key, answer) = answer.map_err(Broken::of)?;
            self.take(&key, answer)?;
        }
    }

    /// Sends lines until the window is full; false at the end of the file.
    fn fill(&mut self, out: &mpsc::Sender<M>) -> anyhow::Result<bool> {
        while !self.window.is_full() {
            let next = match self.held.take() {
                Some(held) => Some(held),
                None => self.next_line()?,
            };
            let Some((number, message)) = next else { return Ok(false) };
            if self.window.contains(message.key()) {
                self.held = Some((number, message));
                return Ok(true);
            }
            let _ = out.try_send(message.clone()); // there is room for a whole window; a broken stream shows later
            self.window.put(number, message);
        }
        Ok(true)
    }

    /// Reads the next line that can be sent; tells those that cannot.
    fn next_line(&mut self) -> anyhow::Result<Option<(u64, M)>> {
        while let Some(line) = self.reader.next_line().context("cannot read on")? {
            let prepared = line.content.and_then(|mut message| {
                (self.prepare)(&mut message).map_err(|wrong| vec![wrong])?;
                Ok(message)
            });
            match prepared {
                Ok(message) => return Ok(Some((line.number, message))),
                Err(wrong) => self.tell(line.number, "", &Outcome::Malformed(wrong))?,
            }
        }
        Ok(None)
    }

    fn take(&mut self, key: &str, mut answer: Answer) -> Result<(), Broken> {
        if let Answer::Refused(refused) = &answer
            && refused.is_passing()
        {
            return Err(Broken::ForNow(anyhow!("{refused}")));
        }
        if let Answer::Refused(Refused(refusal)) = &mut answer {
            remedy::add_advice(refusal, self.language);
        }
        let unknown = || Broken::ForGood(anyhow!("the node answered something that was not sent"));
        let number = self.window.remove(key).ok_or_else(unknown)?;
        self.last_answer = Some(Instant::now());
        answer.details().for_each(|told| self.name_as_the_file_does(told));
        self.tell(number, key, &Outcome::Answered(answer)).map_err(Broken::ForGood)
    }

    /// Whoever wrote a table knows its columns, not the fields of the protocol.
    fn name_as_the_file_does(&self, told: &mut ReasonDetail) {
        let Some(name) = self.reader.name_of(&told.field) else { return };
        if let Some(rest) = told.message.strip_prefix(&told.field) {
            told.message = format!("{name}{rest}");
        }
        told.field = name;
    }

    fn tell(&mut self, number: u64, key: &str, outcome: &Outcome) -> anyhow::Result<()> {
        self.progress.step();
        self.progress.around(|| self.report.tell(number, key, outcome))
    }

    fn finish(self) -> anyhow::Result<()> {
        self.report.finish(self.progress.finish())
    }

    /// Says where the results are that came before an error.
    fn leave(&self) {
        if let Some(part) = self.report.part() {
            self.progress.say(format_args!("the results so far are in {}", part.display()));
        }
    }
}
