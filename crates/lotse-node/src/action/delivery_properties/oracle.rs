//! What must hold, decided apart from the rules of core: a second opinion.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lotse_core::category::{Categories, Category};
use lotse_core::delivery::{DeliveryState, Outcome};
use lotse_core::feedback::FeedbackLevel;
use lotse_core::id::{Digest, Id};
use lotse_core::reason::Reason;
use lotse_core::time::{DAY, Timestamp};
use lotse_proto::exchange::v1::LogEntry;
use lotse_store::outbox::Item;

use super::people::mark;
use super::world::World;
use super::{Bond, Side};
use crate::action::get_status::get_status;
use crate::entry::EntryKind;
use crate::shipment::Shipment;
use crate::wire::batch::ReceiptItem;
use crate::wire::envelope::{self, Body, Head};
use crate::wire::referral::Answer;

/// How long a recipient may hold a referral for orientation.
const RETENTION: Duration = DAY.saturating_mul(90);

/// How long a node tries to deliver.
pub(super) const LIFE: Duration = DAY.saturating_mul(28);

/// What the clause for orientation allows.
const CLAUSE: [Category; 10] = [
    Category::Identity,
    Category::Contact,
    Category::Residence,
    Category::ResidenceTitle,
    Category::WorkPermission,
    Category::Education,
    Category::WorkHistory,
    Category::Languages,
    Category::Skills,
    Category::Mobility,
];

/// A consent as the person gave and withdrew it.
pub(super) struct Given {
    pub(super) id: Id,
    pub(super) consent_ref: Id,
    pub(super) categories: Categories,
    person: u8,
    feedback: FeedbackLevel,
    expires_at: Timestamp,
    /// Withdrawn: no claim from now on.
    pub(super) arrived: Categories,
    /// Withdrawn and answered: no transmission from now on.
    answered: Categories,
}

impl Given {
    pub(super) fn new(
        id: Id,
        consent_ref: Id,
        person: u8,
        categories: Categories,
        feedback: FeedbackLevel,
        expires_at: Timestamp,
    ) -> Given {
        let none = Categories::NONE;
        Given { id, consent_ref, categories, person, feedback, expires_at, arrived: none, answered: none }
    }

    pub(super) fn is_withdrawn(&self) -> bool {
        self.arrived.contains_all(self.categories)
    }

    /// Notes that categories are withdrawn, or all of it.
    pub(super) fn arrive(&mut self, scope: Option<Categories>) {
        self.arrived = self.arrived.or(scope.unwrap_or(self.categories));
    }

    pub(super) fn answer(&mut self) {
        self.answered = self.arrived;
    }

    fn left(&self, withdrawn: Categories) -> Categories {
        self.categories.and(CLAUSE.into_iter().collect()).without(withdrawn)
    }
}

/// A record that a system handed over.
struct Handed {
    person: Option<u8>,
    /// Time from which it is not sent any more.
    until: Timestamp,
}

/// What was seen so far.
#[derive(Default)]
pub(super) struct Oracle {
    pub(super) consents: Vec<Given>,
    pub(super) suspended: BTreeSet<(u8, u8)>,
    /// Feedback levels of the agreement's versions, by bits.
    pub(super) levels: Vec<u8>,
    handed: BTreeMap<(u8, Id), Handed>,
    /// Envelopes of which the peer has said what became of them, with what it said.
    spoken: BTreeMap<Digest, Outcome>,
    /// Referrals that the holder has taken, in order.
    taken: Vec<Id>,
    broken: Vec<String>,
}

impl Oracle {
    pub(super) fn with_levels(levels: u8) -> Oracle {
        Oracle { levels: vec![levels], ..Oracle::default() }
    }

    pub(super) fn handed_over(&mut self, side: Side, record: Id, person: Option<u8>, until: Timestamp) {
        self.handed.entry((side as u8, record)).or_insert(Handed { person, until });
    }

    /// The most that may be reported under a consent: what both allow, and nothing where they do not meet.
    fn feedback(&self, version: u32, consented: FeedbackLevel) -> FeedbackLevel {
        let levels = self.levels[version as usize - 1];
        let mut agreed = FeedbackLevel::ALL;
        agreed.reverse();
        let in_clause = |level: FeedbackLevel| levels & (1 << (level.number() - 1)) != 0;
        agreed.into_iter().find(|&level| level <= consented && in_clause(level)).unwrap_or(FeedbackLevel::None)
    }

    pub(super) fn taken_from(&self, _: Side) -> Vec<Id> {
        self.taken.clone()
    }

    /// Tells whether a batch carries something that rests on a consent.
    pub(super) fn carries(&self, shipment: &Shipment, consent_ref: Id) -> bool {
        heads(shipment)
            .iter()
            .any(|(head, body)| matches!(body, Body::Referral(_)) && head.basis.consent_ref == consent_ref)
    }

