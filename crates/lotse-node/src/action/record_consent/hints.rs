//! What somebody who records a consent should be told although it is in order: as things stand it covers nothing, or not what was
//! meant.

use std::time::Duration;

use lotse_core::reason::Reason;
use lotse_core::time::{Calendar, DAY, Timestamp};

use crate::failure::Cause;
use crate::federation::Federation;
use crate::wire::consent::{LONG_TERM_YEARS, RecordableConsent};

/// Days of a year, leap days left out.
const DAYS_OF_A_YEAR: u64 = 365;

/// Says what looks like a slip in a consent that is given. Nothing depends on it: every release is decided at its own time, and a
/// recipient's card may be accepted later.
pub fn hints(consent: &RecordableConsent, federation: &Federation, now: Timestamp) -> Vec<Cause> {
    let mut hints = Vec::new();
    let days = consent.expires_at.since(consent.given_at).as_secs() / DAY.as_secs();
    if consent.expires_at <= now {
        let day = Calendar::Germany.day_of(consent.expires_at.minus(Duration::from_micros(1)));
        let german = format!("ihre Zeit endete am {day}: unter ihr wird nichts übermittelt");
        let english = format!("its term ended on {day}: nothing is released under it");
        hints.push(Cause::about_field(Reason::ConsentExpired, "consent.expires_at", (german, english)));
    } else if days > u64::from(LONG_TERM_YEARS) * DAYS_OF_A_YEAR {
        let years = days / DAYS_OF_A_YEAR;
        let german = format!("sie gilt {years} Jahre: ist ihr Ende richtig?");
        let english = format!("it lasts {years} years: is its end right?");
        hints.push(Cause::about_field(Reason::FieldInvalid, "consent.expires_at", (german, english)));
    }
    for (place, recipient) in consent.recipients.iter().enumerate() {
        if !federation.peers.contains_key(recipient) {
            let field = format!("consent.recipients[{place}]");
            hints.push(Cause::about_field(Reason::PeerUnknown, field, federation.explain_unknown(recipient)));
        }
    }
    hints
}

#[cfg(test)]
mod tests {
    use lotse_proto::record::v1 as proto;

    use super::*;
    use crate::testing::TestNode;
    use crate::wire::consent::tests::{OWN, YOUTH, good, parsed};
    use crate::wire::time;

    fn told(consent: &proto::Consent, federation: &Federation, now: Timestamp) -> Vec<(Reason, String)> {
        let consent = parsed(consent).unwrap_or_else(|failure| panic!("{failure}"));
        hints(&consent, federation, now).into_iter().map(|hint| (hint.reason, hint.field.unwrap())).collect()
    }

    #[tokio::test]
    async fn a_term_that_is_over_and_a_recipient_without_accepted_card_are_told() {
        let (own, youth) = (TestNode::new(OWN).await, TestNode::new(YOUTH).await);
        own.accept(&youth).await;
        let federation = own.federation.get();
        let fits = proto::Consent { recipients: vec![YOUTH.into()], ..good(1) };
        let ends = parsed(&fits).unwrap_or_else(|failure| panic!("{failure}")).expires_at;
        assert_eq!(told(&fits, &federation, own.now()), []);
        let for_years = |years: u32| {
            let given_at = Some(time::message(own.now()));
            let expires_at = Some(time::message(own.now().plus(DAY * (365 * years + 3))));
            told(&proto::Consent { given_at, expires_at, ..fits.clone() }, &federation, own.now())
        };
        assert_eq!(for_years(9), []);
        assert_eq!(for_years(11), [(Reason::FieldInvalid, "consent.expires_at".to_string())]);
        let over = (Reason::ConsentExpired, "consent.expires_at".to_string());
        assert_eq!(told(&fits, &federation, ends), std::slice::from_ref(&over));
        let misspelt = proto::Consent { recipients: vec![YOUTH.into(), "jugendamt.hesen.example".into()], ..good(1) };
        let unknown = (Reason::PeerUnknown, "consent.recipients[1]".to_string());
        assert_eq!(told(&misspelt, &federation, own.now()), std::slice::from_ref(&unknown));
        assert_eq!(told(&misspelt, &federation, ends), [over, unknown]);
    }
}
