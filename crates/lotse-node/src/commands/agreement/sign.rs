//! `lotse agreement sign`: seals a version with the node's sealing key.

use anyhow::{Context as _, bail};
use clap::Args;
use lotse_core::agreement::Agreement;
use lotse_core::id::{Digest, Id};
use lotse_proto::admin::v1::{GetAgreementRequest, SignAgreementRequest};

use super::{description, sealed_text};
use crate::commands::{Context, FolderArgument, OutputArgument, client};

/// Seals an agreement for the own agency. Read it first: lotse agreement show ID.
#[derive(Args)]
pub(crate) struct Sign {
    #[command(flatten)]
    folder: FolderArgument,
    #[command(flatten)]
    output: OutputArgument,
    /// The agreement.
    #[arg(value_name = "ID")]
    id: Id,
    /// The version; the highest that the node knows unless given.
    #[arg(long)]
    version: Option<u32>,
    /// Digest of the text that was read, as `lotse agreement show` prints it: another text is not sealed.
    #[arg(long)]
    digest: Option<Digest>,
}

impl Sign {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let mut node = client::admin(&self.folder.folder(), &context.clock)?;
        let agreement_id = self.id.to_string();
        let wanted =
            GetAgreementRequest { agreement_id: agreement_id.clone(), version: self.version.unwrap_or_default() };
        let text = sealed_text(&node.get_agreement(wanted).await.map_err(client::explained)?.into_inner())?;
        self.was_read(&text)?;
        if !self.output.json {
            context.terminal.one_line(format_args!("sealing \"{}\", digest {}", text.title, text.digest))?;
        }
        // The node seals this text or none, whatever has come to it meanwhile.
        let request = SignAgreementRequest { agreement_id, version: text.version, digest: text.digest.to_string() };
        let answer = node.sign_agreement(request).await.map_err(client::explained)?.into_inner();
        if self.output.json {
            return context.terminal.json(&answer);
        }
        context.terminal.line(description(&answer.agreement.context("the node sent no agreement")?))
    }

    fn was_read(&self, text: &Agreement) -> anyhow::Result<()> {
        match self.digest.filter(|read| *read != text.digest) {
            Some(read) => bail!(
                "nothing was sealed: the text of version {} has the digest {}, not {read}; read it again with `lotse \
                 agreement show {}`",
                text.version,
                text.digest,
                self.id
            ),
            None => Ok(()),
        }
    }
}
