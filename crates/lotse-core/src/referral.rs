//! The referral: what kinds there are, and where one stands between its two agencies.

use crate::category::{Categories, Category};

/// Which kind of referral it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ReferralType {
    /// First orientation of a refugee.
    OrientationRefugee = 1,
    /// A case of a youth career agency.
    YouthCase = 2,
    /// Any other.
    General = 3,
}

impl ReferralType {
    /// Finds the type with this number.
    pub fn from_number(number: i32) -> Option<ReferralType> {
        use ReferralType::*;
        [OrientationRefugee, YouthCase, General].into_iter().find(|t| *t as i32 == number)
    }

    /// Returns the categories without which such a referral makes no sense.
    pub fn required(self) -> Categories {
        let with = |category: Category| Categories::from(Category::Identity).or(category.into());
        match self {
            ReferralType::OrientationRefugee => with(Category::Languages),
            ReferralType::YouthCase => with(Category::Education),
            ReferralType::General => Category::Identity.into(),
        }
    }
}

/// Where a referral stands, as one of its two agencies knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ReferralState {
    /// Accepted by the sender's own node.
    Offered = 1,
    /// Durable at the recipient.
    Received = 2,
    /// Refused by the recipient's node.
    Refused = 3,
    /// The recipient takes it on.
    Accepted = 4,
    /// The recipient does not take it on.
    Declined = 5,
    /// Work has begun.
    InProgress = 6,
    /// Work has ended.
    Completed = 7,
    /// Recalled by its owner (schema level 2).
    Recalled = 8,
    /// Not delivered in time.
    Expired = 9,
    /// Cancelled while it was due.
    Cancelled = 10,
    /// The recipient said that it never held it (schema level 2).
    NotTaken = 11,
}

impl ReferralState {
    /// Returns whether the referral is on its way, or the recipient works on it or may take it on.
    pub const fn is_open(self) -> bool {
        use ReferralState::*;
        match self {
            Offered | Received | Accepted | InProgress => true,
            Refused | Declined | Completed | Recalled | Expired | Cancelled | NotTaken => false,
        }
    }

    /// Returns whether the referral ended and the recipient does not work on it, now or ever.
    pub const fn is_failed(self) -> bool {
        !self.is_open() && !matches!(self, ReferralState::Completed)
    }
}

/// What can happen to a referral.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferralEvent {
    /// The recipient's node took it.
    Received,
    /// The recipient's node refused it.
    Refused,
    /// The recipient takes it on.
    Accepted,
    /// The recipient does not take it on.
    Declined,
    /// Work has begun.
    InProgress,
    /// Work has ended.
    Completed,
    /// Its time is over.
    Expired,
    /// The sender cancelled it while it was due, or a claim was refused.
    Cancelled,
}

/// The referral's state does not allow this.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a referral that is {} cannot become {event:?}", state.name())]
pub struct TransitionNotAllowed {
    state: ReferralState,
    event: ReferralEvent,
}

impl ReferralState {
    /// Every state, in the order of the wire's numbers.
    pub const ALL: [ReferralState; 11] = [
        ReferralState::Offered,
        ReferralState::Received,
        ReferralState::Refused,
        ReferralState::Accepted,
        ReferralState::Declined,
        ReferralState::InProgress,
        ReferralState::Completed,
        ReferralState::Recalled,
        ReferralState::Expired,
        ReferralState::Cancelled,
        ReferralState::NotTaken,
    ];

    /// Returns the number in the database and on the wire.
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// Finds the state with this number.
    pub fn from_number(number: i32) -> Option<ReferralState> {
        ReferralState::ALL.into_iter().find(|state| state.number() == number)
    }

