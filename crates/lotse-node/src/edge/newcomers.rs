//! Connections before their handshake has ended. Nobody knows yet who they are, and anybody may open them: where there are too many,
//! the oldest give way, so that whoever speaks at once is always heard.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

/// The connections of a port whose handshake has not ended.
#[derive(Debug)]
pub(super) struct Newcomers {
    limit: usize,
    limit_per_network: usize,
    waiting: Mutex<WaitingConnections>,
}

#[derive(Debug, Default)]
struct WaitingConnections {
    next: u64,
    /// By network, the oldest first.
    networks: HashMap<IpAddr, BTreeMap<u64, CancellationToken>>,
    count: usize,
}

/// A connection whose handshake has not ended; it no longer counts when this is dropped.
#[derive(Debug)]
pub(super) struct Newcomer {
    newcomers: Arc<Newcomers>,
    network: IpAddr,
    number: u64,
    sent_away: CancellationToken,
}

impl Newcomers {
    /// Keeps so many connections, and so many of one network.
    pub(super) fn new(limit: usize, limit_per_network: usize) -> Arc<Newcomers> {
        Arc::new(Newcomers { limit, limit_per_network, waiting: Mutex::default() })
    }

    /// Takes a connection. If there are too many, the oldest of its network gives way, or the oldest of the network that has most.
    pub(super) fn admit(self: &Arc<Self>, network: IpAddr) -> Newcomer {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.networks.get(&network).is_some_and(|of_network| of_network.len() >= self.limit_per_network) {
            waiting.send_oldest_away(network);
        } else if waiting.count >= self.limit {
            waiting.largest().into_iter().for_each(|largest| waiting.send_oldest_away(largest));
        }
        let (number, sent_away) = (waiting.next, CancellationToken::new());
        waiting.next += 1;
        waiting.count += 1;
        waiting.networks.entry(network).or_default().insert(number, sent_away.clone());
        Newcomer { newcomers: self.clone(), network, number, sent_away }
    }
}

impl WaitingConnections {
    /// Finds the network that has most; among equals the one whose oldest has waited longest.
    fn largest(&self) -> Option<IpAddr> {
        let rank = |of_network: &BTreeMap<u64, CancellationToken>| {
            (of_network.len(), std::cmp::Reverse(of_network.keys().next().copied()))
        };
        self.networks.iter().max_by_key(|(_, of_network)| rank(of_network)).map(|(network, _)| *network)
    }

    fn send_oldest_away(&mut self, network: IpAddr) {
        let oldest = self.networks.get(&network).and_then(|of_network| of_network.keys().next().copied());
        if let Some(sent_away) = oldest.and_then(|number| self.remove(network, number)) {
            sent_away.cancel();
        }
    }

    fn remove(&mut self, network: IpAddr, number: u64) -> Option<CancellationToken> {
        let of_network = self.networks.get_mut(&network)?;
        let removed = of_network.remove(&number)?;
        if of_network.is_empty() {
            self.networks.remove(&network);
        }
        self.count -= 1;
        Some(removed)
    }
}

impl Newcomer {
    /// Returns the network that it came from.
    pub(super) fn network(&self) -> IpAddr {
        self.network
    }

    /// Waits until it has to give way.
    pub(super) async fn sent_away(&self) {
        self.sent_away.cancelled().await;
    }
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        let mut waiting = self.newcomers.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.remove(self.network, self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(number: u8) -> IpAddr {
        [192, 0, 2, number].into()
    }

    fn stays(newcomers: &[Newcomer]) -> Vec<bool> {
        newcomers.iter().map(|newcomer| !newcomer.sent_away.is_cancelled()).collect()
    }

    #[test]
    fn the_oldest_of_a_network_that_has_too_many_gives_way_and_no_other() {
        let newcomers = Newcomers::new(100, 2);
        let other = newcomers.admit(network(2));
        let three: Vec<Newcomer> = (0..3).map(|_| newcomers.admit(network(1))).collect();
        assert_eq!(stays(&three), [false, true, true]);
        assert_eq!(stays(&[other]), [true]);
    }

    #[test]
    fn where_all_are_too_many_the_oldest_of_the_largest_network_gives_way() {
        let newcomers = Newcomers::new(4, 100);
        let honest = newcomers.admit(network(2));
        let flood: Vec<Newcomer> = (0..3).map(|_| newcomers.admit(network(1))).collect();
        let next = newcomers.admit(network(3));
        assert_eq!(stays(&flood), [false, true, true]);
        assert_eq!(stays(&[honest, next]), [true, true]);
    }

    #[test]
    fn who_is_gone_leaves_nothing_behind() {
        let newcomers = Newcomers::new(2, 1);
        let first = newcomers.admit(network(1));
        let second = newcomers.admit(network(1));
        drop((first, second));
        let waiting = newcomers.waiting.lock().unwrap();
        assert!(waiting.networks.is_empty() && waiting.count == 0);
    }
}