    /// A claim has brought a batch: everything in it may go now, and its release is in the log.
    pub(super) fn leaves(&mut self, from: Side, shipment: &Shipment, log: &[LogEntry], now: Timestamp) {
        for bond in [Bond::Peer, Bond::Agreement] {
            if self.suspended.contains(&(from as u8, bond as u8)) {
                self.broken.push(format!("{from:?} sends although {bond:?} is suspended"));
            }
        }
        for ((head, body), item) in heads(shipment).iter().zip(&shipment.items) {
            if !log.iter().any(|entry| entry.digest == item.digest.to_vec()) {
                self.broken.push(format!("{} leaves and its release is not in the log", item.record_id));
            }
            let handed = self.handed.get(&(from as u8, item.record_id));
            match handed {
                None => self.broken.push(format!("{} leaves and nobody handed it over", item.record_id)),
                Some(handed) if now >= handed.until => {
                    self.broken.push(format!("{} leaves after its time", item.record_id));
                }
                Some(handed) => {
                    let person = handed.person;
                    let found = self.objection(head, body, person, now, |given| given.arrived);
                    self.broken.extend(found.map(|why| format!("{} is claimed: {why}", item.record_id)));
                }
            }
        }
        self.bytes_hold_only_what_is_parsed(shipment);
    }

    /// A batch is written to the stream for the first time: what was withdrawn and answered meanwhile is not in it.
    pub(super) fn is_written(&mut self, _: Side, shipment: &Shipment) {
        for (head, body) in heads(shipment) {
            let Body::Referral(content) = body else { continue };
            let given = self.consents.iter().find(|given| given.consent_ref == head.basis.consent_ref);
            if !given.is_some_and(|given| given.left(given.answered).contains_all(content.present)) {
                self.broken.push(format!("{} is written after the withdrawal was answered", head.record_id));
            }
        }
    }

    fn objection(
        &self,
        head: &Head,
        body: &Body,
        person: Option<u8>,
        now: Timestamp,
        withdrawn: impl Fn(&Given) -> Categories,
    ) -> Option<String> {
        let content = match body {
            Body::Referral(content) => content,
            Body::Answer(answer) => return self.objection_to_answer(head, answer),
        };
        let Some(given) = self.consents.iter().find(|given| given.consent_ref == head.basis.consent_ref) else {
            return Some("it rests on no consent".into());
        };
        let Some(excerpt) = &head.basis.excerpt else { return Some("it has no excerpt".into()) };
        let feedback = self.feedback(head.basis.agreement_version, given.feedback);
        let left = given.left(withdrawn(given));
        let most = given.expires_at.min(head.created_at.plus(RETENTION));
        [
            (Some(given.person) != person, "the consent is another person's"),
            (now >= given.expires_at, "the consent has expired"),
            (!left.contains_all(content.present), "a category is not covered"),
            (!left.contains_all(excerpt.categories), "its excerpt names more than is covered"),
            (excerpt.feedback != feedback, "it asks for another feedback than clause and consent allow"),
            (head.hold_until > most, "it may be held too long"),
        ]
        .into_iter()
        .find_map(|(wrong, why)| wrong.then(|| why.to_string()))
    }

    /// Of a clause without a way back nothing but codes goes, and an outcome only where the consent allows it.
    fn objection_to_answer(&self, head: &Head, answer: &Answer) -> Option<String> {
        let given = self.consents.iter().find(|given| given.consent_ref == head.basis.consent_ref);
        let Some(given) = given else { return Some("it answers under no consent".into()) };
        let needed = if answer.content.outcome { FeedbackLevel::Outcome } else { FeedbackLevel::Status };
        let too_much = answer.content.note || given.feedback < needed;
        too_much.then(|| "it reports more than the consent allows".into())
    }

    /// The bytes themselves have no text of a category that they do not name.
    fn bytes_hold_only_what_is_parsed(&mut self, shipment: &Shipment) {
        for ((head, body), bytes) in heads(shipment).iter().zip(&shipment.envelopes) {
            let present = match body {
                Body::Referral(content) => content.present,
                Body::Answer(_) => Categories::NONE,
            };
            for category in Category::ALL {
                let mark = mark(category).as_bytes();
                if !present.contains(category) && bytes.windows(mark.len()).any(|window| window == mark) {
                    self.broken.push(format!("{} has {category:?} in its bytes", head.record_id));
                }
            }
        }
    }

    /// A peer has said what became of envelopes.
    pub(super) fn answered(&mut self, to: Side, items: &[ReceiptItem]) {
        for item in items {
            let before = self.spoken.insert(item.digest, item.outcome);
            if before.is_some_and(|before| before != item.outcome) {
                self.broken.push(format!("{to:?} was told {before:?} first and {:?} then", item.outcome));
            }
            if item.outcome == Outcome::Refused(Reason::BasisMismatch) {
                self.broken.push(format!("{to:?} was permitted to send what the recipient must not take"));
            }
            if item.outcome == Outcome::Refused(Reason::TransitionNotAllowed) {
                self.broken.push("an answer came out of order".into());
            }
        }
    }
}

fn heads(shipment: &Shipment) -> Vec<(Head, Body)> {
    shipment.envelopes.iter().map(|bytes| envelope::parse(bytes).unwrap_or_else(|why| panic!("{why:?}"))).collect()
}

