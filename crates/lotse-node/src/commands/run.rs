//! `lotse run`: the node, in the foreground.

use anyhow::Context as _;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::task::AbortOnDropHandle;

use super::{Context, FolderArgument};
use crate::config::{AgencySection, Config};
use crate::start::{Overrides, Ports, start};
use crate::{service_manager, telemetry};

/// Runs the node until SIGTERM or SIGINT, then stops without losing anything.
#[derive(Args)]
pub(crate) struct Run {
    #[command(flatten)]
    folder: FolderArgument,
}

impl Run {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let folder = self.folder.folder();
        let config = Config::load(&folder)?;
        telemetry::install(&config.telemetry)?;
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        let overrides = Overrides { clock: context.clock.clone(), random: context.random.clone() };
        let node = start(&folder, overrides).await?;
        service_manager::ready();
        let alive = AbortOnDropHandle::new(tokio::spawn(service_manager::keep_alive(node.node().store.clone())));
        let Ports { peer, agency, pages } = node.ports();
        let pages = pages.map(|address| format!(", pages https://{address}/")).unwrap_or_default();
        let AgencySection { name, id, .. } = &config.agency;
        context.terminal.line(format_args!("The node of {name} ({id}) runs: peers {peer}, agency {agency}{pages}"))?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = node.ended() => {}
        }
        service_manager::stopping();
        let stopped = node.stop().await;
        drop(alive);
        stopped
    }
}
