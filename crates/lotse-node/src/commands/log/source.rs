//! Where the log is read: through the running node, or from the folder of a stopped one.

use anyhow::{Context as _, anyhow, bail};
use lotse_core::id::AgencyId;
use lotse_core::key::PublicKey;
use lotse_proto::audit::v1::audit_service_client::AuditServiceClient;
use lotse_proto::audit::v1::{
    GetCheckpointRequest, GetCheckpointResponse, GetEntryRequest, GetEntryResponse, GetSealsRequest, GetSealsResponse,
    ListEntriesRequest, ListEntriesResponse, ReadEntriesRequest,
};
use lotse_store::{Store, StoreOptions, meta};
use tonic::transport::Channel;

use crate::action::get_checkpoint::get_checkpoint;
use crate::action::get_entry::get_entry;
use crate::action::get_seals::get_seals;
use crate::action::list_entries::{explain_empty, list_entries};
use crate::action::read_entries::read_entries;
use crate::commands::{Context, client};
use crate::config::Config;
use crate::database;
use crate::edge::MAX_MESSAGE_BYTES;
use crate::failure::{ErrorKind, Failure};
use crate::federation::Federation;
use crate::folder::{Folder, FolderLock};
use crate::grpc::audit::answer::{answer, documents, logged, parse_filter, parse_wanted, unknown_peer};
use crate::identity::Role;
use crate::key_file::NodeKeyFile;

/// Where the log is read.
pub(super) enum Source {
    /// Through the audit service.
    Running(AuditServiceClient<Channel>),
    /// From the database.
    Stopped(Box<StoppedLog>),
}

/// The log of a stopped node; it stays stopped while this lives.
pub(super) struct StoppedLog {
    store: Store,
    agency: AgencyId,
    key: PublicKey,
    generation: u32,
    _lock: FolderLock,
}

impl Source {
    /// Opens the log of a folder.
    pub(super) async fn open(folder: &Folder, officer: &str, context: &Context) -> anyhow::Result<Source> {
        if client::is_running(folder)? {
            let channel = client::channel(folder, Role::Officer, officer, &context.clock)?;
            let service = AuditServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
            return Ok(Source::Running(service));
        }
        let lock = folder.lock()?;
        let config = Config::load(folder)?;
        let store = database::open_to_read(folder, &config, &StoreOptions::default()).await?;
        let generation = store.read("generation", |tx| Box::pin(meta::generation(tx))).await?;
        let key = NodeKeyFile::read(&config.files.node_keys(folder))?.log.key.public();
        let generation = generation.context("the log has not begun: start the node once with `lotse run`")?;
        Ok(Source::Stopped(Box::new(StoppedLog { store, agency: config.agency.id, key, generation, _lock: lock })))
    }

    /// Lists entries.
    pub(super) async fn list(&mut self, request: ListEntriesRequest) -> anyhow::Result<ListEntriesResponse> {
        match self {
            Source::Running(service) => {
                Ok(service.list_entries(request).await.map_err(client::explained)?.into_inner())
            }
            Source::Stopped(log) => {
                let generation = log.generation(request.generation);
                let filter =
                    parse_filter(request.filter.unwrap_or_default()).map_err(|failure| anyhow!("{failure}"))?;
                let (asked, before) = (filter.peer.clone(), request.page_token.parse().ok());
                let page = list_entries(&log.store, generation, filter, before, request.page_size).await?;
                if before.is_none()
                    && let Some(unknown) = explain_empty(&page, asked.as_ref(), &log.agency, &log.federation().await?)
                {
                    bail!("{}", unknown_peer(unknown));
                }
                Ok(ListEntriesResponse {
                    entries: page.leaves.iter().map(|leaf| logged(leaf, generation)).collect(),
                    next_page_token: page.next.map(|index| index.to_string()).unwrap_or_default(),
                })
            }
        }
    }

    /// Gets one entry with its proof.
    pub(super) async fn get(&mut self, request: GetEntryRequest) -> anyhow::Result<GetEntryResponse> {
        let sought = no_entry(&request);
        match self {
            Source::Running(service) => {
                let unknown = |status| client::looked_for(status, sought);
                Ok(service.get_entry(request).await.map_err(unknown)?.into_inner())
            }
            Source::Stopped(log) => {
                let generation = log.generation(request.generation);
                let proven = get_entry(&log.store, generation, request.index).await;
                let refused = |failure: Failure| match failure.kind {
                    ErrorKind::NotFound => anyhow!("{sought}"),
                    _ => anyhow!("{failure}"),
                };
                Ok(answer(proven.map_err(refused)?, generation))
            }
        }
    }

    /// Gets the newest head of a generation and the key that verifies those of the present one.
    pub(super) async fn head(&mut self, generation: u32) -> anyhow::Result<GetCheckpointResponse> {
        match self {
            Source::Running(service) => {
                let request = GetCheckpointRequest { generation };
                Ok(service.get_checkpoint(request).await.map_err(client::explained)?.into_inner())
            }
            Source::Stopped(log) => {
                let head = get_checkpoint(&log.store, &log.agency, log.key, log.generation(generation)).await?;
                let checkpoint = head.checkpoint.unwrap_or_default();
                Ok(GetCheckpointResponse { checkpoint, verifier_key: head.verifier_key })
            }
        }
    }

    /// Reads entries' exact bytes from a leaf index on; nothing at the end.
    pub(super) async fn entries(&mut self, generation: u32, first: u64) -> anyhow::Result<Vec<Vec<u8>>> {
        match self {
            Source::Running(service) => {
                let request = ReadEntriesRequest { first, generation };
                Ok(service.read_entries(request).await.map_err(client::explained)?.into_inner().entries)
            }
            Source::Stopped(log) => Ok(read_entries(&log.store, log.generation(generation), first).await?),
        }
    }

    /// Gets sealed documents.
    pub(super) async fn seals(&mut self, request: GetSealsRequest) -> anyhow::Result<GetSealsResponse> {
        match self {
            Source::Running(service) => Ok(service.get_seals(request).await.map_err(client::explained)?.into_inner()),
            Source::Stopped(log) => {
                let wanted = parse_wanted(request).map_err(|failure| anyhow!("{failure}"))?;
                Ok(documents(get_seals(&log.store, wanted).await?))
            }
        }
    }
}

/// Says which entry is not there.
fn no_entry(request: &GetEntryRequest) -> String {
    let log = match request.generation {
        0 => "this log".to_string(),
        generation => format!("generation {generation} of this log"),
    };
    format!("there is no entry {} in {log}: `lotse log list` shows the newest ones", request.index)
}

impl StoppedLog {
    async fn federation(&self) -> anyhow::Result<Federation> {
        let own = self.agency.clone();
        let load =
            self.store.read("load_federation", move |tx| Box::pin(async move { Federation::load(tx, &own).await }));
        Ok(load.await?)
    }

    fn generation(&self, asked: u32) -> u32 {
        if asked == 0 { self.generation } else { asked }
    }
}
