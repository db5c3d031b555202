//! A folder that was copied and runs twice, and a clock that somebody sets, as administrators see them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use anyhow::Result;
use lotse_core::agency::AgencyKind;
use lotse_core::time::{Clock, Timestamp};
use lotse_node::ambient::SystemClock;
use lotse_node::config::Config;
use lotse_node::folder::Folder;
use lotse_node::start::{Overrides, start};
use lotse_proto::admin::v1::{ListPeersRequest, Peer};
use lotse_tests::federation::{Agency, Federation, eventually, free_address};

const OWNER: &str = "jc-hanau.hessen.example";
const HOLDER: &str = "aa-hanau.hessen.example";

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in from.read_dir()? {
        let (entry, target) = (entry?, to.to_path_buf());
        let target = target.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

async fn only_peer(agency: &Agency) -> Result<Peer> {
    Ok(agency.admin()?.list_peers(ListPeersRequest {}).await?.into_inner().peers.remove(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_folder_that_runs_beside_its_original_is_noticed_by_its_peer() -> Result<()> {
    let kinds = [(OWNER, AgencyKind::JobcenterGe), (HOLDER, AgencyKind::EmploymentAgency)];
    let mut federation = Federation::agreed(&kinds).await?.0;
    let copied = tempfile::tempdir()?;
    federation.agency_mut(OWNER).stop().await?;
    copy(federation.agency(OWNER).folder.path(), copied.path())?;
    let folder = Folder::new(copied.path().to_path_buf());
    let listen = Config::load(&folder)?.listen;
    let mut text = std::fs::read_to_string(folder.config())?;
    for address in [listen.peer, listen.agency] {
        text = text.replace(&format!("\"{address}\"\n"), &format!("\"{}\"\n", free_address()?));
    }
    std::fs::write(folder.config(), text)?;
    federation.agency_mut(OWNER).start().await?;
    let holder = federation.agency(HOLDER);
    eventually("the original to be connected", async || Ok(only_peer(holder).await?.connected)).await?;

    let twin = Box::pin(start(&folder, Overrides::default())).await?;
    eventually("the holder to notice two nodes", async || Ok(only_peer(holder).await?.stopped)).await?;
    let seen = holder.command(&["status"]).await?;
    assert!(seen.contains("ALARM") && seen.contains("two nodes speak under the identity of"), "{seen}");
    let listed = holder.command(&["peer", "list"]).await?;
    assert!(listed.contains("stopped"), "{listed}");
    let refused = async || Ok(only_peer(federation.agency(OWNER)).await?.problem.contains("two nodes speak"));
    eventually("the original to be told", refused).await?;
    let logged = holder.command(&["log", "list", "--kind", "peer-stopped"]).await?;
    assert!(logged.contains("NODE_STATE_IN_DOUBT"), "{logged}");

    twin.stop().await?;
    holder.command(&["peer", "errs", OWNER, "--reason", "the copy is stopped"]).await?;
    eventually("the original to be connected again", async || {
        let (here, there) = (only_peer(holder).await?, only_peer(federation.agency(OWNER)).await?);
        Ok(here.connected && there.connected && !here.stopped)
    })
    .await?;
    federation.stop().await
}

/// The machine's clock, set ahead by so many microseconds.
struct SetClock(AtomicI64);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(SystemClock.now().micros() + self.0.load(Ordering::SeqCst))
    }

    fn uptime(&self) -> Duration {
        SystemClock.uptime()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_ahead_stops_releases_until_it_is_right_again() -> Result<()> {
    let clock = Arc::new(SetClock(AtomicI64::new(0)));
    let federation = Federation::with_clock(&[(OWNER, AgencyKind::JobcenterGe)], clock.clone()).await?;
    let owner = federation.agency(OWNER);
    let status = async || owner.command(&["status"]).await;
    assert!(status().await?.contains("go out"));
    clock.0.store(Duration::from_secs(3600).as_micros() as i64, Ordering::SeqCst);
    let seen = status().await?;
    assert!(seen.contains("STOPPED: the clock jumped ahead") && seen.contains("ALARM"), "{seen}");
    let examined = owner.command(&["doctor"]).await;
    assert!(examined.is_err() || !examined?.contains("0 problems"), "a clock in doubt is a problem");
    clock.0.store(0, Ordering::SeqCst);
    assert!(status().await?.contains("go out"));
    clock.0.store(Duration::from_secs(3600).as_micros() as i64, Ordering::SeqCst);
    owner.command(&["clock", "confirm", "--reason", "compared with NTP"]).await?;
    assert!(status().await?.contains("go out"));
    federation.stop().await
}
