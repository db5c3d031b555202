//! `lotse agreement sign`: seals a version with the node's sealing key.

use anyhow::{Context as _, bail};
use clap::Args;
use lotse_core::id::{Digest, Id};
use lotse_proto::admin::v1::{GetAgreementRequest, SignAgreementRequest};

use super::{description, sealed_text, unknown};
use crate::commands::{Context, FolderArgument, OutputArgument, client};
use crate::config::Config;

/// Seals an agreement for the own agency. Read it first: lotse agreement show ID prints it with its digest.
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
    /// Required: digest of the text that was read, as `lotse agreement show` prints it. Another text is not sealed.
    #[arg(long)]
    digest: Option<Digest>,
}

impl Sign {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let read = self.digest()?;
        let mut node = client::admin(&self.folder.folder(), &context.clock)?;
        let agreement_id = self.id.to_string();
        let wanted =
            GetAgreementRequest { agreement_id: agreement_id.clone(), version: self.version.unwrap_or_default() };
        let unknown = |status| client::looked_for(status, unknown(self.id, self.version, &self.folder));
        let text = sealed_text(&node.get_agreement(wanted).await.map_err(unknown)?.into_inner())?;
        if read != text.digest {
            bail!(
                "nothing was sealed: the text of version {} has the digest {}, not {read}; read it again with `{}`",
                text.version,
                text.digest,
                self.show()
            );
        }
        let own = Config::load(&self.folder.folder())?.agency;
        if let Some(party) = text.party(&own.id).filter(|party| party.kind != own.kind) {
            context.terminal.note(format_args!(
                "Mind: the agreement names this agency as {}, lotse.toml says {}. Its clauses go by what the agreement names.",
                party.kind.name(),
                own.kind.name()
            ));
        }
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

    /// The digest is what says that somebody read the text: without it nothing is sealed, not even the only text there is.
    fn digest(&self) -> anyhow::Result<Digest> {
        self.digest.with_context(|| {
            format!("nothing was sealed: read the text first, `{}`, and give the --digest that it prints", self.show())
        })
    }

    /// The command by which this agreement is read.
    fn show(&self) -> String {
        let version = self.version.map(|version| format!(" --version {version}")).unwrap_or_default();
        format!("lotse agreement show --folder {} {}{version}", self.folder.folder().path().display(), self.id)
    }
}
