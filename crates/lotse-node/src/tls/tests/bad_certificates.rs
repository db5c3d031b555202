//! One test for each way in which a certificate can be bad.

use lotse_core::time::DAY;
use rcgen::{
    BasicConstraints, CustomExtension, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    SanType,
};

use super::kit::{Agency, World, now};
use crate::identity::{IdentityError, Role, Side};
use crate::tls::{Bundle, BundleError, Door, Refusal};

async fn refused_at_the_peer_port(spoil: impl FnOnce(&mut rcgen::CertificateParams)) -> Refusal {
    let world = World::open(Door::Peer).await;
    let bad = world.peer.spoilt(&world.peer.leaf(Role::Node, "n1"), spoil);
    world.refuses(&bad, &world.peer.card(Role::Node, "n1")).await
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

#[tokio::test]
async fn two_uri_names_are_refused() {
    let refusal = refused_at_the_peer_port(|params| {
        params.subject_alt_names.push(uri("spiffe://peer.example/node/n2"));
    });
    assert_eq!(refusal.await, Refusal::Identity(IdentityError::SeveralUris));
}

#[tokio::test]
async fn a_certificate_without_names_is_refused() {
    let refusal = refused_at_the_peer_port(|params| params.subject_alt_names.clear());
    assert_eq!(refusal.await, Refusal::Identity(IdentityError::NoUri));
}

#[tokio::test]
async fn a_certificate_with_a_dns_name_only_is_refused() {
    let refusal = refused_at_the_peer_port(|params| {
        params.subject_alt_names = vec![SanType::DnsName("peer.example".try_into().unwrap())];
    });
    assert_eq!(refusal.await, Refusal::Identity(IdentityError::NoUri));
}

#[tokio::test]
async fn an_authority_as_leaf_is_refused() {
    let refusal = refused_at_the_peer_port(|params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    assert_eq!(refusal.await, Refusal::Identity(IdentityError::Authority));
}

#[tokio::test]
async fn a_leaf_that_may_sign_certificates_is_refused() {
    let refusal = refused_at_the_peer_port(|params| params.key_usages.push(KeyUsagePurpose::KeyCertSign));
    assert_eq!(refusal.await, Refusal::Identity(IdentityError::SigningUsage));
}

#[tokio::test]
async fn a_leaf_without_client_usage_is_refused() {
    let refusal = refused_at_the_peer_port(|params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    assert_eq!(refusal.await, Refusal::Identity(IdentityError::NotForClients));
}

#[tokio::test]
async fn a_leaf_without_any_extended_usage_is_refused() {
    let refusal = refused_at_the_peer_port(|params| params.extended_key_usages.clear());
    assert_eq!(refusal.await, Refusal::Identity(IdentityError::NotForClients));
}

#[tokio::test]
async fn a_leaf_for_any_extended_usage_is_refused() {
    let refusal = refused_at_the_peer_port(|params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any];
    });
    assert_eq!(refusal.await, Refusal::Identity(IdentityError::NotForClients));
}

#[tokio::test]
async fn an_unknown_critical_extension_is_refused() {
    let refusal = refused_at_the_peer_port(|params| {
        let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
        extension.set_criticality(true);
        params.custom_extensions.push(extension);
    });
    assert_eq!(refusal.await, Refusal::Identity(IdentityError::UnknownCritical));
}

#[tokio::test]
async fn an_unknown_extension_that_is_not_critical_passes() {
    let world = World::open(Door::Peer).await;
    let card = world.peer.spoilt(&world.peer.leaf(Role::Node, "n1"), |params| {
        let extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
        params.custom_extensions.push(extension);
    });
    world.knock(&card).await.unwrap();
}

#[tokio::test]
async fn an_upper_case_trust_domain_is_refused() {
    let refusal = refused_at_the_peer_port(|params| {
        params.subject_alt_names = vec![uri("spiffe://PEER.example/node/n1")];
    });
    assert_eq!(refusal.await, Refusal::Identity(IdentityError::TrustDomain));
}

#[tokio::test]
async fn a_trust_domain_with_a_dot_at_the_end_is_refused() {
    let refusal = refused_at_the_peer_port(|params| {
        params.subject_alt_names = vec![uri("spiffe://peer.example./node/n1")];
    });
    assert_eq!(refusal.await, Refusal::Identity(IdentityError::TrustDomain));
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let world = World::open(Door::Peer).await;
    let mut leaf = world.peer.leaf(Role::Node, "n1");
    (leaf.not_before, leaf.not_after) = (now().minus(DAY * 2), now().minus(DAY));
    let refusal = world.refuses(&world.peer.spoilt(&leaf, |_| ()), &world.peer.card(Role::Node, "n1")).await;
    assert!(matches!(refusal, Refusal::Expired(_)), "{refusal}");
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_yet_is_refused() {
    let world = World::open(Door::Peer).await;
    let mut leaf = world.peer.leaf(Role::Node, "n1");
    (leaf.not_before, leaf.not_after) = (now().plus(DAY), now().plus(DAY * 2));
    let refusal = world.refuses(&world.peer.spoilt(&leaf, |_| ()), &world.peer.card(Role::Node, "n1")).await;
    assert_eq!(refusal, Refusal::NotYetValid);
}

#[tokio::test]
async fn another_known_agencys_authority_cannot_issue_for_this_agency() {
    let world = World::open(Door::Peer).await;
    let third = Agency::new("third.example");
    world.trust.set(third.id.clone(), third.bundle());
    world.knock(&third.card(Role::Node, "n1")).await.expect("it may issue for itself");
    let bad = third.spoilt(&world.peer.leaf(Role::Node, "n1"), |_| ());
    let refusal = world.refuses(&bad, &world.peer.card(Role::Node, "n1")).await;
    assert_eq!(refusal, Refusal::ForeignAuthority);
}

#[tokio::test]
async fn a_foreign_authority_cannot_issue_for_the_own_agency() {
    let world = World::open(Door::Agency).await;
    let bad = world.peer.spoilt(&world.own.leaf(Role::Admin, "chief"), |_| ());
    let refusal = world.refuses(&bad, &world.own.card(Role::Admin, "chief")).await;
    assert_eq!(refusal, Refusal::ForeignAuthority);
}

#[tokio::test]
async fn the_own_node_id_has_no_business_at_the_peer_port() {
    let world = World::open(Door::Peer).await;
    let good = world.peer.card(Role::Node, "n1");
    let foreign = world.peer.spoilt(&world.own.leaf(Role::Node, "n1"), |_| ());
    assert_eq!(world.refuses(&foreign, &good).await, Refusal::NotAdmitted);
    let genuine = world.own.card(Role::Node, "n1");
    assert_eq!(world.refuses(&genuine, &good).await, Refusal::NotAdmitted);
}

#[tokio::test]
async fn only_nodes_may_enter_the_peer_port() {
    let world = World::open(Door::Peer).await;
    let good = world.peer.card(Role::Node, "n1");
    for role in [Role::System, Role::Officer, Role::Admin] {
        assert_eq!(world.refuses(&world.peer.card(role, "x"), &good).await, Refusal::NotAdmitted, "{role}");
    }
}

#[tokio::test]
async fn only_the_agencys_own_people_and_systems_may_enter_its_port() {
    let world = World::open(Door::Agency).await;
    let good = world.own.card(Role::System, "akte");
    for role in [Role::System, Role::Officer, Role::Admin] {
        world.knock(&world.own.card(role, "x")).await.unwrap();
        assert_eq!(world.refuses(&world.peer.card(role, "x"), &good).await, Refusal::NotAdmitted, "{role}");
    }
    for node in [world.own.card(Role::Node, "n2"), world.peer.card(Role::Node, "n1")] {
        assert_eq!(world.refuses(&node, &good).await, Refusal::NotAdmitted);
    }
}

#[tokio::test]
async fn only_officers_may_show_a_certificate_at_the_pages() {
    let world = World::open(Door::Pages).await;
    let good = world.own.card(Role::Officer, "m.muster");
    assert_eq!(world.refuses(&world.own.card(Role::System, "akte"), &good).await, Refusal::NotAdmitted);
    assert_eq!(world.refuses(&world.peer.card(Role::Officer, "x"), &good).await, Refusal::NotAdmitted);
}

#[tokio::test]
async fn an_agency_without_an_accepted_card_is_refused() {
    let world = World::open(Door::Peer).await;
    let stranger = Agency::new("stranger.example");
    let bad = stranger.card(Role::Node, "n1");
    assert_eq!(world.refuses(&bad, &world.peer.card(Role::Node, "n1")).await, Refusal::UnknownAgency);
    world.trust.set(stranger.id.clone(), stranger.bundle());
    world.knock(&bad).await.expect("its card was accepted");
    world.trust.remove(&stranger.id);
    assert!(world.knock(&bad).await.is_err(), "its card was removed");
}

#[tokio::test]
async fn a_chain_over_an_intermediate_authority_passes_and_breaks_without_it() {
    let world = World::open(Door::Peer).await;
    let (root, middle) = (Agency::new("deep.example"), Agency::new("deep.example"));
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.distinguished_name.push(rcgen::DnType::CommonName, "middle");
    let middle_certificate = params.signed_by(&key, root.authority.issuer()).unwrap();
    let issuer = rcgen::Issuer::new(params, key);
    let mut card = middle.card(Role::Node, "n1");
    let leaf_key = KeyPair::try_from(card.key.secret_der()).unwrap();
    let leaf = crate::pki::leaf_params(&middle.leaf(Role::Node, "n1")).unwrap().signed_by(&leaf_key, &issuer).unwrap();
    world.trust.set(root.id.clone(), root.bundle());
    card.chain = vec![leaf.der().clone()];
    assert!(world.knock(&card).await.is_err());
    card.chain.push(middle_certificate.der().clone());
    world.knock(&card).await.unwrap();
}

#[test]
fn a_certificate_is_read_for_the_side_it_is_used_at() {
    let agency = Agency::new("own.example");
    let card = agency.card(Role::System, "akte");
    let read = |side| crate::identity::Identity::from_certificate(&card.chain[0], side);
    assert_eq!(read(Side::Client).unwrap().to_string(), "spiffe://own.example/system/akte");
    assert_eq!(read(Side::Server), Err(IdentityError::NotForServers));
    let mut longer = card.chain[0].to_vec();
    longer.push(0);
    assert_eq!(crate::identity::Identity::from_certificate(&longer, Side::Client), Err(IdentityError::Unreadable));
    for cut in 0..card.chain[0].len() {
        let part = &card.chain[0][..cut];
        assert_eq!(crate::identity::Identity::from_certificate(part, Side::Client), Err(IdentityError::Unreadable));
    }
}

#[test]
fn a_bundle_holds_authorities_and_never_leaves() {
    let agency = Agency::new("own.example");
    assert_eq!(Bundle::new(&[], &[]).unwrap_err(), BundleError::Empty);
    let leaf = agency.card(Role::Node, "n1").chain;
    assert_eq!(Bundle::new(&leaf, &[]).unwrap_err(), BundleError::NoAuthority);
    let many = vec![agency.authority.certificate().clone(); 9];
    assert_eq!(Bundle::new(&many, &[]).unwrap_err(), BundleError::TooLarge);
    let pem = agency.authority.certificate_pem().as_bytes();
    assert!(Bundle::from_pem(pem, None).is_ok());
    assert_eq!(Bundle::from_pem(pem, Some(b"")).unwrap_err(), BundleError::RevocationList);
}
