//! A map of limited size. One that is full forgets the entry that was inserted first.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

pub(crate) struct BoundedMap<K, V> {
    limit: usize,
    entries: HashMap<K, V>,
    /// The keys of all entries, first inserted first.
    order: VecDeque<K>,
}

impl<K: Copy + Eq + Hash, V> BoundedMap<K, V> {
    pub(crate) fn new(limit: usize) -> BoundedMap<K, V> {
        BoundedMap { limit, entries: HashMap::new(), order: VecDeque::new() }
    }

    pub(crate) fn get(&self, key: K) -> Option<&V> {
        self.entries.get(&key)
    }

    pub(crate) fn get_mut(&mut self, key: K) -> Option<&mut V> {
        self.entries.get_mut(&key)
    }

    /// Inserts a value; one that replaces another stays as old as that one.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.entries.insert(key, value).is_some() {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > self.limit {
            let oldest = self.order.pop_front();
            oldest.map(|oldest| self.entries.remove(&oldest));
        }
    }

    /// Takes a value out. Looks through the keys of all entries, so it suits small maps.
    pub(crate) fn remove(&mut self, key: K) -> Option<V> {
        let value = self.entries.remove(&key)?;
        self.order.retain(|other| *other != key);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_map_forgets_what_was_inserted_first() {
        let mut map = BoundedMap::new(2);
        [(1, "a"), (2, "b"), (1, "c")].into_iter().for_each(|(key, value)| map.insert(key, value));
        assert_eq!((map.get(1), map.get(2)), (Some(&"c"), Some(&"b")), "what is replaced takes no second place");
        map.insert(3, "d");
        assert_eq!((map.get(1), map.get(2), map.get(3)), (None, Some(&"b"), Some(&"d")));
        assert_eq!((map.remove(2), map.remove(2)), (Some("b"), None));
        map.insert(4, "e");
        assert_eq!((map.get(3), map.get(4)), (Some(&"d"), Some(&"e")), "what was taken out takes no place");
        (5..100).for_each(|key| map.insert(key, "f"));
        assert_eq!((map.entries.len(), map.order.len()), (2, 2));
    }
}