impl World {
    /// Checks everything that must always hold.
    pub(super) async fn check(&mut self) -> Result<(), String> {
        let mut broken = std::mem::take(&mut self.oracle.broken);
        for side in Side::BOTH {
            let own = self.node(side).all_entries().await;
            let other = self.node(side.other()).all_entries().await;
            let items = self.items(side).await;
            let taken = of_kind(&other, EntryKind::Taken);
            if side == Side::Owner {
                self.oracle.taken = taken.iter().filter_map(|entry| Id::from_slice(&entry.record_id).ok()).collect();
                broken.extend(nothing_is_released_after_its_withdrawal(&own));
            }
            broken.extend(what_is_taken_was_released(&own, &taken));
            broken.extend(self.items_stand_where_they_must(&items, &taken));
            broken.extend(self.doubt_is_visible(side, &items).await);
        }
        if broken.is_empty() { Ok(()) } else { Err(broken.join("; ")) }
    }

    async fn items(&self, side: Side) -> Vec<Item> {
        let own = self.oracle.handed.keys().filter(|(from, _)| *from == side as u8);
        let ids: Vec<Id> = own.map(|(_, record)| *record).collect();
        let find = self
            .node(side)
            .store
            .read("find", move |tx| Box::pin(async move { lotse_store::outbox::find(tx, &ids).await }));
        find.await.unwrap()
    }

    /// One effect per record; taken means taken; what nobody has spoken of is in doubt and nothing else.
    fn items_stand_where_they_must(&self, items: &[Item], taken: &[&LogEntry]) -> Vec<String> {
        let mut broken = Vec::new();
        for item in items {
            let effects = taken.iter().filter(|entry| entry.record_id == item.record_id.to_vec()).count();
            let (least, most) = match item.delivery {
                DeliveryState::Taken => (1, 1),
                DeliveryState::InDoubt => (0, 1),
                _ => (0, 0),
            };
            if effects < least || effects > most {
                broken.push(format!("{} is {:?} and has {effects} effects", item.record_id, item.delivery));
            }
            let unspoken = item.envelope_digest.filter(|digest| !self.oracle.spoken.contains_key(digest));
            if unspoken.is_some() && item.delivery != DeliveryState::InDoubt {
                broken.push(format!("{} is {:?} and nobody has said so", item.record_id, item.delivery));
            }
        }
        broken
    }

    async fn doubt_is_visible(&self, side: Side, items: &[Item]) -> Option<String> {
        let in_doubt = items.iter().filter(|item| item.delivery == DeliveryState::InDoubt).count() as u64;
        let status = get_status(self.node(side)).await.unwrap();
        let shown: u64 = status.waiting.values().map(|waiting| waiting.in_doubt).sum();
        (shown < in_doubt).then(|| format!("{in_doubt} items are in doubt and {shown} are shown"))
    }

    /// Checks what must hold when nothing moves any more: only what may no longer go is left in doubt.
    pub(super) async fn check_rest(&self) -> Result<(), String> {
        for side in Side::BOTH {
            let now = self.node(side).now();
            for item in self.items(side).await {
                let may_go = self.may_still_go(side, &item, now);
                if may_go && matches!(item.delivery, DeliveryState::Due | DeliveryState::InDoubt) {
                    return Err(format!("{} of {side:?} is still {:?}", item.record_id, item.delivery));
                }
            }
        }
        Ok(())
    }

    /// Tells whether an item was touched by nothing that may have stopped it.
    fn may_still_go(&self, side: Side, item: &Item, now: Timestamp) -> bool {
        let handed = &self.oracle.handed[&(side as u8, item.record_id)];
        let is_of = |given: &&Given| Some(given.person) == handed.person;
        let untouched = |given: &Given| given.arrived.is_empty() && now < given.expires_at;
        now < handed.until && self.oracle.consents.iter().filter(is_of).all(untouched)
    }
}

fn of_kind(log: &[LogEntry], kind: EntryKind) -> Vec<&LogEntry> {
    log.iter().filter(|entry| entry.kind == kind as i32).collect()
}

fn what_is_taken_was_released(own: &[LogEntry], taken: &[&LogEntry]) -> Vec<String> {
    let released: BTreeSet<&[u8]> =
        of_kind(own, EntryKind::Released).into_iter().map(|entry| entry.digest.as_slice()).collect();
    let strange = taken.iter().filter(|entry| !released.contains(entry.digest.as_slice()));
    strange.map(|entry| format!("{:?} was taken and never released", entry.record_id)).collect()
}

/// After a withdrawal's entry no release of its scope follows.
fn nothing_is_released_after_its_withdrawal(log: &[LogEntry]) -> Vec<String> {
    let mut withdrawn: BTreeMap<&[u8], BTreeSet<i32>> = BTreeMap::new();
    let mut broken = Vec::new();
    for entry in log {
        let scope = withdrawn.entry(entry.consent_ref.as_slice()).or_default();
        if entry.kind == EntryKind::ConsentWithdrawn as i32 {
            scope.extend(&entry.categories);
        } else if entry.kind == EntryKind::Released as i32 && entry.categories.iter().any(|one| scope.contains(one)) {
            broken.push("a release follows its withdrawal in the log".into());
        }
    }
    broken
}
