//! Advice on refusals that pass once something else is done: which command helps, and that the same file can be sent again.

use lotse_core::agreement::words::Language;
use lotse_core::reason::Reason;
use lotse_proto::agency::v1::Refusal;

/// Adds to each reason of a refusal which command helps; and, if nothing about the line is wrong, that the file can be sent again.
pub(super) fn add_advice(refusal: &mut Refusal, language: Language) {
    let reasons = refusal.reasons.iter().map(|told| Reason::from_number(told.reason));
    let passes = refusal.retryable || reasons.clone().all(|reason| reason == Some(Reason::NoAgreement));
    for told in &mut refusal.reasons {
        if let Some(advice) = Reason::from_number(told.reason).and_then(advice) {
            told.message = format!("{}; {}", told.message, language.choose(advice));
        }
    }
    if passes && let Some(last) = refusal.reasons.last_mut() {
        let german = "die Datei dann noch einmal senden, was erledigt ist, bleibt es";
        let again = language.choose((german, "then send the file again: lines that are done stay done"));
        last.message = format!("{}; {again}", last.message);
    }
}

/// Returns what helps against what may pass, in German and English; none where waiting does.
fn advice(reason: Reason) -> Option<(&'static str, &'static str)> {
    Some(match reason {
        Reason::NoAgreement => (
            "`lotse agreement list` zeigt, welche Vereinbarungen gelten oder noch Siegel brauchen",
            "`lotse agreement list` shows which agreements are in force or still need seals",
        ),
        Reason::AgreementSuspended => (
            "wer sie ausgesetzt hat, hebt das mit `lotse agreement resume` auf",
            "whoever suspended it ends that with `lotse agreement resume`",
        ),
        Reason::PeerSuspended => (
            "`lotse peer resume` hebt das auf, wenn der Grund entfallen ist",
            "`lotse peer resume` ends that, if the reason is gone",
        ),
        Reason::PeerCardExpired => (
            "die Stelle um ihre neue Karte bitten, diese mit `lotse peer accept` annehmen",
            "ask the agency for its new card, accept it with `lotse peer accept`",
        ),
        Reason::ClockSkew
        | Reason::ClockSteppedBack
        | Reason::ClockJumpedAhead
        | Reason::LogHold
        | Reason::OwnCardExpired
        | Reason::NodeStateInDoubt => {
            ("`lotse doctor` zeigt, was zu tun ist", "`lotse doctor` shows what is to be done")
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use lotse_proto::agency::v1::ReasonDetail;

    use super::*;

    fn advised(reasons: &[Reason], language: Language) -> Vec<String> {
        let detail =
            |reason: &Reason| ReasonDetail { reason: reason.number(), message: "why".into(), ..Default::default() };
        let retryable = reasons.iter().all(|reason| reason.is_retryable());
        let mut refusal = Refusal { reasons: reasons.iter().map(detail).collect(), retryable };
        add_advice(&mut refusal, language);
        refusal.reasons.into_iter().map(|told| told.message).collect()
    }

    #[test]
    fn a_refusal_that_passes_names_the_command_and_that_the_file_is_sent_again() {
        let again = "; then send the file again: lines that are done stay done";
        for (reason, command) in [
            (Reason::ClockSkew, "; `lotse doctor` shows what is to be done"),
            (Reason::PeerSuspended, "; `lotse peer resume` ends that, if the reason is gone"),
            (Reason::NoAgreement, "; `lotse agreement list` shows which agreements are in force or still need seals"),
            (Reason::AgreementUnknown, ""),
        ] {
            assert_eq!(advised(&[reason], Language::English), [format!("why{command}{again}")]);
        }
        assert_eq!(
            advised(&[Reason::PeerSuspended], Language::German),
            [
                "why; `lotse peer resume` hebt das auf, wenn der Grund entfallen ist; die Datei dann noch einmal senden, was erledigt ist, \
              bleibt es"
            ]
        );
    }

    #[test]
    fn nobody_is_asked_to_send_again_what_is_refused_for_good() {
        assert_eq!(advised(&[Reason::NoConsent], Language::English), ["why"]);
        let mixed = advised(&[Reason::AgreementSuspended, Reason::NoConsent], Language::English);
        assert_eq!(mixed, ["why; whoever suspended it ends that with `lotse agreement resume`", "why"]);
    }
}
