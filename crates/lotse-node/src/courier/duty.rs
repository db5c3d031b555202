//! Duties between nodes that need no agreement: fetching newer cards, and handing agreements and seals to their parties until
//! each has said that it has them. One task per peer. What a peer has is asked again after a restart, and when it seems to lack what it
//! had; that costs a call.

mod offered;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use lotse_core::id::{AgencyId, Digest};
use lotse_core::seal::{MAX_SIGNATURES, Seal};
use lotse_proto::peer::v1 as proto;
use lotse_proto::peer::v1::peer_service_client::PeerServiceClient;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::action::claim::pause;
use crate::action::take_card::{refused_card, take_card};
use crate::edge::{Connector, MAX_MESSAGE_BYTES};
use crate::node::Node;
use crate::wire;
use offered::Offered;

/// How often a peer's card is fetched without being told of a newer one.
const CARD_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// How often it is looked whether a peer has spoken of a newer card.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// Pause before a peer that has just spoken is tried again.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// How long a peer may take to answer.
const CALL_DEADLINE: Duration = Duration::from_secs(20);

/// Works for every accepted peer until the node stops.
pub async fn run(node: Arc<Node>, connector: Connector, stop: CancellationToken) {
    let (tasks, mut changes) = (TaskTracker::new(), node.federation.watch());
    let mut known = BTreeSet::new();
    loop {
        changes.mark_unchanged();
        for peer in node.federation.get().peers.keys() {
            if known.insert(peer.clone()) {
                let duty = Duty::new(node.clone(), connector.clone(), peer.clone());
                tasks.spawn(duty.run(stop.clone()));
            }
        }
        tokio::select! {
            () = stop.cancelled() => break,
            changed = changes.changed() => if changed.is_err() { break },
        }
    }
    tasks.close();
    tasks.wait().await;
}

/// What is to be done for one peer.
struct Duty {
    node: Arc<Node>,
    connector: Connector,
    peer: AgencyId,
    offered: Offered,
    next_card: Instant,
    failures: u32,
}

/// Why a visit ended early or was in vain.
enum Trouble {
    /// The peer cannot be reached there: another address may do.
    Unreachable(String),
    /// The peer, or this node, refused something.
    Refused(String),
}

impl Duty {
    fn new(node: Arc<Node>, connector: Connector, peer: AgencyId) -> Duty {
        Duty { node, connector, peer, offered: Offered::default(), next_card: Instant::now(), failures: 0 }
    }

    async fn run(mut self, stop: CancellationToken) {
        let mut changes = self.node.federation.watch();
        let offer_again = self.node.signals.offer_again(&self.peer);
        let reachable = self.node.signals.reachable(&self.peer);
        while !stop.is_cancelled() {
            changes.mark_unchanged();
            let worked = tokio::select! {
                () = stop.cancelled() => return,
                worked = self.work() => worked,
            };
            self.note(worked);
            let rest = match self.failures {
                0 => LOOK_INTERVAL,
                failures => pause(&*self.node.random, failures),
            };
            let heard = async {
                reachable.notified().await;
                tokio::time::sleep(LOOK_PAUSE.min(rest)).await;
            };
            tokio::select! {
                () = stop.cancelled() => return,
                _ = changes.changed() => {}
                () = offer_again.notified() => self.offered.offer_anew(),
                () = heard => {}
                () = tokio::time::sleep(rest) => {}
            }
        }
    }

    /// Notes why something waits, or that nothing does, and logs it once a minute as long as it is the same.
    fn note(&mut self, worked: Result<(), Trouble>) {
        let (node, peer) = (&self.node, &self.peer);
        match worked {
            Ok(()) => {
                node.links.update(peer, |link| link.duty_problem = None);
                self.failures = 0;
            }
            Err(Trouble::Unreachable(problem) | Trouble::Refused(problem)) => {
                if let Some(times) = node.links.said.count(&format!("{peer} duty {problem}"), node.now()) {
                    tracing::info!(%peer, %problem, times, "cards and agreements wait for the peer");
                }
                node.links.update(peer, |link| link.duty_problem = Some(problem));
                self.failures = self.failures.saturating_add(1);
            }
        }
    }

    /// Does what there is to do, at the first of the peer's addresses that answers.
    async fn work(&mut self) -> Result<(), Trouble> {
        let federation = self.node.federation.get();
        let Some(peer) = federation.peers.get(&self.peer) else { return Ok(()) };
        let wants_card = self.wants_card(peer.card.card.version);
        let at = self.node.now();
        self.offered.review(&federation, &self.peer, at, Instant::now());
        let open = self.offered.open(&federation, &self.peer, at);
        if !wants_card && open.is_empty() {
            return Ok(());
        }
        let mut last = Trouble::Unreachable("its card has no address that can be used".into());
        for endpoint in &peer.card.card.endpoints {
            let visited = match self.connector.channel(endpoint, &self.peer) {
                Ok(channel) => self.visit(&mut client(channel), wants_card, &open).await,
                Err(error) => Err(Trouble::Unreachable(error.to_string())),
            };
            match visited {
                Err(Trouble::Unreachable(problem)) => last = Trouble::Unreachable(problem),
                visited => return visited,
            }
        }
        Err(last)
    }

    fn wants_card(&self, known: u64) -> bool {
        Instant::now() >= self.next_card || self.node.links.get(&self.peer).card_version > known
    }

