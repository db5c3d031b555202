//! Free ports on loopback. Cards name the peer port, so it is chosen before the node first starts and stays its own.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::bail;
use lotse_core::random::{Random, bytes};

/// The lowest port: those below often belong to something.
const FIRST: u16 = 10_000;

/// How many there are: those above are given to outgoing connections, which could take a stopped node's.
const COUNT: u16 = 20_000;

/// Finds free ports, no two alike.
pub(super) fn free_ports(count: usize, random: &dyn Random) -> anyhow::Result<Vec<SocketAddr>> {
    let start = u16::from_be_bytes(bytes(random));
    let mut held = Vec::new();
    for offset in 0..COUNT {
        if held.len() == count {
            break;
        }
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, FIRST + start.wrapping_add(offset) % COUNT));
        if let Ok(listener) = TcpListener::bind(address) {
            held.push((address, listener));
        }
    }
    if held.len() < count {
        bail!("there are no {count} free ports on loopback");
    }
    Ok(held.into_iter().map(|(address, _)| address).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::ambient::SystemRandom;

    #[test]
    fn ports_are_free_and_different() {
        let ports = free_ports(24, &SystemRandom).unwrap();
        assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), 24);
        assert!(ports.iter().all(|address| (FIRST..FIRST + COUNT).contains(&address.port())));
    }
}
