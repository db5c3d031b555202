//! Records what the agency's small authority did since the last look: one entry for each certificate issued or revoked.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lotse_store::{StoreError, Tx, meta};

use crate::entry::{self, Draft, EntryKind};
use crate::node::Node;
use crate::pki::certificate_act::{self, CertificateAct, CertificateActKind, CertificateActs};

/// Most entries of one transaction.
const MOST_AT_ONCE: usize = 256;

/// Remark of an entry about a list that has fewer lines than have been logged.
const SHORTENED: &str = "the list of issued and revoked certificates (pki/acts.ndjson) is shorter than before";

/// Remark of an entry about a line that cannot be read.
const BROKEN: &str = "a line of the list of issued and revoked certificates (pki/acts.ndjson) cannot be read";

/// Writes the missing entries and returns how many acts have one now.
pub async fn record_certificate_acts(node: &Arc<Node>, list: &Path) -> anyhow::Result<u64> {
    let logged = node.store.read("certificate acts", |tx| Box::pin(meta::certificate_acts(tx))).await?;
    let path: PathBuf = list.to_owned();
    let found = tokio::task::spawn_blocking(move || certificate_act::read(&path, logged)).await??;
    let (drafts, count) = drafts(found, logged);
    if drafts.is_empty() {
        return Ok(logged);
    }
    let shared = node.clone();
    node.store
        .transact("record_certificate_acts", move |tx| {
            let (node, drafts) = (shared.clone(), drafts.clone());
            Box::pin(async move { write(tx, &node, drafts, logged, count).await })
        })
        .await?;
    node.signals.log.notify_one();
    Ok(count)
}

/// Makes the entries, with the number of lines that have one afterwards.
fn drafts(found: CertificateActs, logged: u64) -> (Vec<(EntryKind, Draft)>, u64) {
    if found.lines < logged {
        let draft = Draft { remark: SHORTENED.into(), ..Draft::default() };
        return (vec![(EntryKind::Alarm, draft)], found.lines);
    }
    let drafts: Vec<_> = found.acts.into_iter().take(MOST_AT_ONCE).map(draft).collect();
    let count = logged + drafts.len() as u64;
    (drafts, count)
}

fn draft(act: Option<CertificateAct>) -> (EntryKind, Draft) {
    let Some(CertificateAct { act, at, identity, serial }) = act else {
        return (EntryKind::Alarm, Draft { remark: BROKEN.into(), ..Draft::default() });
    };
    let kind = match act {
        CertificateActKind::Issued => EntryKind::CertificateIssued,
        CertificateActKind::Revoked => EntryKind::CertificateRevoked,
    };
    let identity = if identity.is_empty() { String::new() } else { format!("{identity}, ") };
    (kind, Draft { remark: format!("{identity}serial {serial}, {at}"), ..Draft::default() })
}

/// Writes the entries once: another run of the same work finds the number already raised.
async fn write(
    tx: &mut Tx,
    node: &Node,
    drafts: Vec<(EntryKind, Draft)>,
    logged: u64,
    count: u64,
) -> Result<(), StoreError> {
    if meta::certificate_acts(tx).await? != logged {
        return Ok(());
    }
    meta::set_certificate_acts(tx, count).await?;
    entry::append(tx, node, drafts).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestNode;

    fn act(kind: CertificateActKind, serial: &str) -> CertificateAct {
        let identity = "spiffe://jc.example/system/akte".into();
        CertificateAct { act: kind, at: "2026-12-01T00:00:00Z".into(), identity, serial: serial.into() }
    }

    #[tokio::test]
    async fn each_certificate_is_logged_once_and_a_shortened_list_is_an_alarm() {
        let node = TestNode::new("jc.example").await;
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("acts.ndjson");
        let before = node.log().await.len();
        let acts = [act(CertificateActKind::Issued, "0a"), act(CertificateActKind::Revoked, "0a")];
        certificate_act::append(&list, &acts).unwrap();
        for _ in 0..3 {
            assert_eq!(record_certificate_acts(&node, &list).await.unwrap(), 2);
        }
        assert_eq!(node.log().await[before..], [EntryKind::CertificateIssued, EntryKind::CertificateRevoked]);
        let issued = &node.log_entries().await[before];
        assert_eq!(issued.remark, "spiffe://jc.example/system/akte, serial 0a, 2026-12-01T00:00:00Z");
        std::fs::remove_file(&list).unwrap();
        for _ in 0..2 {
            assert_eq!(record_certificate_acts(&node, &list).await.unwrap(), 0);
        }
        assert_eq!(node.log().await[before + 2..], [EntryKind::Alarm]);
    }
}
