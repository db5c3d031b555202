//! Protocol version, key exchange, the called node's side, reload.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::UnixTime;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind, NamedGroup, ProtocolVersion};

use super::kit::{Agency, TestRandom, World, now, ping};
use crate::edge::{Addresses, Connector};
use crate::identity::Role;
use crate::tls::verifier::NodeVerifier;
use crate::tls::{Credentials, Door, Refusal, Reloaded, TlsError, TrustStore, provider};

#[tokio::test]
async fn a_client_that_speaks_only_tls_1_2_is_refused() {
    let world = World::open(Door::Peer).await;
    let card = world.peer.card(Role::Node, "n1");
    let client = |versions: &[&'static rustls::SupportedProtocolVersion]| {
        let trust = Arc::new(TrustStore::default());
        trust.set(world.own.id.clone(), world.own.bundle());
        ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(NodeVerifier { expected: world.own.id.clone(), trust }))
            .with_client_auth_cert(card.chain.clone(), card.key.clone_key())
            .unwrap()
    };
    assert!(world.enter(client(&[&TLS12])).await.is_err());
    let stream = world.enter(client(&[&TLS12, &TLS13])).await.unwrap();
    assert_eq!(stream.get_ref().1.protocol_version(), Some(ProtocolVersion::TLSv1_3));
}

#[tokio::test]
async fn the_key_exchange_is_post_quantum_by_default() {
    let world = World::open(Door::Peer).await;
    let card = world.peer.card(Role::Node, "n1");
    let stream = world.knock(&card).await.unwrap();
    let connection = stream.get_ref().1;
    assert_eq!(connection.negotiated_key_exchange_group().unwrap().name(), NamedGroup::X25519MLKEM768);
    assert_eq!(connection.handshake_kind(), Some(HandshakeKind::Full), "without a second round trip");
}

#[test]
fn the_key_exchanges_are_those_of_the_protocol_in_its_order() {
    let names: Vec<_> = provider().kx_groups.iter().map(|group| group.name()).collect();
    let expected = [
        NamedGroup::X25519MLKEM768,
        NamedGroup::secp256r1MLKEM768,
        NamedGroup::secp256r1,
        NamedGroup::secp384r1,
        NamedGroup::X25519,
    ];
    assert_eq!(names, expected);
}

#[tokio::test]
async fn each_key_exchange_works_alone() {
    let world = World::open(Door::Peer).await;
    let card = world.peer.card(Role::Node, "n1");
    for group in provider().kx_groups.clone() {
        let mut only = (*provider()).clone();
        only.kx_groups = vec![group];
        let trust = Arc::new(TrustStore::default());
        trust.set(world.own.id.clone(), world.own.bundle());
        let config = ClientConfig::builder_with_provider(Arc::new(only))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(NodeVerifier { expected: world.own.id.clone(), trust }))
            .with_client_auth_cert(card.chain.clone(), card.key.clone_key())
            .unwrap();
        let stream = world.enter(config).await.unwrap();
        assert_eq!(stream.get_ref().1.negotiated_key_exchange_group().unwrap().name(), group.name());
    }
}

#[tokio::test]
async fn who_shows_no_certificate_passes_at_the_pages_only() {
    for (door, passes) in [(Door::Peer, false), (Door::Agency, false), (Door::Pages, true)] {
        let world = World::open(door).await;
        let trust = Arc::new(TrustStore::default());
        trust.set(world.own.id.clone(), world.own.bundle());
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(NodeVerifier { expected: world.own.id.clone(), trust }))
            .with_no_client_auth();
        assert_eq!(world.enter(config).await.is_ok(), passes, "{door:?}");
    }
}

#[tokio::test]
async fn only_the_expected_agencys_node_is_spoken_to() {
    let world = World::open(Door::Peer).await;
    let third = Agency::new("third.example");
    let trust = Arc::new(TrustStore::default());
    trust.set_all([(world.own.id.clone(), world.own.bundle()), (third.id.clone(), third.bundle())]);
    let connector = Connector {
        credentials: world.peer.credentials(Role::Node, "n1", &trust),
        clock: world.clock.clone(),
        addresses: Addresses::RoutedAndLoopback,
    };
    let endpoint = world.address.to_string();
    let mut connection = connector.open(&endpoint, &world.own.id).await.unwrap();
    ping(&mut connection).await.unwrap();
    let error = connector.open(&endpoint, &third.id).await.err().unwrap().to_string();
    assert!(error.contains("another agency's node answered"), "{error}");
    trust.remove(&world.own.id);
    assert!(ping(&mut connection).await.is_err(), "the open connection ends with the trust");
    assert!(connector.open(&endpoint, &world.own.id).await.is_err(), "it has no accepted card");
}