    /// Goes through everything although something is refused, so that one bad version holds up no other.
    async fn visit(
        &mut self,
        client: &mut PeerServiceClient<Channel>,
        wants_card: bool,
        open: &[Arc<Seal>],
    ) -> Result<(), Trouble> {
        let mut refused = None;
        if wants_card {
            match self.fetch_card(client).await {
                Err(Trouble::Refused(problem)) => refused = Some(problem),
                fetched => fetched?,
            }
        }
        for seal in open {
            match self.hand_over(client, seal).await {
                Err(Trouble::Refused(problem)) => refused = Some(problem),
                handed => handed?,
            }
        }
        let now = self.node.now();
        self.node.links.update(&self.peer, |link| link.last_seen = Some(now));
        refused.map_or(Ok(()), |problem| Err(Trouble::Refused(problem)))
    }

    async fn fetch_card(&mut self, client: &mut PeerServiceClient<Channel>) -> Result<(), Trouble> {
        let answer = self.call(client.get_card(proto::GetCardRequest {})).await?;
        self.next_card = Instant::now() + CARD_INTERVAL.mul_f64(self.jitter());
        let seal = answer.card.and_then(|card| wire::seal::parse(card).ok());
        let seal = seal.ok_or_else(|| Trouble::Refused("it shows no card".into()))?;
        let taken = take_card(&self.node, &self.peer, seal).await;
        taken.map_err(|failure| Trouble::Refused(refused_card(&failure)))
    }

    /// Hands over a version and its seals: all of it to who does not know it, else the seals that are missing there.
    async fn hand_over(&mut self, client: &mut PeerServiceClient<Channel>, seal: &Seal) -> Result<(), Trouble> {
        let digest = Digest::of(&seal.payload);
        let mut message = wire::seal::message(seal);
        if !self.offered.is_known(&digest) {
            let rest = message.signatures.split_off(message.signatures.len().min(MAX_SIGNATURES));
            let request = proto::OfferAgreementRequest { agreement: Some(message.clone()) };
            let answer = self.call(client.offer_agreement(request)).await?;
            self.offered.note(digest, &answer.sealed_by);
            message.signatures = rest;
            message.signatures.retain(|signature| !self.offered.has_seal(&digest, &signature.agency));
        } else {
            // The own seal comes again: that shows a version under which the peer may send again.
            let own = self.node.agency.as_str();
            let lacks = |agency: &str| agency == own || !self.offered.has_seal(&digest, agency);
            message.signatures.retain(|signature| lacks(&signature.agency));
        }
        for signatures in message.signatures.chunks(MAX_SIGNATURES) {
            let request =
                proto::OfferSealRequest { agreement_digest: digest.to_vec(), signatures: signatures.to_vec() };
            match self.call(client.offer_seal(request)).await {
                Ok(answer) => self.offered.note(digest, &answer.sealed_by),
                Err(trouble) => {
                    // It may have been restored and know nothing of the version any more.
                    self.offered.forget(&digest);
                    return Err(trouble);
                }
            }
        }
        Ok(())
    }

    /// Waits for an answer.
    async fn call<T>(&self, answer: impl Future<Output = Result<tonic::Response<T>, Status>>) -> Result<T, Trouble> {
        match timeout(CALL_DEADLINE, answer).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(trouble(&status, self.connector.explain(&status))),
            Err(_) => Err(Trouble::Unreachable("it does not answer within 20 seconds: ask that agency".into())),
        }
    }

    /// Draws a factor between 0.5 and 1, so that nodes do not ask together.
    fn jitter(&self) -> f64 {
        let [drawn] = lotse_core::random::bytes::<1>(&*self.node.random);
        0.5 + f64::from(drawn) / 510.0
    }
}

fn client(channel: Channel) -> PeerServiceClient<Channel> {
    PeerServiceClient::new(channel)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
}

fn trouble(status: &Status, problem: String) -> Trouble {
    match status.code() {
        Code::Unavailable | Code::Unknown | Code::Cancelled | Code::DeadlineExceeded => Trouble::Unreachable(problem),
        _ => Trouble::Refused(problem),
    }
}

#[cfg(test)]
mod tests {
    use lotse_core::card::Card;
    use tonic::service::Routes;

    use super::*;
    use crate::edge::tests::connector;
    use crate::edge::{Limits, serve};
    use crate::grpc::peer;
    use crate::testing::TestNode;
    use crate::tls::Door;
    use crate::tls::tests::kit::World;

    const PATIENCE: Duration = Duration::from_secs(20);

    async fn until(seen: impl Fn() -> bool) {
        let looked = async {
            while !seen() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, looked).await.expect("it comes in time");
    }

    #[tokio::test]
    async fn a_peer_that_accepted_the_card_at_last_is_found_by_its_call_and_its_problem_goes() {
        let (owner, holder) = (TestNode::new("peer.example").await, TestNode::new("own.example").await);
        let routes = Routes::new(peer::service(holder.node.clone()));
        let world = World::open_with(Door::Peer, Limits::default(), |port, stop| serve(port, routes, stop)).await;
        holder.install(&Card { endpoints: vec![world.address.to_string()], ..holder.card(2) }).await;
        owner.accept(&holder).await;
        world.trust.remove(&owner.agency);
        let (peer, stop) = (holder.agency.clone(), CancellationToken::new());
        // It has failed so often that its next attempt by itself is minutes away.
        let duty = Duty { failures: 12, ..Duty::new(owner.node.clone(), connector(&world), peer.clone()) };
        let duty = tokio::spawn(duty.run(stop.clone()));
        until(|| owner.links.get(&peer).duty_problem.is_some()).await;
        let problem = owner.links.trouble(&peer, 0).unwrap();
        assert!(problem.contains("it may not have accepted this agency's card yet"), "{problem}");

        world.trust.set(owner.agency.clone(), world.peer.bundle());
        until(|| {
            owner.called_by(&peer);
            owner.links.get(&peer).duty_problem.is_none()
        })
        .await;
        assert_eq!(owner.links.trouble(&peer, 0), None);
        stop.cancel();
        duty.await.unwrap();
    }
}
