//! Delivery: where one outgoing item stands, from submission until its recipient has said what became of it.

use crate::reason::Reason;

/// Where an outgoing item stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum DeliveryState {
    /// Waits to be released.
    Due = 1,
    /// Released, and in doubt until the recipient has said what became of it.
    InDoubt = 2,
    /// Durable at the recipient.
    Taken = 3,
    /// Refused by the recipient for good.
    Refused = 4,
    /// Ended before it was released.
    Ended = 5,
}

impl DeliveryState {
    /// Every state.
    pub const ALL: [DeliveryState; 5] = [
        DeliveryState::Due,
        DeliveryState::InDoubt,
        DeliveryState::Taken,
        DeliveryState::Refused,
        DeliveryState::Ended,
    ];

    /// Returns the number in the database and on the wire.
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// Finds the state with this number.
    pub fn from_number(number: i32) -> Option<DeliveryState> {
        DeliveryState::ALL.into_iter().find(|state| state.number() == number)
    }

    /// Tells whether nothing can change any more.
    pub const fn is_final(self) -> bool {
        matches!(self, DeliveryState::Taken | DeliveryState::Refused | DeliveryState::Ended)
    }
}

/// What a recipient said about one envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Durable there.
    Taken,
    /// Refused for good.
    Refused(Reason),
    /// Not now: decide again and send under a new envelope id.
    Again(Reason),
}

impl Outcome {
    /// Returns the number in receipts and in the database.
    pub const fn number(self) -> i32 {
        match self {
            Outcome::Taken => 1,
            Outcome::Refused(_) => 2,
            Outcome::Again(_) => 3,
        }
    }

    /// Returns the reason, where there is one.
    pub const fn reason(self) -> Option<Reason> {
        match self {
            Outcome::Taken => None,
            Outcome::Refused(reason) | Outcome::Again(reason) => Some(reason),
        }
    }

    /// Builds the outcome from its numbers; none if they do not fit together.
    pub fn from_numbers(outcome: i32, reason: i32) -> Option<Outcome> {
        match (outcome, Reason::from_number(reason)) {
            (1, None) if reason == 0 => Some(Outcome::Taken),
            (2, Some(reason)) => Some(Outcome::Refused(reason)),
            (3, Some(reason)) => Some(Outcome::Again(reason)),
            _ => None,
        }
    }
}

/// What can happen to an outgoing item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryEvent {
    /// A claim released it: its exact bytes are frozen.
    Claimed,
    /// A claim was refused.
    ClaimRefused,
    /// A valid receipt says what became of it.
    Answered(Outcome),
    /// The system that submitted it cancels it.
    Cancelled,
    /// Its time is over.
    Expired,
}

/// The item's state does not allow this.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("an item that is {state:?} cannot be {event:?}")]
pub struct NotPossible {
    state: DeliveryState,
    event: DeliveryEvent,
}

impl DeliveryState {
    /// Returns the state after an event.
    ///
    /// An item that was released can neither be cancelled nor expire nor be refused by a later claim: it stays in doubt until
    /// its recipient has spoken. A valid receipt is always recorded; one that comes after the end changes nothing.
    pub fn after(self, event: DeliveryEvent) -> Result<DeliveryState, NotPossible> {
        use DeliveryEvent::*;
        use DeliveryState::*;
        match (self, event) {
            (Due | InDoubt, Claimed) => Ok(InDoubt),
            (Due, ClaimRefused | Cancelled | Expired) => Ok(Ended),
            (InDoubt, ClaimRefused | Expired) => Ok(InDoubt),
            (InDoubt, Answered(Outcome::Taken)) => Ok(Taken),
            (InDoubt, Answered(Outcome::Refused(_))) => Ok(Refused),
            (InDoubt, Answered(Outcome::Again(_))) => Ok(Due),
            (Taken | Refused | Ended, Answered(_)) => Ok(self),
            (state, event) => Err(NotPossible { state, event }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: [DeliveryEvent; 7] = [
        DeliveryEvent::Claimed,
        DeliveryEvent::ClaimRefused,
        DeliveryEvent::Answered(Outcome::Taken),
        DeliveryEvent::Answered(Outcome::Refused(Reason::NoConsent)),
        DeliveryEvent::Answered(Outcome::Again(Reason::AgreementUnknown)),
        DeliveryEvent::Cancelled,
        DeliveryEvent::Expired,
    ];

    #[test]
    fn an_item_whose_reply_was_lost_is_recalled_not_cancelled() {
        assert!(DeliveryState::InDoubt.after(DeliveryEvent::Cancelled).is_err());
    }

    #[test]
    fn an_expired_item_that_was_in_flight_is_asked_for_before_it_is_dead() {
        assert_eq!(DeliveryState::InDoubt.after(DeliveryEvent::Expired), Ok(DeliveryState::InDoubt));
        assert_eq!(DeliveryState::Due.after(DeliveryEvent::Expired), Ok(DeliveryState::Ended));
    }

    #[test]
    fn nothing_leads_out_of_a_final_state() {
        for state in DeliveryState::ALL.into_iter().filter(|state| state.is_final()) {
            for event in EVENTS {
                assert!(state.after(event).map_or(true, |next| next == state), "{state:?} {event:?}");
            }
        }
    }

    #[test]
    fn only_the_recipient_ends_a_doubt() {
        for event in EVENTS {
            let next = DeliveryState::InDoubt.after(event).unwrap_or(DeliveryState::InDoubt);
            let spoken = matches!(event, DeliveryEvent::Answered(_));
            assert!(next == DeliveryState::InDoubt || spoken, "{event:?}");
        }
    }

    #[test]
    fn an_outcome_reads_what_it_writes() {
        for outcome in [Outcome::Taken, Outcome::Refused(Reason::IdReused), Outcome::Again(Reason::SchemaTooNew)] {
            let reason = outcome.reason().map_or(0, Reason::number);
            assert_eq!(Outcome::from_numbers(outcome.number(), reason), Some(outcome));
        }
        assert_eq!(Outcome::from_numbers(1, 80), None);
        assert_eq!(Outcome::from_numbers(2, 0), None);
        assert_eq!(Outcome::from_numbers(9, 0), None);
    }
}
