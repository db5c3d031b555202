//! `lotse explain`: would this referral be sent, and why (not)? Nothing is sent.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use lotse_proto::agency::v1::preview_referral_response::Result as Decision;
use lotse_proto::agency::v1::{PreviewReferralRequest, PreviewReferralResponse, ReferralHandover};

use super::{Context, FolderArgument, OutputArgument, client};
use crate::config::{Config, GrantedService};
use crate::edge::MAX_MESSAGE_BYTES;
use crate::folder::Folder;
use crate::plain_file;

/// Explains the decision about a referral without sending it.
#[derive(Args)]
pub(crate) struct Explain {
    #[command(flatten)]
    folder: FolderArgument,
    #[command(flatten)]
    output: OutputArgument,
    /// The referral: one handover as proto JSON (proto/schema/referral_handover.schema.json).
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// The system that asks; needed only if several are granted the referral service.
    #[arg(long, value_name = "NAME")]
    system: Option<String>,
}

impl Explain {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let folder = self.folder.folder();
        let handover = self.handover()?;
        let system = self.system.clone().map_or_else(|| only_system(&folder), Ok)?;
        let mut node = client::referral(&folder, &system, &context.clock)?;
        let request = PreviewReferralRequest { handover: Some(handover) };
        let answer = node.preview_referral(request).await.map_err(client::explained)?.into_inner();
        if self.output.json {
            return context.terminal.json(&answer);
        }
        answer.explanation.iter().try_for_each(|sentence| context.terminal.one_line(format_args!("- {sentence}")))?;
        context.terminal.line(verdict(&answer))
    }

    fn handover(&self) -> anyhow::Result<ReferralHandover> {
        let file = self.file.display();
        let bytes =
            plain_file::read(&self.file, MAX_MESSAGE_BYTES as u64).with_context(|| format!("cannot read {file}"))?;
        // The parser's error names field and line; it does not quote what stands there.
        serde_json::from_slice(&bytes).with_context(|| {
            format!(
                "{file} is not one referral as proto JSON, the only format that is explained (no CSV, one object in the file; \
                 proto/schema/referral_handover.schema.json describes it)"
            )
        })
    }
}

fn verdict(answer: &PreviewReferralResponse) -> String {
    match &answer.result {
        Some(Decision::Permit(permit)) => format!(
            "It would be sent under clause {} of agreement {}, version {}.",
            permit.clause_id, permit.agreement_id, permit.agreement_version
        ),
        Some(Decision::Refusal(_)) => "It would be refused.".to_string(),
        None => "The node did not say.".to_string(),
    }
}

fn only_system(folder: &Folder) -> anyhow::Result<String> {
    let systems = Config::load(folder)?.systems;
    let mut names =
        systems.iter().filter(|system| system.may_call(GrantedService::Referral)).map(|system| &system.name);
    match (names.next(), names.next()) {
        (Some(name), None) => Ok(name.clone()),
        (None, _) => bail!("no system is granted the referral service: add one to lotse.toml"),
        _ => bail!("several systems are granted the referral service: name one with --system"),
    }
}
