//! One agency of the demonstration: its folder, its node's process, and the ways to ask that node.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use lotse_core::agreement::Party;
use lotse_core::id::AgencyId;
use lotse_core::time::Clock;
use lotse_proto::admin::v1::admin_service_client::AdminServiceClient;
use lotse_proto::agency::v1::consent_service_client::ConsentServiceClient;
use lotse_proto::agency::v1::inbox_service_client::InboxServiceClient;
use lotse_proto::agency::v1::referral_service_client::ReferralServiceClient;
use lotse_proto::audit::v1::audit_service_client::AuditServiceClient;
use tonic::transport::Channel;

use super::process::{NodeProcess, Program};
use crate::commands::init::{InitOptions, init};
use crate::commands::{Context, client};
use crate::edge::MAX_MESSAGE_BYTES;
use crate::folder::Folder;
use crate::identity::Role;

/// The agency's case management, as its certificate calls it.
pub(super) const SYSTEM: &str = "fachverfahren";

/// One agency.
pub(super) struct Agency {
    /// Its id.
    pub id: AgencyId,
    /// Its name.
    pub name: String,
    /// Kind and regions, in words.
    pub what: String,
    /// The folder of its node.
    pub folder: Folder,
    messages: PathBuf,
    clock: Arc<dyn Clock>,
    running: Option<Running>,
}

struct Running {
    process: NodeProcess,
    admin: Channel,
    system: Channel,
    officer: Channel,
}

impl Agency {
    /// Does what `lotse init` does.
    pub(super) fn set_up(
        place: &Path,
        party: &Party,
        [peer, own, pages]: [SocketAddr; 3],
        context: &Context,
    ) -> anyhow::Result<Agency> {
        let folder = Folder::new(place.join(party.agency.as_str()));
        let options = InitOptions {
            agency: party.agency.clone(),
            name: party.name.clone(),
            kind: party.kind,
            peer_address: vec![peer.to_string()],
            listen_peer: peer,
            listen_agency: own,
            listen_pages: Some(pages),
            system: vec![SYSTEM.into()],
            allow_loopback: true,
            database: None,
            existing_pki: None,
        };
        init(&folder, &options, context.clock.now(), &*context.random)?;
        Ok(Agency {
            id: party.agency.clone(),
            name: party.name.clone(),
            what: format!("{}, {}", party.kind.name(), party.regions.join(" and ")),
            messages: place.join(format!("{}.log", party.agency)),
            folder,
            clock: context.clock.clone(),
            running: None,
        })
    }

    /// Starts the node.
    pub(super) async fn start(&mut self, program: &Program) -> anyhow::Result<()> {
        let process = NodeProcess::start(program, &self.folder, self.messages.clone()).await?;
        let channel = |role, name| client::channel(&self.folder, role, name, &self.clock);
        self.running = Some(Running {
            process,
            admin: channel(Role::Admin, client::ADMIN_NAME)?,
            system: channel(Role::System, SYSTEM)?,
            officer: channel(Role::Officer, client::OFFICER_NAME)?,
        });
        Ok(())
    }

    /// Kills the node as kill -9 does.
    pub(super) async fn kill(&mut self) -> anyhow::Result<()> {
        match self.running.take() {
            Some(running) => running.process.kill().await,
            None => Ok(()),
        }
    }

    /// Stops the node as an administrator does.
    pub(super) async fn stop(&mut self) -> anyhow::Result<()> {
        match self.running.take() {
            Some(running) => running.process.stop().await.with_context(|| format!("the node of {}", self.name)),
            None => Ok(()),
        }
    }

    fn running(&self) -> anyhow::Result<&Running> {
        self.running.as_ref().with_context(|| format!("the node of {} does not run", self.name))
    }

    /// Returns the node's process id.
    pub(super) fn process_id(&self) -> anyhow::Result<u32> {
        self.running()?.process.id().with_context(|| format!("the node of {} has ended", self.name))
    }

    /// Opens the administrator's service.
    pub(super) fn admin(&self) -> anyhow::Result<AdminServiceClient<Channel>> {
        Ok(AdminServiceClient::new(self.running()?.admin.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES))
    }

    /// Opens the referral service as the agency's system.
    pub(super) fn referrals(&self) -> anyhow::Result<ReferralServiceClient<Channel>> {
        Ok(ReferralServiceClient::new(self.running()?.system.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES))
    }

    /// Opens the consent service as the agency's system.
    pub(super) fn consents(&self) -> anyhow::Result<ConsentServiceClient<Channel>> {
        Ok(ConsentServiceClient::new(self.running()?.system.clone()))
    }

    /// Opens the inbox as the agency's system.
    pub(super) fn inbox(&self) -> anyhow::Result<InboxServiceClient<Channel>> {
        Ok(InboxServiceClient::new(self.running()?.system.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES))
    }

    /// Opens the log as the agency's officer.
    pub(super) fn audit(&self) -> anyhow::Result<AuditServiceClient<Channel>> {
        Ok(AuditServiceClient::new(self.running()?.officer.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES))
    }
}
