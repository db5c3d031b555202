//! Alarms of the running node, as far as the findings do not say the same.

use super::finding::{Area, Finding, Health};
use super::live::Live;
use super::place::Place;

/// Looks at the alarms, beside what was found otherwise.
pub(super) fn examine(place: &Place, live: Option<&Live>, found: &[Finding]) -> Vec<Finding> {
    let alarms = live.map(|live| live.status.alarms.as_slice()).unwrap_or_default();
    let new = alarms.iter().filter(|alarm| !found.iter().any(|finding| is_said(alarm, finding)));
    let todo = || format!("do what it says; {} shows whether it is still so", place.command("status"));
    new.map(|alarm| Finding::warning(Area::Alarm, place.config.agency.id.as_str(), alarm, todo())).collect()
}

/// Tells whether a finding says what an alarm says: in the same words, or of a peer that was called and does not answer either.
fn is_said(alarm: &str, finding: &Finding) -> bool {
    if finding.health == Health::Ok {
        return false;
    }
    let same_words = alarm.contains(&finding.seen);
    let is_called = finding.area == Area::Peer && finding.about.contains(" at ");
    let is_no_way = alarm.contains("cannot connect to ")
        || alarm.contains("this node's certificate")
        || alarm.contains("before it answered");
    let same_peer = finding.about.split(' ').next().is_some_and(|peer| alarm.starts_with(&format!("{peer}: ")));
    same_words || is_called && same_peer && is_no_way
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(about: &str, seen: &str) -> Finding {
        Finding::problem(Area::Peer, about, seen, "ask".into())
    }

    #[test]
    fn an_alarm_is_said_once_however_it_was_found() {
        let alarm = "aa.example: its card ends on 2027-11-02: ask AA for a newer one";
        assert!(is_said(alarm, &peer("aa.example", "its card ends on 2027-11-02")));
        assert!(!is_said(alarm, &peer("aa.example", "nobody listens there")));
        let away = "aa.example: cannot connect to aa.example:8443: Connection refused (os error 111)";
        assert!(is_said(away, &peer("aa.example at aa.example:8443", "nobody listens there")));
        assert!(!is_said(away, &peer("bb.example at bb.example:8443", "nobody listens there")));
        assert!(
            !is_said(away, &Finding::ok(Area::Peer, "aa.example at aa.example:8443", "answers")),
            "of another address"
        );
        let other = "aa.example: a batch was refused: the seal is not valid";
        assert!(!is_said(other, &peer("aa.example at aa.example:8443", "nobody listens there")));
    }
}