    /// Returns the name in messages.
    pub const fn name(self) -> &'static str {
        match self {
            ReferralState::Offered => "offered",
            ReferralState::Received => "received",
            ReferralState::Refused => "refused",
            ReferralState::Accepted => "accepted",
            ReferralState::Declined => "declined",
            ReferralState::InProgress => "in progress",
            ReferralState::Completed => "completed",
            ReferralState::Recalled => "recalled",
            ReferralState::Expired => "expired",
            ReferralState::Cancelled => "cancelled",
            ReferralState::NotTaken => "not taken",
        }
    }

    /// Returns the state after an event.
    ///
    /// An answer proves that the recipient holds the referral, so it also leads out of `Offered`: the receipt may still be on
    /// its way, and changes nothing when it comes.
    pub fn after(self, event: ReferralEvent) -> Result<ReferralState, TransitionNotAllowed> {
        use ReferralEvent as Event;
        use ReferralState::*;
        match (self, event) {
            (Offered, Event::Received) => Ok(Received),
            (Received | Accepted | Declined | InProgress | Completed, Event::Received) => Ok(self),
            (Offered, Event::Refused) => Ok(Refused),
            (Offered, Event::Expired) => Ok(Expired),
            (Offered, Event::Cancelled) => Ok(Cancelled),
            (Offered | Received, Event::Accepted) => Ok(Accepted),
            (Offered | Received, Event::Declined) => Ok(Declined),
            (Accepted, Event::InProgress) => Ok(InProgress),
            (Accepted | InProgress, Event::Completed) => Ok(Completed),
            (state, event) => Err(TransitionNotAllowed { state, event }),
        }
    }
}

impl ReferralState {
    /// Returns the state after an answer, as its owner takes it. An answer that ended on its way or was refused leaves a gap: a later
    /// state implies the ones before it.
    pub fn after_answer(self, event: ReferralEvent) -> Result<ReferralState, TransitionNotAllowed> {
        use ReferralEvent as Event;
        use ReferralState::*;
        match (self, event) {
            (Offered | Received, Event::InProgress) => Ok(InProgress),
            (Offered | Received, Event::Completed) => Ok(Completed),
            (state, event) => state.after(event),
        }
    }

    /// Returns where a referral stands at its holder, who gave these answers in this order. Answers that ended or were refused are
    /// not among them: the owner has never heard of them.
    pub fn after_answers(answers: impl IntoIterator<Item = ReferralEvent>) -> ReferralState {
        let next = |state: ReferralState, event| state.after_answer(event).unwrap_or(state);
        answers.into_iter().fold(ReferralState::Received, next)
    }
}

impl ReferralEvent {
    /// The events that an answer can report.
    pub const ANSWERS: [ReferralEvent; 4] =
        [ReferralEvent::Accepted, ReferralEvent::Declined, ReferralEvent::InProgress, ReferralEvent::Completed];

    /// Returns the state that an answer reports; none for what no answer does.
    pub const fn reported_state(self) -> Option<ReferralState> {
        match self {
            ReferralEvent::Accepted => Some(ReferralState::Accepted),
            ReferralEvent::Declined => Some(ReferralState::Declined),
            ReferralEvent::InProgress => Some(ReferralState::InProgress),
            ReferralEvent::Completed => Some(ReferralState::Completed),
            ReferralEvent::Received | ReferralEvent::Refused | ReferralEvent::Expired | ReferralEvent::Cancelled => {
                None
            }
        }
    }

