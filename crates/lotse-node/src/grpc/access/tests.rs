use std::sync::Arc;

use lotse_core::agreement::Agreement;
use lotse_core::id::{Digest, Id};
use lotse_core::time::DAY;
use lotse_proto::exchange::v1::LogEntry;
use lotse_store::Tx;
use prost::Message;
use tonic::Code;
use tonic_types::StatusExt;

use super::guard::check;
use super::*;
use crate::action::suspend_agreement::suspend_agreement;
use crate::edge::ConnectInfo;
use crate::entry::EntryKind;
use crate::identity::Side;
use crate::telemetry::trace::TraceId;
use crate::testing::{TestNode, admin, agree, introduce};
use crate::tls::tests::kit::{Agency, HandClock};
use crate::tls::{Standing, TrustStore};

/// The parts of `google.protobuf.FileDescriptorSet` that name RPCs.
#[derive(Clone, PartialEq, Message)]
struct Files {
    #[prost(message, repeated, tag = "1")]
    file: Vec<File>,
}

#[derive(Clone, PartialEq, Message)]
struct File {
    #[prost(string, tag = "2")]
    package: String,
    #[prost(message, repeated, tag = "6")]
    service: Vec<Service>,
}

#[derive(Clone, PartialEq, Message)]
struct Service {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    method: Vec<Method>,
}

#[derive(Clone, PartialEq, Message)]
struct Method {
    #[prost(string, tag = "1")]
    name: String,
}

/// Every RPC of `proto/` and of the health protocol, as a path.
fn declared() -> Vec<String> {
    let mut files = Files::decode(lotse_proto::FILE_DESCRIPTOR_SET).unwrap().file;
    files.extend(Files::decode(tonic_health::pb::FILE_DESCRIPTOR_SET).unwrap().file);
    let mut paths = Vec::new();
    for (package, service) in files.iter().flat_map(|file| file.service.iter().map(|service| (&file.package, service)))
    {
        paths.extend(service.method.iter().map(|method| format!("/{package}.{}/{}", service.name, method.name)));
    }
    paths.sort();
    paths
}

const ROLES: [Role; 4] = [Role::Node, Role::System, Role::Officer, Role::Admin];

/// Who calls: a connection with a real certificate.
struct Callers {
    own: Agency,
    peer: Agency,
    trust: Arc<TrustStore>,
    clock: Arc<HandClock>,
}

impl Callers {
    fn new(own: &str, peer: &str) -> Callers {
        let (own, peer, trust) = (Agency::new(own), Agency::new(peer), Arc::new(TrustStore::default()));
        trust.set(own.id.clone(), own.bundle());
        trust.set(peer.id.clone(), peer.bundle());
        Callers { own, peer, trust, clock: HandClock::new() }
    }

    /// A node comes from the peer, everyone else from the own agency.
    fn caller(&self, role: Role, name: &str) -> ConnectInfo {
        self.caller_from(if role == Role::Node { &self.peer } else { &self.own }, role, name)
    }

    fn caller_from(&self, agency: &Agency, role: Role, name: &str) -> ConnectInfo {
        let card = agency.card(role, name);
        let standing = Standing::new(&card.chain, Side::Client, self.trust.clone(), self.clock.clone()).unwrap();
        ConnectInfo { remote: "127.0.0.1:1".parse().unwrap(), standing: Some(Arc::new(standing)) }
    }
}

async fn two() -> (TestNode, TestNode, Callers) {
    let one = TestNode::new("one.example").await;
    let two = TestNode::with("two.example", one.kind, one.clock.clone()).await;
    introduce(&[&one, &two]).await;
    let callers = Callers::new("one.example", "two.example");
    (one, two, callers)
}

async fn reason(node: &TestNode, caller: ConnectInfo, path: &str) -> String {
    let status = check(node, Some(caller), path, None).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    status.get_details_error_info().unwrap().reason
}

fn path(rpc: Rpc) -> String {
    format!("/{}/{}", rpc.service, rpc.method)
}

#[test]
fn every_rpc_has_one_line_and_every_line_an_rpc() {
    let mut lines: Vec<String> = TABLE.iter().copied().map(path).collect();
    lines.sort();
    assert_eq!(lines, declared());
}

