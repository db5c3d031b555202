//! What was good once and is not any more.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lotse_core::time::{Clock, DAY};
use rustls::HandshakeKind;
use rustls::client::{ClientSessionMemoryCache, ClientSessionStore, Resumption, Tls12ClientSessionValue};
use rustls::client::{Tls12Resumption, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;

use super::kit::{Agency, Card, HandClock, TestRandom, World, now, ping};
use crate::identity::{Role, Side};
use crate::tls::standing::unix;
use crate::tls::{Credentials, Door, Refusal, Reloaded, RevocationLists, Standing, TlsError, TlsFiles, TrustStore};

const HOUR: Duration = Duration::from_secs(3600);

fn revoke(world: &World, cards: &[&Card]) {
    world.trust.set(world.peer.id.clone(), world.peer.bundle_with_list(cards, now().minus(HOUR), now().plus(HOUR)));
}

#[tokio::test]
async fn a_revoked_certificate_is_refused_on_a_new_connection() {
    let world = World::open(Door::Peer).await;
    let (good, bad) = (world.peer.card(Role::Node, "n1"), world.peer.card(Role::Node, "n2"));
    world.knock(&bad).await.expect("it is good before");
    revoke(&world, &[&bad]);
    assert_eq!(world.refuses(&bad, &good).await, Refusal::Revoked);
}

#[tokio::test]
async fn a_certificate_revoked_on_an_open_stream_gets_nothing_more() {
    let world = World::open(Door::Peer).await;
    let (good, bad) = (world.peer.card(Role::Node, "n1"), world.peer.card(Role::Node, "n2"));
    let (mut good_stream, mut bad_stream) = (world.knock(&good).await.unwrap(), world.knock(&bad).await.unwrap());
    revoke(&world, &[]);
    ping(&mut bad_stream).await.expect("a list that does not name it changes nothing");
    revoke(&world, &[&bad]);
    assert!(ping(&mut bad_stream).await.is_err());
    ping(&mut good_stream).await.expect("the good certificate goes on");
}

#[tokio::test]
async fn a_certificate_stays_revoked_when_the_file_of_lists_vanishes() {
    let (agency, trust) = (Agency::new("own.example"), Arc::new(TrustStore::default()));
    let bad = agency.card(Role::Officer, "x");
    agency.write(&agency.authority.issue(&agency.leaf(Role::Node, "n1"), &TestRandom).unwrap());
    let list = agency.write_list(&[&bad], 1);
    let files = TlsFiles { revocation_lists: RevocationLists::IfThere(list.clone()), ..agency.files() };
    let credentials = Credentials::load(files, trust.clone(), now()).unwrap();
    let refusal = || trust.load().bundle(&agency.id).unwrap().verify(&bad.chain, Side::Client, unix(now())).err();
    let revoked = Some(webpki::Error::CertRevoked);
    assert_eq!(refusal(), revoked);

    std::fs::remove_file(&list).unwrap();
    for _ in 0..2 {
        assert!(matches!(credentials.reload_if_changed(now()), Err(TlsError::ListsGone)), "it is complained about");
        assert_eq!(refusal(), revoked);
    }
    std::os::unix::fs::symlink(&list, &list).unwrap();
    assert!(
        matches!(credentials.reload_if_changed(now()), Err(TlsError::Read { .. })),
        "nobody can tell what is there"
    );
    assert_eq!(refusal(), revoked);
    std::fs::remove_file(&list).unwrap();
    agency.write_list(&[], 2);
    assert!(matches!(credentials.reload_if_changed(now()), Ok(Reloaded::Changed)));
    assert_eq!(refusal(), None, "a newer list decides");
}

#[tokio::test]
async fn a_removed_agency_gets_nothing_more_on_an_open_stream() {
    let world = World::open(Door::Peer).await;
    let mut stream = world.knock(&world.peer.card(Role::Node, "n1")).await.unwrap();
    world.trust.remove(&world.peer.id);
    assert!(ping(&mut stream).await.is_err());
}

#[tokio::test]
async fn a_certificate_that_expires_on_an_open_stream_gets_nothing_more() {
    let world = World::open(Door::Peer).await;
    let mut stream = world.knock(&world.peer.card(Role::Node, "n1")).await.unwrap();
    world.clock.turn(DAY - HOUR);
    ping(&mut stream).await.expect("it is still valid");
    world.clock.turn(HOUR * 2);
    assert!(ping(&mut stream).await.is_err());
}

#[tokio::test]
async fn an_expired_revocation_list_is_refused() {
    let world = World::open(Door::Peer).await;
    let card = world.peer.card(Role::Node, "n1");
    let expired = world.peer.bundle_with_list(&[], now().minus(HOUR * 2), now().minus(HOUR));
    world.knock(&card).await.expect("it passes without a list");
    world.trust.set(world.peer.id.clone(), expired);
    assert!(world.knock(&card).await.is_err());
    assert!(matches!(world.verdict(&card), Err(Refusal::RevocationListExpired(_))));
    revoke(&world, &[]);
    world.knock(&card).await.expect("it passes with a new list");
}

#[tokio::test]
async fn a_list_of_another_authority_covers_nothing() {
    let world = World::open(Door::Peer).await;
    let card = world.peer.card(Role::Node, "n1");
    let elsewhere = super::kit::Agency::new("peer.example");
    let (list, _) = elsewhere
        .authority
        .revocation_list(&crate::pki::RevocationList {
            number: 1,
            this_update: now().minus(HOUR),
            next_update: now().plus(HOUR),
            revoked: vec![],
        })
        .unwrap();
    let roots = [world.peer.authority.certificate().clone()];
    world.trust.set(world.peer.id.clone(), crate::tls::Bundle::new(&roots, &[list]).unwrap());
    assert!(world.knock(&card).await.is_err());
    assert_eq!(world.verdict(&card), Err(Refusal::RevocationUnknown));
}

#[tokio::test]
async fn a_revocation_list_that_expires_ends_a_standing() {
    let world = World::open(Door::Peer).await;
    let card = world.peer.card(Role::Node, "n1");
    revoke(&world, &[]);
    let clock = HandClock::new();
    let standing = Standing::new(&card.chain, Side::Client, world.trust.clone(), clock.clone()).unwrap();
    standing.check().unwrap();
    clock.turn(HOUR - Duration::from_secs(5));
    standing.check().unwrap();
    clock.turn(Duration::from_secs(60));
    assert!(matches!(standing.check(), Err(Refusal::RevocationListExpired(_))));
    assert!(clock.now() < standing.identity().not_after());
}

/// Remembers whatever a server gives for a resumption.
#[derive(Debug)]
struct Hoarder {
    tickets: AtomicUsize,
    memory: ClientSessionMemoryCache,
}

impl ClientSessionStore for Hoarder {
    fn set_kx_hint(&self, name: ServerName<'static>, group: rustls::NamedGroup) {
        self.memory.set_kx_hint(name, group);
    }
    fn kx_hint(&self, name: &ServerName<'_>) -> Option<rustls::NamedGroup> {
        self.memory.kx_hint(name)
    }
    fn set_tls12_session(&self, name: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.memory.set_tls12_session(name, value);
    }
    fn tls12_session(&self, name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.memory.tls12_session(name)
    }
    fn remove_tls12_session(&self, name: &ServerName<'static>) {
        self.memory.remove_tls12_session(name);
    }
    fn insert_tls13_ticket(&self, name: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.tickets.fetch_add(1, Ordering::SeqCst);
        self.memory.insert_tls13_ticket(name, value);
    }
    fn take_tls13_ticket(&self, name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.memory.take_tls13_ticket(name)
    }
}

#[tokio::test]
async fn a_certificate_revoked_before_an_attempted_resumption_is_refused() {
    let world = World::open(Door::Peer).await;
    let (good, bad) = (world.peer.card(Role::Node, "n1"), world.peer.card(Role::Node, "n2"));
    let hoarder = Arc::new(Hoarder { tickets: AtomicUsize::new(0), memory: ClientSessionMemoryCache::new(8) });
    let mut config = world.client(&bad);
    config.resumption = Resumption::store(hoarder.clone()).tls12_resumption(Tls12Resumption::SessionIdOrTickets);
    config.enable_early_data = true;
    for _ in 0..2 {
        let stream = world.enter(config.clone()).await.expect("it is good before");
        assert_eq!(stream.get_ref().1.handshake_kind(), Some(HandshakeKind::Full), "nothing is resumed");
    }
    assert_eq!(hoarder.tickets.load(Ordering::SeqCst), 0, "no tickets are given");
    revoke(&world, &[&bad]);
    let refused: io::Result<_> = world.enter(config).await;
    assert!(refused.is_err());
    world.knock(&good).await.expect("the good certificate passes");
}
