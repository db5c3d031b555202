//! Addresses of one name: all are tried, the next beside the one before if that is slow, and the first that answers counts.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until, timeout_at};

/// How long an address may take until the next one is tried beside it (RFC 8305, section 5, whose attempts are without a handshake).
const NEXT_ADDRESS: Duration = Duration::from_millis(500);

/// An address that was tried and what came of it.
#[derive(Debug)]
pub(super) struct Attempt {
    /// None if no address was found.
    pub(super) address: Option<SocketAddr>,
    pub(super) cause: io::Error,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => write!(f, "{address}: {}", self.cause),
            None => self.cause.fmt(f),
        }
    }
}

/// Tries addresses until one answers, at most until the deadline; each of them has its turn before that. Returns the first answer,
/// or what came of each.
pub(super) async fn first_answer<T, F>(
    addresses: &[SocketAddr],
    deadline: Instant,
    open: impl Fn(SocketAddr) -> F,
) -> Result<T, Vec<Attempt>>
where
    F: Future<Output = io::Result<T>>,
{
    let addresses = by_turns(addresses);
    let share = deadline.saturating_duration_since(Instant::now()) / (addresses.len().max(1) as u32 + 1);
    let (mut waiting, mut running, mut failed) = (addresses.into_iter(), FuturesUnordered::new(), Vec::new());
    let begin = |address| {
        let attempt = timeout_at(deadline, open(address));
        async move {
            let opened = attempt.await.unwrap_or_else(|elapsed| Err(elapsed.into()));
            opened.map_err(|cause| Attempt { address: Some(address), cause })
        }
    };
    let mut next_at = Instant::now();
    loop {
        tokio::select! {
            biased;
            Some(opened) = running.next() => match opened {
                Ok(answer) => return Ok(answer),
                Err(attempt) => {
                    failed.push(attempt);
                    next_at = Instant::now();
                }
            },
            () = sleep_until(next_at), if waiting.len() > 0 => {
                running.extend(waiting.next().map(begin));
                next_at = Instant::now() + NEXT_ADDRESS.min(share);
            }
            else => return Err(failed),
        }
    }
}

/// Puts addresses of both kinds by turns, beginning with the kind of the first (RFC 8305, section 4).
fn by_turns(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let Some(first) = addresses.first() else { return Vec::new() };
    let (mut like_first, mut others): (Vec<_>, Vec<_>) =
        addresses.iter().copied().partition(|address| address.is_ipv6() == first.is_ipv6());
    like_first.reverse();
    others.reverse();
    let turns = std::iter::from_fn(|| Some([like_first.pop(), others.pop()])).take_while(|turn| *turn != [None, None]);
    turns.flatten().flatten().collect()
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn within(seconds: u64) -> Instant {
        Instant::now() + Duration::from_secs(seconds)
    }

    #[tokio::test]
    async fn an_address_that_says_nothing_does_not_keep_the_next_one_from_being_tried() {
        let addresses = ["192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1"].map(address);
        let begun = Instant::now();
        let open = |tried: SocketAddr| async move {
            if tried == address("192.0.2.3:1") { Ok(tried) } else { pending().await }
        };
        assert_eq!(first_answer(&addresses, within(5), open).await.unwrap(), addresses[2]);
        assert!(begun.elapsed() >= 2 * NEXT_ADDRESS && begun.elapsed() < 4 * NEXT_ADDRESS);
    }

    #[tokio::test]
    async fn the_next_address_is_tried_at_once_when_one_refuses_and_a_slow_one_still_counts() {
        let addresses = ["192.0.2.1:1", "192.0.2.2:1"].map(address);
        let begun = Instant::now();
        let open = |tried: SocketAddr| async move {
            if tried == address("192.0.2.1:1") {
                tokio::time::sleep(Duration::from_secs(1)).await;
                return Ok(tried);
            }
            Err(io::Error::from(io::ErrorKind::ConnectionRefused))
        };
        assert_eq!(first_answer(&addresses, within(5), open).await.unwrap(), addresses[0]);
        assert_eq!(begun.elapsed().as_secs(), 1);
    }

    #[tokio::test]
    async fn where_none_answers_in_time_each_is_named_with_its_cause() {
        let addresses: Vec<SocketAddr> = (1..=40).map(|number| address(&format!("192.0.2.{number}:1"))).collect();
        let begun = Instant::now();
        let open = |tried: SocketAddr| async move {
            if tried == address("192.0.2.2:1") {
                return Err(io::Error::other("refused"));
            }
            pending::<io::Result<()>>().await
        };
        let failed = first_answer(&addresses, within(1), open).await.unwrap_err();
        assert_eq!(failed.len(), 40, "also of many addresses each has its turn");
        assert_eq!(failed[0].to_string(), "192.0.2.2:1: refused");
        assert_eq!(begun.elapsed().as_secs(), 1);
        assert!(first_answer(&[], within(1), open).await.unwrap_err().is_empty());
    }

    #[test]
    fn both_kinds_of_addresses_are_tried_by_turns() {
        let found = ["[2001:db8::1]:1", "[2001:db8::2]:1", "192.0.2.1:1"].map(address);
        assert_eq!(by_turns(&found), ["[2001:db8::1]:1", "192.0.2.1:1", "[2001:db8::2]:1"].map(address));
    }
}