    /// Finds what an answer reports by the number of the state.
    pub fn from_reported_number(number: i32) -> Option<ReferralEvent> {
        let state = ReferralState::from_number(number)?;
        ReferralEvent::ANSWERS.into_iter().find(|event| event.reported_state() == Some(state))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const EVENTS: [ReferralEvent; 8] = [
        ReferralEvent::Received,
        ReferralEvent::Refused,
        ReferralEvent::Accepted,
        ReferralEvent::Declined,
        ReferralEvent::InProgress,
        ReferralEvent::Completed,
        ReferralEvent::Expired,
        ReferralEvent::Cancelled,
    ];

    /// Every pair that an owner takes and that leads on; all others are refused or change nothing.
    #[test]
    fn an_owner_takes_every_later_state_and_no_earlier_one() {
        use ReferralState::*;
        let leads_on = |from: ReferralState| -> Vec<ReferralState> {
            let next = ReferralEvent::ANSWERS.into_iter().filter_map(|event| from.after_answer(event).ok());
            next.filter(|&next| next != from).collect()
        };
        for state in ReferralState::ALL {
            let expected: &[ReferralState] = match state {
                Offered | Received => &[Accepted, Declined, InProgress, Completed],
                Accepted => &[InProgress, Completed],
                InProgress => &[Completed],
                Refused | Declined | Completed | Recalled | Expired | Cancelled | NotTaken => &[],
            };
            assert_eq!(leads_on(state), expected, "from {state:?}");
            for event in EVENTS {
                let [strict, of_owner] = [state.after(event), state.after_answer(event)];
                assert!(
                    strict.is_err() || strict == of_owner,
                    "{state:?} {event:?}: the owner takes what a holder may say"
                );
            }
        }
    }

    #[test]
    fn what_an_answer_reports_reads_what_it_writes() {
        for event in EVENTS {
            let number = event.reported_state().map(ReferralState::number);
            let read = number.and_then(ReferralEvent::from_reported_number);
            assert_eq!(read, ReferralEvent::ANSWERS.contains(&event).then_some(event));
        }
        assert_eq!(ReferralEvent::from_reported_number(0), None);
    }

    /// The fate of one answer, by its index in the list of those on their way.
    #[derive(Clone, Copy, Debug)]
    enum AnswerStep {
        Give(usize),
        Arrive(u8),
        End(u8),
    }

    fn step() -> impl Strategy<Value = AnswerStep> {
        prop_oneof![
            3 => (0..4usize).prop_map(AnswerStep::Give),
            2 => any::<u8>().prop_map(AnswerStep::Arrive),
            1 => any::<u8>().prop_map(AnswerStep::End),
        ]
    }

    proptest! {
        #[test]
        fn both_ends_agree_when_nothing_is_on_its_way_any_more(steps in prop::collection::vec(step(), 0..40)) {
            let mut owner = ReferralState::Received;
            let mut given: BTreeMap<usize, ReferralEvent> = BTreeMap::new();
            let mut waiting: Vec<usize> = Vec::new();
            let rest = std::iter::repeat_n(AnswerStep::Arrive(0), 40);
            for (number, step) in steps.into_iter().chain(rest).enumerate() {
                match step {
                    AnswerStep::Give(event) => {
                        let event = ReferralEvent::ANSWERS[event];
                        if ReferralState::after_answers(given.values().copied()).after(event).is_ok() {
                            given.insert(number, event);
                            waiting.push(number);
                        }
                    }
                    AnswerStep::Arrive(index) if !waiting.is_empty() => {
                        let answer = waiting.remove(usize::from(index) % waiting.len());
                        match owner.after_answer(given[&answer]) {
                            Ok(next) => owner = next,
                            Err(_) => { given.remove(&answer); }
                        }
                    }
                    AnswerStep::End(index) if !waiting.is_empty() => {
                        given.remove(&waiting.remove(usize::from(index) % waiting.len()));
                    }
                    AnswerStep::Arrive(_) | AnswerStep::End(_) => {}
                }
            }
            prop_assert_eq!(ReferralState::after_answers(given.into_values()), owner);
        }
    }

    fn walk(events: &[ReferralEvent]) -> Result<ReferralState, TransitionNotAllowed> {
        events.iter().try_fold(ReferralState::Offered, |state, &event| state.after(event))
    }

    #[test]
    fn a_referral_walks_from_offered_to_completed() {
        use ReferralEvent::*;
        assert_eq!(walk(&[Received, Accepted, InProgress, Completed]), Ok(ReferralState::Completed));
        assert_eq!(walk(&[Received, Accepted, Completed]), Ok(ReferralState::Completed));
        assert_eq!(walk(&[Accepted, Received]), Ok(ReferralState::Accepted));
        assert!(walk(&[Received, Declined, Accepted]).is_err());
        assert!(walk(&[Received, Completed]).is_err());
        assert!(walk(&[Received, Cancelled]).is_err());
        assert!(walk(&[Received, Accepted, Accepted]).is_err());
    }

    #[test]
    fn every_state_reads_what_it_writes() {
        for state in ReferralState::ALL {
            assert_eq!(ReferralState::from_number(state.number()), Some(state));
        }
    }

    #[test]
    fn every_type_needs_identity() {
        for number in 1..=3 {
            assert!(ReferralType::from_number(number).unwrap().required().contains(Category::Identity));
        }
        assert_eq!(ReferralType::from_number(0), None);
    }
}
