//! Peers: card, and each address: does TCP answer, is it that agency's node, does it take this node's certificate?
//!
//! In TLS 1.3 a caller is refused after it believes itself connected, so a handshake says nothing about the own certificate:
//! only a byte that can be read does. The called node begins HTTP/2 by its settings.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use super::finding::{Area, Finding};
use super::live::Live;
use super::place::Place;
use super::stored::Stored;
use crate::edge::{Connector, Unreachable, refused_peer};
use crate::ending::NearEnd;
use crate::federation::{Peer, bundle};
use crate::tls::{Credentials, Refusal, TrustStore};
use crate::wire;

/// How long the first byte may take.
const FIRST_BYTE: Duration = Duration::from_secs(5);

/// Looks at the peers.
pub(super) async fn examine(place: &Place, stored: &Stored, live: Option<&Live>) -> Vec<Finding> {
    if stored.federation.peers.is_empty() {
        let accept = place.command("peer accept other.card --fingerprint 'as told by telephone'");
        let todo = format!("{} for the others, {accept} for theirs", place.command("peer card"));
        return vec![Finding::warning(Area::Peer, "all", "no agency's card is accepted", todo)];
    }
    let connector = connector(place, stored);
    let peers = stored.federation.peers.values().map(|peer| async {
        let agency = peer.card.card.agency.as_str();
        let mut findings = vec![card(place, peer, live)];
        match &connector {
            Ok(connector) => findings.extend(addresses(connector, peer).await),
            Err(error) => {
                let todo = "put right what is said of the node's certificate above".to_string();
                findings.push(Finding::problem(Area::Peer, agency, format!("was not called: {error:#}"), todo));
            }
        }
        findings
    });
    join_all(peers).await.into_iter().flatten().collect()
}

fn connector(place: &Place, stored: &Stored) -> anyhow::Result<Connector> {
    let trust = Arc::new(TrustStore::default());
    let bundles = stored.federation.peers.values().filter_map(|peer| {
        let card = &peer.card.card;
        Some((card.agency.clone(), bundle(&card.trust_bundle)?))
    });
    trust.set_all(bundles.collect::<Vec<_>>());
    let credentials = Credentials::load(place.config.files.tls(&place.folder), trust, place.now)?;
    Ok(Connector { credentials, clock: place.clock.clone(), addresses: place.config.peer.callable() })
}

/// Looks at a peer's card, and at what is known of the connection to it.
pub(super) fn card(place: &Place, peer: &Peer, live: Option<&Live>) -> Finding {
    let card = &peer.card.card;
    let agency = card.agency.as_str();
    let live = live.and_then(|live| live.peer(agency));
    let announced = live.map_or(0, |live| live.announced_card_version);
    let ask = format!("ask {} for a newer card; their node offers it by itself once it is installed there", card.name);
    let ends = [NearEnd::of_peer_card(card, place.now), NearEnd::of_peer_authorities(card, place.now)];
    let (has_ended, ends_soon): (Vec<_>, Vec<_>) = ends.into_iter().flatten().partition(|end| end.has_ended);
    if let Some(end) = has_ended.into_iter().next() {
        return Finding::of_end(Area::Peer, agency, end, ask);
    }
    if announced > card.version {
        let seen = format!("its card {announced} is not here yet, {} is", card.version);
        let todo = format!("if this stays for minutes, {} says why", place.command("log list --refused"));
        return Finding::warning(Area::Peer, agency, seen, todo);
    }
    if let Some(end) = ends_soon.into_iter().next() {
        return Finding::of_end(Area::Peer, agency, end, ask);
    }
    if peer.suspended {
        let todo = format!(
            "if the reason is gone, {}",
            place.command(&format!("peer resume {agency} --reason 'agreed by telephone'"))
        );
        return Finding::warning(Area::Peer, agency, "suspended here: nothing is released to it", todo);
    }
    if let Some(live) = live.filter(|live| !live.problem.is_empty() && live.items_due + live.items_in_doubt > 0) {
        let todo = format!("{} shows whether it is still so; the reason says what to do", place.command("peer list"));
        return Finding::warning(Area::Peer, agency, live.problem.clone(), todo);
    }
    let contact = match live {
        Some(live) => match live.last_seen_at.as_ref().and_then(wire::time::parse) {
            Some(at) if live.connected => format!(", connected, last contact {at}"),
            Some(at) => format!(", not connected, last contact {at}"),
            None => ", no contact since this node started".to_string(),
        },
        None => String::new(),
    };
    let seen = format!("card {}, until {}{contact}", card.version, card.valid_until.date());
    Finding::ok(Area::Peer, agency, seen)
}

/// Calls every address of a peer. One that answers is enough for the exchange, and the others are a warning.
async fn addresses(connector: &Connector, peer: &Peer) -> Vec<Finding> {
    let card = &peer.card.card;
    let calls = card.endpoints.iter().map(|endpoint| async move { (endpoint, call(connector, endpoint, peer).await) });
    let calls = join_all(calls).await;
    let reachable = calls.iter().any(|(_, outcome)| outcome.is_ok());
    let finding = |(endpoint, outcome): (&String, Result<(), (String, String)>)| {
        let about = format!("{} at {endpoint}", card.agency);
        match outcome {
            Ok(()) => Finding::ok(Area::Peer, about, "answers, and takes this node's certificate"),
            Err((seen, todo)) if reachable => Finding::warning(Area::Peer, about, seen, todo),
            Err((seen, todo)) => Finding::problem(Area::Peer, about, seen, todo),
        }
    };
    calls.into_iter().map(finding).collect()
}

/// Opens a connection and waits for the first byte; an error is what was seen and what to do.
async fn call(connector: &Connector, endpoint: &str, peer: &Peer) -> Result<(), (String, String)> {
    let name = &peer.card.card.name;
    let mut connection = match connector.open(endpoint, &peer.card.card.agency).await {
        Ok(connection) => connection,
        Err(error) => return Err(unreachable(&error, name)),
    };
    let mut byte = [0];
    let refused = || {
        format!(
            "ask {name} whether it has accepted this node's card; if so, compare clocks, and see this node's certificate above"
        )
    };
    match timeout(FIRST_BYTE, connection.read(&mut byte)).await {
        Ok(Ok(1..)) => Ok(()),
        Ok(Ok(0)) => Err(("it closes the connection after the handshake".into(), refused())),
        Ok(Err(error)) => Err((format!("it refuses this node's certificate: {error}"), refused())),
        Err(_) => Err(("it says nothing after the handshake".into(), format!("ask {name} whether its node is well"))),
    }
}

fn refusal(error: &io::Error) -> Option<&Refusal> {
    error.get_ref()?.downcast_ref::<Unreachable>()?.refusal()
}

fn unreachable(error: &io::Error, name: &str) -> (String, String) {
    let ask = |what: &str| format!("{what}; ask {name} whether its node runs and at which address");
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ("nobody listens there".into(), ask("check the way with `nc -vz HOST PORT`")),
        io::ErrorKind::TimedOut => ("no answer within 5 seconds".into(), ask("check firewalls on both sides")),
        io::ErrorKind::PermissionDenied => (
            error.to_string(),
            "loopback and link-local addresses of cards are not called (peer.allow_loopback in lotse.toml is for demonstrations)".into(),
        ),
        io::ErrorKind::InvalidData => match refusal(error) {
            Some(refusal) => refused_peer(refusal, name),
            None => (
                format!("TLS fails: {error}"),
                format!("compare the fingerprints and the card with {name}; another node may answer at that address"),
            ),
        },
        _ => (error.to_string(), ask("check DNS and network")),
    }
}