#[tokio::test]
async fn a_called_node_proves_its_agency_its_role_and_its_authority() {
    let (own, foreign) = (Agency::new("own.example"), Agency::new("foreign.example"));
    let trust = Arc::new(TrustStore::default());
    trust.set_all([(own.id.clone(), own.bundle()), (foreign.id.clone(), foreign.bundle())]);
    let verifier = NodeVerifier { expected: own.id.clone(), trust };
    let admit = |card: super::kit::Card| verifier.admit(&card.chain[0], &[], UnixTime::now());
    assert_eq!(admit(own.card(Role::Node, "n1")), Ok(()));
    assert_eq!(admit(foreign.card(Role::Node, "n1")), Err(Refusal::OtherAgency));
    assert_eq!(admit(foreign.spoilt(&own.leaf(Role::Node, "n1"), |_| ())), Err(Refusal::ForeignAuthority));
    let officer_as_server = own.spoilt(&own.leaf(Role::Officer, "x"), |params| {
        params.extended_key_usages.push(rcgen::ExtendedKeyUsagePurpose::ServerAuth);
    });
    assert_eq!(admit(officer_as_server), Err(Refusal::OtherAgency));
}

#[tokio::test]
async fn new_files_are_used_for_new_connections() {
    let world = World::open(Door::Peer).await;
    let card = world.peer.card(Role::Node, "n1");
    assert_eq!(world.credentials.reload_if_changed(now()).unwrap(), Reloaded::Unchanged);
    let before = served(&world, &card).await;
    let issued = world.own.authority.issue(&world.own.leaf(Role::Node, "n1"), &TestRandom).unwrap();
    world.own.write(&issued);
    assert_eq!(served(&world, &card).await, before, "nothing changes before it is looked at");
    assert_eq!(world.credentials.reload_if_changed(now()).unwrap(), Reloaded::Changed);
    assert_eq!(world.credentials.reload_if_changed(now()).unwrap(), Reloaded::Unchanged);
    let after = served(&world, &card).await;
    assert_ne!(after, before);
    assert_eq!(after, issued.certificate.to_vec());
}

async fn served(world: &World, card: &super::kit::Card) -> Vec<u8> {
    let stream = world.knock(card).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[tokio::test]
async fn files_that_cannot_be_used_change_nothing() {
    let world = World::open(Door::Peer).await;
    let card = world.peer.card(Role::Node, "n1");
    let before = served(&world, &card).await;
    let (chain, key) = (world.own.files().chain, world.own.files().key);
    let reload = || world.credentials.reload_if_changed(now());

    std::fs::write(&key, "not a key at all").unwrap();
    assert!(matches!(reload(), Err(TlsError::NoKey(_))));
    let other = world.own.authority.issue(&world.own.leaf(Role::Node, "n1"), &TestRandom).unwrap();
    std::fs::write(&key, other.key_pem.as_str()).unwrap();
    assert!(matches!(reload(), Err(TlsError::Mismatch(_))));
    let foreign = world.peer.authority.issue(&world.own.leaf(Role::Node, "n1"), &TestRandom).unwrap();
    std::fs::write(&chain, &foreign.certificate_pem).unwrap();
    assert!(matches!(reload(), Err(TlsError::Chain(Refusal::ForeignAuthority))));
    let officer = world.own.authority.issue(&world.own.leaf(Role::Officer, "x"), &TestRandom).unwrap();
    world.own.write(&officer);
    assert!(matches!(reload(), Err(TlsError::OtherIdentity { .. })));
    std::fs::remove_file(&chain).unwrap();
    assert!(matches!(reload(), Err(TlsError::Read { .. })));

    assert_eq!(served(&world, &card).await, before);
}

#[tokio::test]
async fn only_a_node_may_open_a_port() {
    let agency = Agency::new("own.example");
    let credentials = agency.credentials(Role::System, "akte", &Arc::default());
    assert!(matches!(credentials.server_config(Door::Agency), Err(TlsError::NotANode(_))));
}

#[test]
fn an_authority_is_loaded_again_from_its_files() {
    let agency = Agency::new("own.example");
    let (certificate, key) = (agency.authority.certificate_pem(), agency.authority.key_pem());
    let again = crate::pki::Authority::from_pem(certificate, &key).unwrap();
    let issued = again.issue(&agency.leaf(Role::Node, "n1"), &TestRandom).unwrap();
    agency.write(&issued);
    let credentials = Credentials::load(agency.files(), Arc::default(), now()).unwrap();
    assert_eq!(credentials.identity().to_string(), "spiffe://own.example/node/n1");
    assert_eq!(issued.serial.len(), 16);
}
