//! Whether a run has a number: everything that was sent is counted again at both ends, in databases and logs of stopped nodes, and
//! all of it must agree.

use std::fs;

use anyhow::{Context as _, bail};
use lotse_proto::exchange::v1::log_entry::Detail;
use lotse_proto::exchange::v1::{EntryKind, LogEntry};
use lotse_store::{Store, StoreOptions, log, meta, yardstick};
use prost::Message;

use super::site::Site;
use crate::config::Config;
use crate::database;
use crate::head_store::HeadStore;
use crate::key_file::NodeKeyFile;
use crate::sequencer::check::{Writer, verify_stored};
use crate::start::RunCounters;

/// What `PRAGMA synchronous` answers for FULL.
const FULL: &str = "2";

/// What a stopped node's folder holds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Holding {
    /// Rows in the tables that exchange fills.
    pub(super) rows: u64,
    /// Size of the database, its write-ahead log included.
    pub(super) bytes: u64,
    /// Entries about a referral that was released.
    pub(super) released: u64,
    /// Entries about a referral that was taken.
    pub(super) taken: u64,
    /// Entries about a receipt.
    pub(super) receipts: u64,
    /// Referrals that receipts say were taken, less those that they say were not.
    pub(super) receipted: i64,
}

/// Counts what the folder of a stopped node holds, and recomputes its log: every leaf, tile, root and signature.
pub(super) async fn holding(site: &Site) -> anyhow::Result<Holding> {
    let config = Config::load(&site.folder)?;
    let _lock = site.folder.lock()?;
    let keys = [NodeKeyFile::read(&config.files.node_keys(&site.folder))?.log.key.public()];
    let head = HeadStore::open(&config.files.head_store(&site.folder))?.load()?;
    let bytes = database_bytes(site)?;
    let store =
        database::open_existing(&site.folder, &config, StoreOptions { longest_read: None, ..StoreOptions::default() })
            .await?;
    let agency = site.agency.clone();
    let verify = store.read("verify", move |tx| {
        Box::pin(async move { verify_stored(tx, &agency, &keys, head.as_ref(), Writer::Stopped).await })
    });
    let report = verify.await?;
    if let Some(finding) = report.findings.first() {
        bail!("the log of {} does not verify: {finding}", site.agency);
    }
    let rows = store.read("rows", move |tx| Box::pin(yardstick::rows(tx))).await?;
    let mut holding = Holding { rows, bytes, ..Holding::default() };
    count_entries(&store, &mut holding).await?;
    store.close().await;
    Ok(holding)
}

async fn count_entries(store: &Store, holding: &mut Holding) -> anyhow::Result<()> {
    let generation =
        store.read("generation", move |tx| Box::pin(meta::generation(tx))).await?.context("no generation")?;
    let mut from = 0;
    loop {
        let page = store.read("entries", move |tx| Box::pin(log::read(tx, generation, from, u32::MAX))).await?;
        let Some(last) = page.last() else { return Ok(()) };
        from = last.index + 1;
        for leaf in &page {
            let entry = LogEntry::decode(leaf.entry.bytes.as_slice())?;
            match entry.kind() {
                EntryKind::Released => holding.released += 1,
                EntryKind::Taken => holding.taken += 1,
                EntryKind::ReceiptRecorded => {
                    holding.receipts += 1;
                    let Some(Detail::Batch(batch)) = entry.detail else { bail!("a receipt's entry without its batch") };
                    holding.receipted += i64::from(batch.taken) - i64::from(batch.refused) - i64::from(batch.again);
                }
                _ => {}
            }
        }
    }
}

fn database_bytes(site: &Site) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for file in fs::read_dir(site.folder.database().parent().context("the database has no folder")?)? {
        bytes += file?.metadata()?.len();
    }
    Ok(bytes)
}

/// What a run must agree on.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    pub(super) sent: u64,
    pub(super) submitted: u64,
    pub(super) taken: u64,
    pub(super) inbox: u64,
    /// The owner before and after the run.
    pub(super) owner: [Holding; 2],
    /// The holder before and after the run.
    pub(super) holder: [Holding; 2],
    /// What the nodes' databases did.
    pub(super) counters: [RunCounters; 2],
}

impl Counts {
    /// Refuses a run whose counts do not agree: it has no number.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let equal = [
            ("accepted by the owner", self.submitted),
            ("reported as taken", self.taken),
            ("in the holder's inbox", self.inbox),
            ("released in the owner's log", self.leaves_sender()),
            ("taken in the holder's log", self.leaves_receiver()),
        ];
        for (what, count) in equal {
            if count != self.sent {
                bail!("{} referrals were sent, {count} {what}: this run has no figures", self.sent);
            }
        }
        let receipted = self.owner[1].receipted - self.owner[0].receipted;
        if u64::try_from(receipted).ok() != Some(self.sent) {
            bail!("{} referrals were sent, receipts speak of {receipted}: this run has no figures", self.sent);
        }
        if self.counters.iter().any(|counters| counters.synchronous != FULL) {
            bail!("a database did not commit with synchronous = FULL: this run has no figures");
        }
        Ok(())
    }

    pub(super) fn leaves_sender(&self) -> u64 {
        self.owner[1].released - self.owner[0].released
    }

    pub(super) fn leaves_receiver(&self) -> u64 {
        self.holder[1].taken - self.holder[0].taken
    }

    pub(super) fn receipts(&self) -> u64 {
        self.owner[1].receipts - self.owner[0].receipts
    }

    /// Rows that both nodes wrote for one referral.
    pub(super) fn rows_per_referral(&self) -> f64 {
        self.rows() as f64 / self.sent.max(1) as f64
    }

    /// Rows that one commit made durable.
    pub(super) fn rows_per_fsync(&self) -> f64 {
        let commits: u64 = self.counters.iter().map(|counters| counters.commits).sum();
        self.rows() as f64 / commits.max(1) as f64
    }

    /// By how much both databases grew for one referral.
    pub(super) fn bytes_per_referral(&self) -> f64 {
        let grown = |[before, after]: &[Holding; 2]| after.bytes.saturating_sub(before.bytes);
        (grown(&self.owner) + grown(&self.holder)) as f64 / self.sent.max(1) as f64
    }

    fn rows(&self) -> u64 {
        let written = |[before, after]: &[Holding; 2]| after.rows.saturating_sub(before.rows);
        written(&self.owner) + written(&self.holder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(released: u64, receipted: i64, synchronous: &str) -> Counts {
        let after = Holding { released, taken: 5, receipted, ..Holding::default() };
        let counters = RunCounters { synchronous: synchronous.into(), ..RunCounters::default() };
        Counts {
            sent: 5,
            submitted: 5,
            taken: 5,
            inbox: 5,
            owner: [Holding::default(), after],
            holder: [Holding::default(), after],
            counters: [counters.clone(), counters],
        }
    }

    #[test]
    fn a_run_whose_counts_do_not_agree_has_no_number() {
        counts(5, 5, FULL).check().unwrap();
        assert!(counts(4, 5, FULL).check().is_err());
        assert!(counts(5, 4, FULL).check().is_err());
        assert!(counts(5, 5, "1").check().is_err());
    }
}
