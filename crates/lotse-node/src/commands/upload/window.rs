//! What is sent and has no answer yet: limited in number and size, so that a file of any length needs the same memory.

use std::collections::HashMap;

use super::Sendable;

/// Messages under way at once: what the node works on at once of one stream.
pub(super) const WINDOW: usize = 512;

/// Bytes under way at once, about.
const WINDOW_BYTES: usize = 8 * 1024 * 1024;

/// What is under way, by key.
pub(super) struct Window<M> {
    sent: HashMap<String, (u64, M)>,
    bytes: usize,
}

impl<M> Default for Window<M> {
    fn default() -> Window<M> {
        Window { sent: HashMap::new(), bytes: 0 }
    }
}

impl<M: Sendable> Window<M> {
    pub(super) fn is_full(&self) -> bool {
        self.sent.len() >= WINDOW || self.bytes >= WINDOW_BYTES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    pub(super) fn contains(&self, key: &str) -> bool {
        self.sent.contains_key(key)
    }

    /// Takes a message that is sent, with the number of its line.
    pub(super) fn put(&mut self, number: u64, message: M) {
        self.bytes += message.encoded_len();
        self.sent.insert(message.key().to_string(), (number, message));
    }

    /// Takes out what is answered and returns the number of its line.
    pub(super) fn remove(&mut self, key: &str) -> Option<u64> {
        let (number, message) = self.sent.remove(key)?;
        self.bytes -= message.encoded_len();
        Some(number)
    }

    /// Returns what has no answer, in the order of the file.
    pub(super) fn unanswered(&self) -> Vec<M> {
        let mut sent: Vec<&(u64, M)> = self.sent.values().collect();
        sent.sort_unstable_by_key(|(number, _)| *number);
        sent.into_iter().map(|(_, message)| message.clone()).collect()
    }
}
