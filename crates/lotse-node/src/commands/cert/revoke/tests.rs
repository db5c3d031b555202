use std::fs;
use std::sync::Arc;

use lotse_core::time::Clock;
use rustls::pki_types::CertificateDer;

use super::*;
use crate::ambient::SystemRandom;
use crate::commands::cert::issue::{Request, issue};
use crate::commands::init::init;
use crate::folder::Folder;
use crate::testing::{ManualClock, init_options};
use crate::tls::{Credentials, Refusal, Reloaded, Standing, TrustStore};

/// The folder of a node with two systems, and the credentials of the node as it runs.
struct Desk {
    place: tempfile::TempDir,
    clock: Arc<ManualClock>,
    credentials: Arc<Credentials>,
}

impl Desk {
    fn new() -> Desk {
        let (place, clock) = (tempfile::tempdir().unwrap(), ManualClock::new());
        let folder = Folder::new(place.path().join("node"));
        init(&folder, &init_options(&["akte", "portal"]), clock.now(), &SystemRandom).unwrap();
        let files = Config::load(&folder).unwrap().files.tls(&folder);
        let credentials = Credentials::load(files, Arc::new(TrustStore::default()), clock.now()).unwrap();
        Desk { place, clock, credentials }
    }

    fn folder(&self) -> Folder {
        Folder::new(self.place.path().join("node"))
    }

    fn chain(&self, name: &str) -> Vec<CertificateDer<'static>> {
        let pem = fs::read(self.file(name)).unwrap();
        pem_file::certificates(&pem).unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder().issued().join(format!("{name}.crt"))
    }

    /// An open connection with a certificate.
    fn standing(&self, name: &str) -> Standing {
        let (trust, clock) = (self.credentials.trust().clone(), self.clock.clone());
        Standing::new(&self.chain(name), Side::Client, trust, clock).unwrap()
    }

    fn revoke(&self, names: &[&str]) {
        let authority = authority(&self.folder()).unwrap();
        let serial = |name: &&str| certificate(&self.file(name), &authority).unwrap().0;
        let serials = names.iter().map(serial).collect();
        publish(&self.folder().revocation_list(), &authority, serials, self.clock.now()).unwrap();
        assert_eq!(self.credentials.reload_if_changed(self.clock.now()).unwrap(), Reloaded::Changed);
    }
}

#[test]
fn a_revoked_certificate_counts_no_more_on_open_and_new_connections_and_others_go_on() {
    let desk = Desk::new();
    let (akte, portal) = (desk.standing("system-akte"), desk.standing("system-portal"));
    akte.check().unwrap();
    desk.revoke(&["system-akte"]);
    assert_eq!(akte.check(), Err(Refusal::Revoked));
    assert_eq!(desk.standing("system-akte").check(), Err(Refusal::Revoked));
    portal.check().unwrap();
    desk.standing("admin-default").check().unwrap();
}

#[test]
fn a_later_list_says_what_the_ones_before_said_and_a_higher_number() {
    let desk = Desk::new();
    desk.revoke(&["system-akte"]);
    desk.clock.turn(DAY);
    desk.revoke(&["system-akte", "system-portal"]);
    desk.clock.turn(DAY);
    desk.revoke(&[]);
    let lists = revocation_list::read(&desk.folder().revocation_list()).unwrap();
    assert_eq!((lists.len(), lists[0].number, lists[0].revoked.len()), (1, 3, 2));
    assert_eq!(lists[0].next_update, desk.clock.now().plus(LIST_LIFE));
    assert!(lists[0].revoked[0].at < lists[0].revoked[1].at, "since when is not forgotten");
    assert_eq!(desk.standing("system-portal").check(), Err(Refusal::Revoked));
}

#[test]
fn a_certificate_issued_anew_counts_and_an_expired_list_refuses_all() {
    let desk = Desk::new();
    desk.revoke(&["system-akte"]);
    let (folder, now) = (desk.folder(), desk.clock.now());
    let config = Config::load(&folder).unwrap();
    issue(&folder, &config, &Request::new(Role::System, "akte"), now, &SystemRandom).unwrap();
    desk.standing("system-akte").check().unwrap();
    desk.clock.turn(LIST_LIFE + Duration::from_secs(1));
    assert!(matches!(desk.standing("system-akte").check(), Err(Refusal::RevocationListExpired(_))));
    desk.revoke(&[]);
    desk.standing("system-akte").check().unwrap();
}

#[test]
fn lists_of_other_authorities_stay_and_their_certificates_are_not_revoked_here() {
    let (desk, other) = (Desk::new(), Desk::new());
    other.revoke(&["system-akte"]);
    fs::copy(other.folder().revocation_list(), desk.folder().revocation_list()).unwrap();
    desk.revoke(&["system-akte"]);
    let lists = revocation_list::read(&desk.folder().revocation_list()).unwrap();
    assert_eq!(lists.iter().map(|list| list.revoked.len()).collect::<Vec<_>>(), [1, 1]);
    assert_ne!(lists[0].issuer, lists[1].issuer);
    let authority = authority(&desk.folder()).unwrap();
    let refused = certificate(&other.file("system-akte"), &authority).unwrap_err();
    assert!(refused.to_string().contains("its own authority revokes it"), "{refused}");
}
