//! The entries that a node has written.

use lotse_proto::exchange::v1::LogEntry;
use prost::Message;

use crate::entry::EntryKind;
use crate::testing::TestNode;

impl TestNode {
    /// Reads the entries of a kind.
    pub(crate) async fn entries_of(&self, kind: EntryKind) -> Vec<LogEntry> {
        let all = self.all_entries().await;
        all.into_iter().filter(|entry| entry.kind == kind as i32).collect()
    }

    /// Reads the whole log.
    pub(in crate::action) async fn all_entries(&self) -> Vec<LogEntry> {
        let generation = self.node.generation;
        let read = self.store.read("test_log", move |tx| Box::pin(lotse_store::log::read(tx, generation, 0, 4096)));
        let leaves = read.await.unwrap();
        leaves.iter().map(|leaf| Message::decode(leaf.entry.bytes.as_slice()).unwrap()).collect()
    }
}
