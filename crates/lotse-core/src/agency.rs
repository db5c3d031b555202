//! What kinds of agencies there are.

use serde::{Deserialize, Serialize};

/// The kind of an agency: the closed list of v1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum AgencyKind {
    /// Jobcenter as a joint institution (SGB II § 44b).
    JobcenterGe = 1,
    /// Jobcenter of an approved municipal carrier (SGB II § 6a).
    JobcenterZkt = 2,
    /// Agentur für Arbeit.
    EmploymentAgency = 3,
    /// Jugendamt.
    YouthOffice = 4,
    /// Ausländerbehörde.
    ImmigrationOffice = 5,
    /// Authority for asylum seekers' benefits.
    AsylblgAuthority = 6,
    /// Rehabilitationsträger (SGB IX § 6).
    RehabilitationCarrier = 7,
    /// Sozialamt.
    SocialOffice = 8,
    /// Integrationsamt.
    IntegrationOffice = 9,
    /// Bildungsträger.
    TrainingProvider = 10,
}

impl AgencyKind {
    /// Every kind, in the order of the wire's numbers.
    pub const ALL: [AgencyKind; 10] = [
        AgencyKind::JobcenterGe,
        AgencyKind::JobcenterZkt,
        AgencyKind::EmploymentAgency,
        AgencyKind::YouthOffice,
        AgencyKind::ImmigrationOffice,
        AgencyKind::AsylblgAuthority,
        AgencyKind::RehabilitationCarrier,
        AgencyKind::SocialOffice,
        AgencyKind::IntegrationOffice,
        AgencyKind::TrainingProvider,
    ];

    /// Returns the name in agreements and configuration, for instance `jobcenter_ge`.
    pub const fn name(self) -> &'static str {
        match self {
            AgencyKind::JobcenterGe => "jobcenter_ge",
            AgencyKind::JobcenterZkt => "jobcenter_zkt",
            AgencyKind::EmploymentAgency => "employment_agency",
            AgencyKind::YouthOffice => "youth_office",
            AgencyKind::ImmigrationOffice => "immigration_office",
            AgencyKind::AsylblgAuthority => "asylblg_authority",
            AgencyKind::RehabilitationCarrier => "rehabilitation_carrier",
            AgencyKind::SocialOffice => "social_office",
            AgencyKind::IntegrationOffice => "integration_office",
            AgencyKind::TrainingProvider => "training_provider",
        }
    }

    /// Returns the number on the wire and in the database.
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// Finds the kind with this number.
    pub fn from_number(number: i32) -> Option<AgencyKind> {
        AgencyKind::ALL.into_iter().find(|kind| kind.number() == number)
    }
}
