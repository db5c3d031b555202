//! What somebody who records a consent should be told although it is in order: as things stand it covers nothing, or not what was
//! meant.

use lotse_core::reason::Reason;
use lotse_core::time::Timestamp;

use crate::failure::Cause;
use crate::federation::Federation;
use crate::wire::consent::RecordableConsent;

/// Says what looks like a slip in a consent that is given. Nothing depends on it: every release is decided at its own time, and a
/// recipient's card may be accepted later.
pub fn hints(consent: &RecordableConsent, federation: &Federation, now: Timestamp) -> Vec<Cause> {
    let mut hints = Vec::new();
    if consent.expires_at <= now {
        let message = format!("its term ended on {}: nothing is released under it", consent.expires_at.date());
        hints.push(hint(Reason::ConsentExpired, message, "consent.expires_at".into()));
    }
    for (place, recipient) in consent.recipients.iter().enumerate() {
        if !federation.peers.contains_key(recipient) {
            let message = format!(
                "no card of {recipient} is accepted here: check the spelling (`lotse peer list` shows whose are accepted)"
            );
            hints.push(hint(Reason::PeerUnknown, message, format!("consent.recipients[{place}]")));
        }
    }
    hints
}

fn hint(reason: Reason, message: String, field: String) -> Cause {
    Cause { reason, message, category: None, field: Some(field) }
}

#[cfg(test)]
mod tests {
    use lotse_proto::record::v1 as proto;

    use super::*;
    use crate::testing::TestNode;
    use crate::wire::consent::tests::{OWN, YOUTH, good, parsed};

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
        let over = (Reason::ConsentExpired, "consent.expires_at".to_string());
        assert_eq!(told(&fits, &federation, ends), std::slice::from_ref(&over));
        let misspelt = proto::Consent { recipients: vec![YOUTH.into(), "jugendamt.hesen.example".into()], ..good(1) };
        let unknown = (Reason::PeerUnknown, "consent.recipients[1]".to_string());
        assert_eq!(told(&misspelt, &federation, own.now()), std::slice::from_ref(&unknown));
        assert_eq!(told(&misspelt, &federation, ends), [over, unknown]);
    }
}
