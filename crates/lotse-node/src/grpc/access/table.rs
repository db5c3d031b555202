//! The table. An RPC without a line cannot be called; a test compares the lines with `proto/`.

use crate::config::GrantedService;

/// Who may call an RPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callers {
    /// Nodes of agencies with an accepted card.
    Peers,
    /// Of these, who has an agreement in force with this agency, or may hold anything of it, or the other way round.
    PeersWhoExchange,
    /// Systems of this agency that are granted one of the services.
    Systems(&'static [GrantedService]),
    /// Officers of this agency.
    Officers,
    /// Administrators of this agency.
    Admins,
    /// Systems, officers and administrators of this agency, whatever they are granted.
    OwnAgency,
}

/// An RPC and who may call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rpc {
    /// Full name of the service.
    pub service: &'static str,
    /// Name of the method.
    pub method: &'static str,
    /// Both, as in a path without its first slash.
    pub name: &'static str,
    /// Who may call it.
    pub callers: Callers,
}

/// Writes a constant for each RPC and the table of all.
macro_rules! table {
    ($($service:literal for $callers:expr => $($name:ident $method:literal)+;)+) => {
        $($(
            #[doc = concat!("`", $service, "/", $method, "`")]
            pub const $name: Rpc = Rpc {
                service: $service,
                method: $method,
                name: concat!($service, "/", $method),
                callers: $callers,
            };
        )+)+

        /// Every RPC.
        pub const TABLE: &[Rpc] = &[$($($name),+),+];
    };
}

table! {
    "lotse.peer.v1.PeerService" for Callers::Peers =>
        GET_CARD "GetCard"
        PEER_OFFER_AGREEMENT "OfferAgreement"
        OFFER_SEAL "OfferSeal";
    "lotse.peer.v1.PeerService" for Callers::PeersWhoExchange =>
        EXCHANGE "Exchange";
    "lotse.agency.v1.ReferralService" for Callers::Systems(&[GrantedService::Referral]) =>
        SUBMIT_REFERRAL "SubmitReferral"
        SUBMIT_REFERRALS "SubmitReferrals"
        PREVIEW_REFERRAL "PreviewReferral"
        CANCEL_REFERRAL "CancelReferral"
        LIST_REFERRALS "ListReferrals";
    // Who receives answers, and need not be able to hand over.
    "lotse.agency.v1.ReferralService" for Callers::Systems(&[GrantedService::Inbox]) =>
        ANSWER_REFERRAL "AnswerReferral";
    // Both sides follow a thread.
    "lotse.agency.v1.ReferralService" for Callers::Systems(&[GrantedService::Referral, GrantedService::Inbox]) =>
        GET_REFERRAL "GetReferral";
    "lotse.agency.v1.ConsentService" for Callers::Systems(&[GrantedService::Consent]) =>
        RECORD_CONSENT "RecordConsent"
        RECORD_CONSENTS "RecordConsents"
        WITHDRAW_CONSENT "WithdrawConsent"
        GET_CONSENT "GetConsent"
        LIST_CONSENTS "ListConsents";
    "lotse.agency.v1.InboxService" for Callers::Systems(&[GrantedService::Inbox]) =>
        WATCH "Watch"
        FETCH "Fetch"
        CONFIRM_IMPORT "ConfirmImport"
        ACKNOWLEDGE "Acknowledge";
    "lotse.audit.v1.AuditService" for Callers::Officers =>
        LIST_ENTRIES "ListEntries"
        GET_ENTRY "GetEntry"
        GET_CHECKPOINT "GetCheckpoint"
        READ_ENTRIES "ReadEntries"
        GET_SEALS "GetSeals";
    "lotse.admin.v1.AdminService" for Callers::Admins =>
        GET_STATUS "GetStatus"
        GET_OWN_CARD "GetOwnCard"
        INSTALL_CARD "InstallCard"
        LIST_PEERS "ListPeers"
        ACCEPT_PEER "AcceptPeer"
        SUSPEND_PEER "SuspendPeer"
        RESUME_PEER "ResumePeer"
        DISMISS_PEER_DOUBT "DismissPeerDoubt"
        OFFER_AGREEMENT "OfferAgreement"
        SIGN_AGREEMENT "SignAgreement"
        LIST_AGREEMENTS "ListAgreements"
        GET_AGREEMENT "GetAgreement"
        SUSPEND_AGREEMENT "SuspendAgreement"
        RESUME_AGREEMENT "ResumeAgreement"
        CONFIRM_CLOCK "ConfirmClock"
        ISSUE_OFFICER_LINK "IssueOfficerLink"
        END_OFFICER_SESSIONS "EndOfficerSessions";
    "grpc.health.v1.Health" for Callers::OwnAgency =>
        HEALTH_CHECK "Check"
        HEALTH_WATCH "Watch";
}
