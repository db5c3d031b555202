//! `[[system]]`: what one of the agency's systems may do.

use lotse_core::purpose::Purpose;
use serde::Deserialize;

/// A service that a system can be granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantedService {
    /// Hand over referrals and ask about them.
    Referral,
    /// Record and withdraw consents.
    Consent,
    /// Read what other agencies hand over, and answer.
    Inbox,
}

impl GrantedService {
    /// Returns the name of the service in `lotse.toml`.
    pub fn name(self) -> &'static str {
        match self {
            GrantedService::Referral => "referral",
            GrantedService::Consent => "consent",
            GrantedService::Inbox => "inbox",
        }
    }
}

/// What one of the agency's systems may do: the one whose certificate is `spiffe://<agency>/system/<name>`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SystemSection {
    /// Name in the certificate.
    pub name: String,
    /// Services that it may call.
    pub services: Vec<GrantedService>,
    /// Purposes for which it sends and receives.
    pub purposes: Vec<Purpose>,
}

impl SystemSection {
    /// Tells whether it may call a service.
    pub fn may_call(&self, service: GrantedService) -> bool {
        self.services.contains(&service)
    }

    /// Tells whether it works for a purpose.
    pub fn works_for(&self, purpose: Purpose) -> bool {
        self.purposes.contains(&purpose)
    }
}
