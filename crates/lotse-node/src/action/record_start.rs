//! Records a start of the node, and each system whose grant differs from that of the start before.

use std::collections::BTreeMap;
use std::sync::Arc;

use lotse_store::{StoreError, Tx, meta};

use crate::config::SystemSection;
use crate::entry::{self, Draft, EntryKind};
use crate::node::Node;

/// Separates the name of a system from its grant, in the stored text.
const SEPARATOR: char = '\t';

/// Writes the entries of a start.
pub async fn record_start(node: &Arc<Node>) -> Result<(), StoreError> {
    let shared = node.clone();
    node.store
        .transact("record_start", move |tx| {
            let node = shared.clone();
            Box::pin(async move { run(tx, &node).await })
        })
        .await?;
    node.signals.log.notify_one();
    Ok(())
}

async fn run(tx: &mut Tx, node: &Node) -> Result<(), StoreError> {
    let stored = meta::grants(tx).await?.unwrap_or_default();
    let before = read_grants(&String::from_utf8_lossy(&stored));
    let present = present_grants(&node.config.systems);
    let version = Draft { remark: env!("CARGO_PKG_VERSION").into(), ..Draft::default() };
    let mut drafts = vec![(EntryKind::NodeStarted, version)];
    for (system, grant) in &present {
        if before.get(system) != Some(grant) {
            drafts.push(changed(system, grant));
        }
    }
    for system in before.keys().filter(|system| !present.contains_key(*system)) {
        drafts.push(changed(system, "nothing"));
    }
    if before != present {
        meta::set_grants(tx, write_grants(&present).into_bytes()).await?;
    }
    entry::append(tx, node, drafts).await
}

fn changed(system: &str, grant: &str) -> (EntryKind, Draft) {
    (EntryKind::GrantChanged, Draft { remark: format!("{system}: {grant}"), ..Draft::default() })
}

/// Describes the grant of each system: its services, and the purposes it works for.
fn present_grants(systems: &[SystemSection]) -> BTreeMap<String, String> {
    let grant = |system: &SystemSection| {
        let mut services: Vec<&str> = system.services.iter().map(|service| service.name()).collect();
        let mut purposes: Vec<&str> = system.purposes.iter().map(|purpose| purpose.name()).collect();
        services.sort_unstable();
        purposes.sort_unstable();
        let listed = |names: Vec<&str>| if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        format!("{} for {}", listed(services), listed(purposes))
    };
    systems.iter().map(|system| (system.name.clone(), grant(system))).collect()
}

fn read_grants(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter_map(|line| line.split_once(SEPARATOR));
    lines.map(|(system, grant)| (system.to_owned(), grant.to_owned())).collect()
}

fn write_grants(grants: &BTreeMap<String, String>) -> String {
    grants.iter().map(|(system, grant)| format!("{system}{SEPARATOR}{grant}\n")).collect()
}

#[cfg(test)]
mod tests {
    use lotse_core::purpose::Purpose;

    use super::*;
    use crate::config::GrantedService;
    use crate::testing::TestNode;

    #[test]
    fn grants_are_read_back_as_they_were_written() {
        let system = |name: &str, services: &[GrantedService]| SystemSection {
            name: name.into(),
            services: services.to_vec(),
            purposes: vec![Purpose::YouthTransition, Purpose::Orientation],
        };
        let all = [system("akte", &[GrantedService::Referral, GrantedService::Inbox]), system("none", &[])];
        let grants = present_grants(&all);
        assert_eq!(grants["akte"], "inbox, referral for orientation, youth_transition");
        assert_eq!(grants["none"], "nothing for orientation, youth_transition");
        assert_eq!(read_grants(&write_grants(&grants)), grants);
    }

    #[tokio::test]
    async fn a_start_is_logged_and_a_grant_only_where_it_changed() {
        let node = TestNode::new("jc.example").await;
        let systems = node.config.systems.len();
        let before = node.log().await.len();
        record_start(&node).await.unwrap();
        record_start(&node).await.unwrap();
        let log = node.log().await.split_off(before);
        let count = |kind| log.iter().filter(|&&entry| entry == kind).count();
        assert_eq!((count(EntryKind::NodeStarted), count(EntryKind::GrantChanged)), (2, systems));
        let gone = b"gone\tinbox for orientation\n".to_vec();
        node.store
            .transact("test", move |tx| {
                let gone = gone.clone();
                Box::pin(async move { meta::set_grants(tx, gone).await })
            })
            .await
            .unwrap();
        record_start(&node).await.unwrap();
        let last = node.log_entries().await.pop().unwrap();
        assert_eq!((last.kind(), last.remark.as_str()), (EntryKind::GrantChanged, "gone: nothing"));
    }
}
