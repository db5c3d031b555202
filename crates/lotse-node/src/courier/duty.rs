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
use crate::action::take_card::take_card;
use crate::edge::{Connector, MAX_MESSAGE_BYTES};
use crate::node::Node;
use crate::wire;
use offered::Offered;

/// How often a peer's card is fetched without being told of a newer one.
const CARD_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// How often it is looked whether a peer has spoken of a newer card.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

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
            tokio::select! {
                () = stop.cancelled() => return,
                _ = changes.changed() => {}
                () = offer_again.notified() => self.offered.offer_anew(),
                () = tokio::time::sleep(rest) => {}
            }
        }
    }

    fn note(&mut self, worked: Result<(), Trouble>) {
        match worked {
            Ok(()) => self.failures = 0,
            Err(Trouble::Unreachable(problem) | Trouble::Refused(problem)) => {
                self.failures = self.failures.saturating_add(1);
                tracing::info!(peer = %self.peer, %problem, "cards and agreements wait for the peer");
                self.node.links.update(&self.peer, |link| {
                    link.problem.get_or_insert(problem);
                });
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
                Ok(channel) => self.visit(client(channel), wants_card, &open).await,
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
        mut client: PeerServiceClient<Channel>,
        wants_card: bool,
        open: &[Arc<Seal>],
    ) -> Result<(), Trouble> {
        let mut refused = None;
        if wants_card {
            match self.fetch_card(&mut client).await {
                Err(Trouble::Refused(problem)) => refused = Some(problem),
                fetched => fetched?,
            }
        }
        for seal in open {
            match self.hand_over(&mut client, seal).await {
                Err(Trouble::Refused(problem)) => refused = Some(problem),
                handed => handed?,
            }
        }
        let now = self.node.now();
        self.node.links.update(&self.peer, |link| link.last_seen = Some(now));
        refused.map_or(Ok(()), |problem| Err(Trouble::Refused(problem)))
    }

    async fn fetch_card(&mut self, client: &mut PeerServiceClient<Channel>) -> Result<(), Trouble> {
        let answer = call(client.get_card(proto::GetCardRequest {})).await?;
        self.next_card = Instant::now() + CARD_INTERVAL.mul_f64(self.jitter());
        let seal = answer.card.and_then(|card| wire::seal::parse(card).ok());
        let seal = seal.ok_or_else(|| Trouble::Refused("it shows no card".into()))?;
        take_card(&self.node, &self.peer, seal).await.map_err(|failure| Trouble::Refused(failure.to_string()))
    }

    /// Hands over a version and its seals: all of it to who does not know it, else the seals that are missing there.
    async fn hand_over(&mut self, client: &mut PeerServiceClient<Channel>, seal: &Seal) -> Result<(), Trouble> {
        let digest = Digest::of(&seal.payload);
        let mut message = wire::seal::message(seal);
        if !self.offered.is_known(&digest) {
            let rest = message.signatures.split_off(message.signatures.len().min(MAX_SIGNATURES));
            let request = proto::OfferAgreementRequest { agreement: Some(message.clone()) };
            self.offered.note(digest, &call(client.offer_agreement(request)).await?.sealed_by);
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
            match call(client.offer_seal(request)).await {
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

/// Waits for an answer.
async fn call<T>(answer: impl Future<Output = Result<tonic::Response<T>, Status>>) -> Result<T, Trouble> {
    match timeout(CALL_DEADLINE, answer).await {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        Ok(Err(status)) => Err(trouble(&status)),
        Err(_) => Err(Trouble::Unreachable("it does not answer".into())),
    }
}

fn trouble(status: &Status) -> Trouble {
    let problem = format!("{} ({:?})", status.message(), status.code());
    match status.code() {
        Code::Unavailable | Code::Unknown | Code::Cancelled | Code::DeadlineExceeded => Trouble::Unreachable(problem),
        _ => Trouble::Refused(problem),
    }
}