#[tokio::test]
async fn each_rpc_admits_its_role_and_no_other() {
    let (one, two, callers) = two().await;
    agree(&[&one, &two]).await;
    let mut table = String::new();
    for path in declared() {
        let wanted = match path.split('.').nth(1).unwrap() {
            "peer" => &ROLES[..1],
            "agency" => &[Role::System],
            "audit" => &[Role::Officer],
            "admin" => &[Role::Admin],
            "health" => &ROLES[1..],
            package => panic!("say who may call {package}"),
        };
        for role in ROLES {
            let admitted = check(&one, Some(callers.caller(role, "akte")), &path, None).await.is_ok();
            table.push_str(&format!("{path} {role} {}\n", if admitted { "allow" } else { "deny" }));
            assert_eq!(admitted, wanted.contains(&role), "{path} {role}");
        }
    }
    println!("{table}");
}

#[tokio::test]
async fn an_agency_s_own_node_and_a_foreign_administrator_may_do_nothing() {
    let (one, two, callers) = two().await;
    agree(&[&one, &two]).await;
    for path in declared() {
        let own_node = callers.caller_from(&callers.own, Role::Node, "n1");
        assert_eq!(reason(&one, own_node, &path).await, "ROLE_NOT_ALLOWED");
        for role in [Role::System, Role::Officer, Role::Admin] {
            let foreign = callers.caller_from(&callers.peer, role, "akte");
            assert_eq!(reason(&one, foreign, &path).await, "ROLE_NOT_ALLOWED", "{path} {role}");
        }
    }
}

#[tokio::test]
async fn a_system_may_do_what_its_configuration_grants() {
    let (one, _, callers) = two().await;
    let reads_only = || callers.caller(Role::System, "lesend");
    let hands_over_only = || callers.caller(Role::System, "abgebend");
    for rpc in [FETCH, ANSWER_REFERRAL, GET_REFERRAL] {
        check(&one, Some(reads_only()), &path(rpc), None).await.unwrap();
    }
    for rpc in [SUBMIT_REFERRAL, SUBMIT_REFERRALS, PREVIEW_REFERRAL, CANCEL_REFERRAL, LIST_REFERRALS, RECORD_CONSENT] {
        assert_eq!(reason(&one, reads_only(), &path(rpc)).await, "NOT_GRANTED", "{}", rpc.name);
    }
    for rpc in [SUBMIT_REFERRAL, GET_REFERRAL, LIST_REFERRALS] {
        check(&one, Some(hands_over_only()), &path(rpc), None).await.unwrap();
    }
    for rpc in [FETCH, ANSWER_REFERRAL, RECORD_CONSENT] {
        assert_eq!(reason(&one, hands_over_only(), &path(rpc)).await, "NOT_GRANTED", "{}", rpc.name);
    }
    for rpc in [FETCH, HEALTH_CHECK] {
        assert_eq!(reason(&one, callers.caller(Role::System, "unknown"), &path(rpc)).await, "NOT_GRANTED");
    }
    check(&one, Some(reads_only()), &path(HEALTH_CHECK), None).await.unwrap();

    let mut request = Request::new(());
    request.extensions_mut().insert(reads_only());
    let grant = system(&one, &request, FETCH).unwrap();
    assert_eq!(grant.actor, "spiffe://one.example/system/lesend");
    grant.purpose(Purpose::Orientation).unwrap();
    assert_eq!(grant.purpose(Purpose::JobPlacement).unwrap_err().reason(), Reason::NotGranted);
    assert!(system(&one, &request, SUBMIT_REFERRAL).is_err(), "also without the guard");
}

#[tokio::test]
async fn a_peer_without_an_agreement_in_force_may_call_three_rpcs() {
    let (one, two, callers) = two().await;
    let node = || callers.caller(Role::Node, "n1");
    let allowed = async || {
        let mut allowed = Vec::new();
        for rpc in TABLE.iter().filter(|rpc| rpc.is_for(Role::Node)) {
            if check(&one, Some(node()), &path(*rpc), None).await.is_ok() {
                allowed.push(rpc.method);
            }
        }
        allowed
    };
    let three = ["GetCard", "OfferAgreement", "OfferSeal"];
    assert_eq!(allowed().await, three);
    assert_eq!(reason(&one, node(), &path(EXCHANGE)).await, "NO_AGREEMENT");
    let id = agree(&[&one, &two]).await;
    assert_eq!(allowed().await.len(), 4);
    suspend_agreement(&one, id, admin()).await.unwrap();
    assert_eq!(allowed().await, three, "nothing was ever exchanged");
    received_something(&one, &two).await;
    assert_eq!(allowed().await.len(), 4, "duties go on");
}

