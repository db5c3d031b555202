//! `lotse consent withdraw`: one call, as easy as giving (GDPR Art. 7(3)).

use anyhow::anyhow;
use clap::Args;
use lotse_core::id::{AgencyId, Id};
use lotse_proto::agency::v1::consent_service_client::ConsentServiceClient;
use lotse_proto::agency::v1::{WithdrawConsentRequest, WithdrawConsentResponse};
use lotse_proto::record::v1::{Category, ConsentState, Purpose, WithdrawalScope};

use crate::commands::system::SystemArgument;
use crate::commands::{Context, FolderArgument, OutputArgument, client};
use crate::config::GrantedService;
use crate::identity::Role;
use crate::record_file;

/// Withdraws a consent at the running node: the whole of it, or what --recipient, --purpose and --category name, each of which may
/// be given several times. Nothing new is released under what is withdrawn. Can be repeated: twice has one effect.
#[derive(Args)]
pub(crate) struct Withdraw {
    #[command(flatten)]
    folder: FolderArgument,
    #[command(flatten)]
    system: SystemArgument,
    #[command(flatten)]
    output: OutputArgument,
    /// The consent (column Einwilligung of the file by which it was recorded).
    #[arg(value_name = "ID")]
    id: Id,
    /// Only from this recipient.
    #[arg(long, value_name = "AGENCY")]
    recipient: Vec<AgencyId>,
    /// Only for this purpose, in the words of the files: Erstorientierung or orientation.
    #[arg(long, value_parser = record_file::purpose)]
    purpose: Vec<Purpose>,
    /// Only for this data category, in the words of the files: Sprachen or languages.
    #[arg(long, value_parser = record_file::category)]
    category: Vec<Category>,
    /// Opaque reference of the staff member who took the withdrawal, for the log.
    #[arg(long, value_name = "REFERENCE", default_value = "")]
    on_behalf_of: String,
}

impl Withdraw {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let folder = self.folder.folder();
        let system = self.system.name(&folder, GrantedService::Consent)?;
        let channel = client::channel(&folder, Role::System, &system, &context.clock)?;
        let request = WithdrawConsentRequest {
            consent_id: self.id.to_string(),
            scope: self.scope(),
            on_behalf_of: self.on_behalf_of.clone(),
        };
        let answer = ConsentServiceClient::new(channel).withdraw_consent(request).await;
        let unknown = || format!("nothing was withdrawn: no consent {} is recorded here; check its id", self.id);
        let answer = answer.map_err(|status| self.name_options(client::looked_for(status, unknown())))?.into_inner();
        if self.output.json {
            return context.terminal.json(&answer);
        }
        context.terminal.line(self.told(&answer)?)
    }

    /// Names recipients as the command line does: whoever typed them does not know the fields of the protocol.
    fn name_options(&self, error: anyhow::Error) -> anyhow::Error {
        let said = format!("{error:#}");
        if !said.contains("scope.recipients[") {
            return error;
        }
        let named = (0..).zip(&self.recipient).fold(said, |said, (place, recipient): (usize, _)| {
            said.replace(&format!("scope.recipients[{place}]"), &format!("--recipient {recipient}"))
        });
        anyhow!(named)
    }

    /// What is withdrawn; none: all of it.
    fn scope(&self) -> Option<WithdrawalScope> {
        let is_whole = self.recipient.is_empty() && self.purpose.is_empty() && self.category.is_empty();
        (!is_whole).then(|| WithdrawalScope {
            recipients: self.recipient.iter().map(AgencyId::to_string).collect(),
            purposes: self.purpose.iter().map(|&purpose| purpose.into()).collect(),
            categories: self.category.iter().map(|&category| category.into()).collect(),
        })
    }

    /// Says what became of the consent, and of what was released under it before.
    fn told(&self, answer: &WithdrawConsentResponse) -> anyhow::Result<String> {
        let id = self.id;
        let now = match answer.state() {
            ConsentState::Given => {
                format!("Consent {id} is withdrawn in part: nothing new is released under that part.")
            }
            ConsentState::Withdrawn => format!("Consent {id} is withdrawn: nothing new is released under it."),
            ConsentState::Expired => format!("Consent {id} had ended by time; its withdrawal is recorded."),
            ConsentState::Superseded => {
                format!("Consent {id} had been replaced by another one, which is not withdrawn.")
            }
            ConsentState::Refused => format!("Consent {id} was never given: there is nothing to withdraw."),
            ConsentState::Unspecified => return Err(anyhow!("the node did not say where consent {id} stands now")),
        };
        Ok(match answer.envelopes_out {
            0 => now,
            out => format!("{now}\nReleased under it before, and held by recipients or perhaps held: {out}."),
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        withdraw: Withdraw,
    }

    #[test]
    fn a_recipient_whom_the_consent_does_not_name_is_named_as_it_was_typed() {
        let id = Id::from_bytes([7; 16]).to_string();
        let typed = ["withdraw", &id, "--recipient", "a.example", "--recipient", "aa-hanau.hesen.example"];
        let withdraw = Line::try_parse_from(typed).unwrap().withdraw;
        let named = withdraw.name_options(anyhow!("scope.recipients[1]: the consent does not name this recipient"));
        assert_eq!(named.to_string(), "--recipient aa-hanau.hesen.example: the consent does not name this recipient");
        assert_eq!(withdraw.name_options(anyhow!("no node runs")).to_string(), "no node runs");
    }
}
