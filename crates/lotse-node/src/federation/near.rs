//! Agencies that somebody may mean who names one that nobody here knows: a part of an id, or one with a slip.

use lotse_core::agreement::words::Language;
use lotse_core::id::AgencyId;
use lotse_core::reason::Reason;
use lotse_core::release::Refusal;

use super::Federation;
use crate::failure::Failure;
use crate::record_file::distance;
use crate::wording::Wording;

/// The most agencies that a message names.
const MOST_NAMED: usize = 8;

/// Letters of an id for which one may be wrong.
const LETTERS_FOR_A_SLIP: usize = 6;

impl Federation {
    /// Explains that no card of an agency is accepted here, and names the ids that may be meant.
    pub fn explain_unknown(&self, agency: &AgencyId) -> Wording {
        let near = self.near(agency);
        let (german, english) = match (near.is_empty(), self.peers.is_empty()) {
            (false, _) => (format!("gemeint vielleicht {}?", list(&near)), format!("did you mean {}?", list(&near))),
            (true, true) => {
                let german = "noch ist keine angenommen (`lotse peer accept`)";
                (german.to_string(), "none is accepted yet (`lotse peer accept`)".to_string())
            }
            (true, false) => {
                let known: Vec<&AgencyId> = self.peers.keys().collect();
                (format!("angenommen sind die von {}", list(&known)), format!("accepted are those of {}", list(&known)))
            }
        };
        (
            format!("von {agency} ist hier keine Karte angenommen: {german}"),
            format!("no card of {agency} is accepted here: {english}"),
        )
            .into()
    }

    /// Refuses what was to be released to an agency; if no card of it is accepted here, names the ids that may be meant.
    pub fn refuse_release(&self, agency: &AgencyId, refusals: Vec<Refusal>) -> Failure {
        let mut failure = Failure::from(refusals);
        for cause in failure.causes.iter_mut().filter(|cause| cause.reason == Reason::PeerUnknown) {
            let explained = self.explain_unknown(agency);
            cause.message = explained.text(Language::English).to_string();
            cause.german = Some(explained.text(Language::German).to_string());
        }
        failure
    }

    /// Returns the agencies whose id contains what was written, or else those whose id differs by few letters, the nearest first.
    fn near(&self, written: &AgencyId) -> Vec<&AgencyId> {
        let written = written.as_str();
        let containing: Vec<&AgencyId> = self.peers.keys().filter(|known| known.as_str().contains(written)).collect();
        if !containing.is_empty() {
            return containing;
        }
        let slips = written.len() / LETTERS_FOR_A_SLIP;
        let with_slips = self.peers.keys().map(|known| (distance(written, known.as_str()), known));
        let mut near: Vec<(usize, &AgencyId)> = with_slips.filter(|(distance, _)| *distance <= slips).collect();
        near.sort();
        near.into_iter().map(|(_, known)| known).collect()
    }
}

fn list(agencies: &[&AgencyId]) -> String {
    let mut named: Vec<&str> = agencies.iter().take(MOST_NAMED).map(|agency| agency.as_str()).collect();
    if agencies.len() > MOST_NAMED {
        named.push("…");
    }
    named.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestNode;

    #[tokio::test]
    async fn a_part_of_an_id_and_one_with_a_slip_are_answered_with_the_ids_that_may_be_meant() {
        let node = TestNode::new("jc-hanau.hessen.example").await;
        let explained = |agency: &str| {
            let wording = node.federation.get().explain_unknown(&agency.parse().unwrap());
            assert!(wording.text(Language::German).starts_with(&format!("von {agency} ist hier keine Karte")));
            wording.text(Language::English).to_string()
        };
        assert!(explained("aa").ends_with("none is accepted yet (`lotse peer accept`)"), "{}", explained("aa"));
        for agency in ["aa-hanau.hessen.example", "abh-hanau.hessen.example", "aa-fulda.hessen.example"] {
            node.accept(&TestNode::new(agency).await).await;
        }
        for (written, meant) in [
            ("hanau", "did you mean aa-hanau.hessen.example, abh-hanau.hessen.example?"),
            ("aa-fulda", "did you mean aa-fulda.hessen.example?"),
            ("aa-hanua.hessen.example", "did you mean aa-hanau.hessen.example?"),
            (
                "jugendamt.test",
                "accepted are those of aa-fulda.hessen.example, aa-hanau.hessen.example, abh-hanau.hessen.example",
            ),
        ] {
            assert_eq!(explained(written), format!("no card of {written} is accepted here: {meant}"));
        }
    }

    #[tokio::test]
    async fn a_refusal_to_release_names_the_agency_that_may_be_meant_and_leaves_other_reasons_as_they_are() {
        let node = TestNode::new("jc-hanau.hessen.example").await;
        node.accept(&TestNode::new("aa-hanau.hessen.example").await).await;
        let written = "aa-hanau.hesen.example".parse().unwrap();
        let refusals = vec![Reason::PeerUnknown.into(), Reason::ClockSkew.into()];
        let failure = node.federation.get().refuse_release(&written, refusals);
        let [unknown, skew] = &failure.causes[..] else { panic!("{failure:?}") };
        let english = "no card of aa-hanau.hesen.example is accepted here: did you mean aa-hanau.hessen.example?";
        assert_eq!(unknown.text(Language::English), english);
        let german =
            "von aa-hanau.hesen.example ist hier keine Karte angenommen: gemeint vielleicht aa-hanau.hessen.example?";
        assert_eq!(unknown.text(Language::German), german);
        assert_eq!((unknown.reason, skew.text(Language::English)), (Reason::PeerUnknown, Reason::ClockSkew.sentence()));
    }

    #[test]
    fn a_long_list_is_cut() {
        let many: Vec<AgencyId> = (0..9).map(|number| format!("a{number}.example").parse().unwrap()).collect();
        assert!(list(&many.iter().collect::<Vec<_>>()).ends_with("a7.example, …"));
    }
}