/// Writes that a batch came from a peer.
async fn received_something(one: &TestNode, two: &TestNode) {
    let (peer, at) = (two.agency.clone(), one.now());
    let insert = one.store.transact("test", move |tx: &mut Tx| {
        let peer = peer.clone();
        Box::pin(async move {
            let (batch_id, root) = (Id::from_bytes([1; 16]), Digest::of(b"root"));
            lotse_store::receipt::insert(tx, batch_id, &peer, root, vec![1], at).await
        })
    });
    insert.await.unwrap();
}

#[tokio::test]
async fn an_agreement_that_has_ended_admits_no_new_exchange() {
    let (one, two, callers) = two().await;
    agree(&[&one, &two]).await;
    let agreement: Arc<Agreement> = one.federation.get().agreements[0].agreement.clone();
    one.clock.turn(agreement.valid_until.since(one.now()) + DAY);
    assert_eq!(reason(&one, callers.caller(Role::Node, "n1"), &path(EXCHANGE)).await, "NO_AGREEMENT");
}

#[tokio::test]
async fn an_agency_without_an_accepted_card_may_call_nothing() {
    let (one, _, _) = two().await;
    let callers = Callers::new("one.example", "stranger.example");
    assert_eq!(reason(&one, callers.caller(Role::Node, "n1"), &path(GET_CARD)).await, "PEER_UNKNOWN");
}

#[tokio::test]
async fn a_thousand_denials_are_one_entry_whatever_the_certificates_are_called() {
    let (one, _, callers) = two().await;
    let before = one.log().await.len();
    for number in 0..20 {
        reason(&one, callers.caller(Role::Node, &format!("n{number}")), &path(GET_STATUS)).await;
        for _ in 0..50 {
            reason(&one, callers.caller(Role::Officer, "eva"), &path(SUSPEND_PEER)).await;
        }
    }
    let log = one.log().await;
    assert_eq!(log[before..], [EntryKind::Denied; 2]);
}

#[tokio::test]
async fn a_call_that_does_not_exist_is_unimplemented_and_no_denial() {
    let (one, _, callers) = two().await;
    let before = one.log().await.len();
    for path in ["/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "/", "/no.such.Service/Drop'Table"] {
        for role in ROLES {
            let status = check(&one, Some(callers.caller(role, "akte")), path, None).await.unwrap_err();
            assert_eq!(status.code(), Code::Unimplemented, "{path} {role}");
        }
    }
    assert_eq!(one.log().await.len(), before);
}

#[tokio::test]
async fn a_denial_is_logged_in_the_trace_of_an_own_caller_and_in_none_of_a_peer() {
    let (one, _, callers) = two().await;
    let trace = TraceId::from_slice(&[7; 16]);
    for role in [Role::Officer, Role::Node] {
        check(&one, Some(callers.caller(role, "eva")), &path(SUSPEND_PEER), trace).await.unwrap_err();
    }
    let leaves = one.store.read("test_log", |tx| Box::pin(lotse_store::log::read(tx, 1, 0, 1000))).await.unwrap();
    let entries = leaves.iter().map(|leaf| LogEntry::decode(leaf.entry.bytes.as_slice()).unwrap());
    let denied = entries.filter(|entry| entry.kind() == EntryKind::Denied).map(|entry| entry.trace_id);
    assert_eq!(denied.collect::<Vec<_>>(), [vec![7; 16], vec![]]);
}

#[tokio::test]
async fn a_caller_whose_certificate_stopped_counting_is_not_even_asked() {
    let (one, _, callers) = two().await;
    let caller = callers.caller(Role::Admin, "anna");
    check(&one, Some(caller.clone()), &path(GET_STATUS), None).await.unwrap();
    callers.clock.turn(2 * DAY);
    let status = check(&one, Some(caller), &path(GET_STATUS), None).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(check(&one, None, &path(GET_STATUS), None).await.unwrap_err().code(), Code::Unauthenticated);
}
