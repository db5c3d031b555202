//! `[agency]`: who this is.

use lotse_core::agency::AgencyKind;
use lotse_core::id::AgencyId;
use serde::Deserialize;

/// Who this is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgencySection {
    /// Id: the SPIFFE trust domain. Never changes.
    #[serde(deserialize_with = "super::parsed")]
    pub id: AgencyId,
    /// Name, as in the card.
    pub name: String,
    /// Kind, as in agreements.
    pub kind: AgencyKind,
}
