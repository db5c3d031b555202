//! Whether the person who consented could: age band, and the day on which that changes.

use lotse_core::consent::GivenBy;
use lotse_core::time::{Calendar, Timestamp};
use lotse_proto::record::v1 as proto;

use crate::wire::field::Findings;
use crate::wire::referral::MAX_KEY;
use crate::wire::time::parse_date;

const CHANGES_ON: &str = "consent.capacity.changes_on";

/// Checks who could consent; returns when the consent ends at the latest because the capacity changes.
pub(super) fn check(
    consent: &proto::Consent,
    given_by: Option<GivenBy>,
    given_at: Option<Timestamp>,
    f: &mut Findings,
) -> Option<Timestamp> {
    let kind = proto::SubjectKind::try_from(consent.subject_kind);
    f.required_code("consent.subject_kind", consent.subject_kind, kind.is_ok());
    let Some(capacity) = &consent.capacity else {
        if kind == Ok(proto::SubjectKind::Person) {
            f.missing("consent.capacity");
        }
        return None;
    };
    let band = proto::AgeBand::try_from(capacity.age_band);
    f.required_code("consent.capacity.age_band", capacity.age_band, band.is_ok());
    if band == Ok(proto::AgeBand::Under15) && given_by == Some(GivenBy::Oneself) {
        let who = "under 15 only a legal guardian, a custodian or the person who entrusted the data can consent";
        let german = "unter 15 können nur gesetzliche Vertretung, Betreuung oder die anvertrauende Person einwilligen";
        f.invalid("consent.given_by", (german, who));
    }
    let below_18 = matches!(band, Ok(proto::AgeBand::Under15 | proto::AgeBand::AgeBand15To17));
    if below_18 && capacity.assessed_by_role.is_empty() {
        f.missing("consent.capacity.assessed_by_role");
    }
    f.text("consent.capacity.assessed_by_role", &capacity.assessed_by_role, MAX_KEY);
    if below_18 && capacity.changes_on.is_empty() {
        f.missing(CHANGES_ON);
    }
    changes_at(&capacity.changes_on, given_at, f)
}

fn changes_at(text: &str, given_at: Option<Timestamp>, f: &mut Findings) -> Option<Timestamp> {
    f.date(CHANGES_ON, text);
    let changes_at = Calendar::Germany.beginning_of(parse_date(text)?);
    if given_at.is_some_and(|given_at| changes_at <= given_at) {
        f.invalid(CHANGES_ON, ("muss nach dem Tag der Einwilligung liegen", "must be after the day of consent"));
    }
    Some(changes_at)
}
