//! `lotse agreement`: cooperation agreements, from the text to the last seal.

mod check;
mod list;
mod new;
mod offer;
mod show;
mod sign;
mod suspend;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Subcommand;
use clap::ValueEnum;
use lotse_core::agreement::Agreement as Terms;
use lotse_core::agreement::text::{self, Draft};
use lotse_core::agreement::words::{self, Term as _};
use lotse_core::id::Id;
use lotse_core::time::{Calendar, Timestamp};
use lotse_proto::admin::v1::{AgreementState, AgreementSummary, GetAgreementResponse};

use super::{Context, FolderArgument};
use crate::plain_file::{self, DOCUMENT_BYTES};
use crate::wire;

/// Writes, checks, offers, seals and shows cooperation agreements, stops and resumes releases under them.
#[derive(Subcommand)]
pub(super) enum Agreement {
    New(new::New),
    Check(check::Check),
    Show(show::Show),
    Offer(offer::Offer),
    Sign(sign::Sign),
    List(list::List),
    Status(list::Status),
    /// Stops releases under an agreement at this node at once. Duties go on.
    Suspend(suspend::Change),
    /// Lets releases under an agreement start again.
    Resume(suspend::Change),
}

impl Agreement {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        match self {
            Agreement::New(new) => new.run(context),
            Agreement::Check(check) => check.run(context),
            Agreement::Show(show) => show.run(context).await,
            Agreement::Offer(offer) => offer.run(context).await,
            Agreement::Sign(sign) => sign.run(context).await,
            Agreement::List(list) => list.run(context).await,
            Agreement::Status(status) => status.run(context).await,
            Agreement::Suspend(change) => change.suspend(context).await,
            Agreement::Resume(change) => change.resume(context).await,
        }
    }
}

/// A language in which agreements are read to people, and told what is wrong with their files.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Language {
    /// Deutsch.
    De,
    /// English.
    En,
}

impl Language {
    pub(super) fn words(self) -> lotse_core::agreement::words::Language {
        match self {
            Language::De => lotse_core::agreement::words::Language::German,
            Language::En => lotse_core::agreement::words::Language::English,
        }
    }
}

/// Reads the text of an agreement; every finding is told with file and line.
fn read(path: &Path) -> anyhow::Result<Draft> {
    let source =
        plain_file::read_text(path, DOCUMENT_BYTES).with_context(|| format!("cannot read {}", path.display()))?;
    text::parse(&source).map_err(|findings| {
        let line = |finding: &text::TextError| format!("\n{}:{}: {}", path.display(), finding.line, finding.message);
        anyhow!("this is no agreement yet:{}", findings.iter().map(line).collect::<String>())
    })
}

/// Says which command shows the agreements that the node knows.
fn listing(folder: &FolderArgument) -> String {
    format!("`lotse agreement list --folder {}` shows those that this node knows", folder.folder().path().display())
}

/// Says that the node knows no such agreement, or not this version of it.
fn unknown(id: Id, version: Option<u32>, folder: &FolderArgument) -> String {
    let version = version.map(|version| format!(" in version {version}")).unwrap_or_default();
    format!("no agreement {id}{version} is known here: {}", listing(folder))
}

/// Reads an agreement from the sealed bytes, not from what the node says beside them.
fn sealed_text(answer: &GetAgreementResponse) -> anyhow::Result<Terms> {
    let seal = answer.seal.as_ref().context("the node sent no seal")?;
    wire::agreement::parse(&seal.payload).map_err(|reason| anyhow!("{} [{}]", reason.sentence(), reason.code()))
}

/// Describes where an agreement stands.
fn description(agreement: &AgreementSummary) -> String {
    let moment = |at: &Option<pbjson_types::Timestamp>| at.as_ref().and_then(wire::time::parse);
    let calendar = moment(&agreement.valid_from).map_or(Calendar::Utc, Calendar::beginning_at);
    let day = |at: Option<Timestamp>| at.map_or("unknown".to_string(), |at| calendar.day_of(at).to_string());
    let last = moment(&agreement.valid_until).map(|until| until.minus(Duration::from_micros(1)));
    let names = |names: &[String]| if names.is_empty() { "nobody".to_string() } else { names.join(", ") };
    format!(
        "{title}
  agreement  {id}, version {version}
  state      {state}
  term       {from} to {last}, inclusive ({zone})
  sealed by  {sealed}
  missing    {missing}
  digest     {digest}",
        title = crate::foreign::one_line(&agreement.title),
        id = agreement.agreement_id,
        version = agreement.version,
        state = state(agreement.state()),
        from = day(moment(&agreement.valid_from)),
        last = day(last),
        zone = calendar.term(words::Language::English),
        sealed = names(&agreement.sealed_by),
        missing = names(&agreement.missing),
        digest = agreement.digest,
    )
}

/// Says a state in words.
fn state(state: AgreementState) -> &'static str {
    match state {
        AgreementState::Unspecified => "unknown",
        AgreementState::Offered => "offered, seals are missing",
        AgreementState::Complete => "sealed by all, its time has not come",
        AgreementState::InForce => "in force",
        AgreementState::Superseded => "replaced by a later version",
        AgreementState::Ended => "ended",
        AgreementState::Suspended => "suspended at this node",
    }
}
