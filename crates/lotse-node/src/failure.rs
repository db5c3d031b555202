//! Why an action did not do what was asked: one small closed set of kinds, mapped to gRPC and HTTP at the edges, with the
//! stable reasons of the catalogue.

use lotse_core::agreement::words::{Language, Term};
use lotse_core::category::Category;
use lotse_core::reason::Reason;
use lotse_core::release::Refusal;
use lotse_store::StoreError;

use crate::wording::Wording;

/// The kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// What was asked for is malformed.
    Invalid,
    /// There is no such thing, or the caller may not see it.
    NotFound,
    /// The caller may not do this.
    NotAllowed,
    /// A rule, a state or an agreement forbids it now.
    Refused,
    /// A limit of concurrent work is reached.
    Overloaded,
    /// The node cannot do it now: its database, or it is stopping.
    Unavailable,
    /// A fault of this node.
    Fault,
}

/// One reason, and what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Stable code.
    pub reason: Reason,
    /// What it means here and what to do.
    pub message: String,
    /// The same in German, where people read it in files' results.
    pub german: Option<String>,
    /// Category that it is about.
    pub category: Option<Category>,
    /// Field that it is about.
    pub field: Option<String>,
}

impl Cause {
    /// Names the item of a list that it is about, by the item's index.
    pub fn name_item(&mut self, list: &str, index: usize) {
        let named = format!("{list}[{index}]");
        for text in self.field.iter_mut().chain(&mut self.german).chain([&mut self.message]) {
            if text.starts_with(list) {
                text.replace_range(..list.len(), &named);
            }
        }
    }

    /// Builds a cause about a field; its message begins with the field's name.
    pub fn of_field(reason: Reason, field: impl Into<String>, wording: impl Into<Wording>) -> Cause {
        let field = field.into();
        let wording = wording.into().after(&field);
        Cause::about_field(reason, field, wording)
    }

    /// Builds a cause about a field whose message does not begin with the field's name.
    pub fn about_field(reason: Reason, field: impl Into<String>, wording: impl Into<Wording>) -> Cause {
        let wording = wording.into();
        let [german, message] =
            [Language::German, Language::English].map(|language| wording.text(language).to_string());
        Cause { reason, message, german: Some(german), category: None, field: Some(field.into()) }
    }

    /// Returns the sentence in a language, in English where there is no German one.
    pub fn text(&self, language: Language) -> &str {
        language.choose((self.german.as_deref().unwrap_or(&self.message), &self.message))
    }
}

impl From<Refusal> for Cause {
    fn from(refusal: Refusal) -> Cause {
        let (reason, category) = (refusal.reason, refusal.category);
        let (mut message, mut german) = (reason.sentence().to_string(), reason.german().to_string());
        if let Some(category) = category {
            message = format!("{message}: {category}");
            german = format!("{german}: {}", category.term(Language::German));
        }
        Cause { reason, message, german: Some(german), category, field: None }
    }
}

impl From<Reason> for Cause {
    fn from(reason: Reason) -> Cause {
        Refusal::from(reason).into()
    }
}

/// Why an action did not do what was asked. Never carries personal data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Kind.
    pub kind: ErrorKind,
    /// Causes, the most important first; at least one.
    pub causes: Vec<Cause>,
}

/// Duties to forward that a missing consent does not lift; said with every refusal for want of one.
pub const STATUTORY_HINT: &str = "statutory duties to forward (for instance SGB I § 16 para. 2, SGB IX § 14) are not affected: \
                                  use your other channel";

/// The same in German, for officers.
pub const STATUTORY_HINT_GERMAN: &str = "gesetzliche Pflichten zur Weiterleitung (etwa § 16 Abs. 2 SGB I, § 14 SGB IX) bleiben \
                                         unberührt: dafür den anderen Weg nutzen";

impl Failure {
    /// Builds a failure with one cause.
    pub fn new(kind: ErrorKind, reason: Reason, message: impl Into<String>) -> Failure {
        let cause = Cause { reason, message: message.into(), german: None, category: None, field: None };
        Failure { kind, causes: vec![cause] }
    }

    /// Says that a field has a value that is not allowed.
    pub fn field(reason: Reason, field: impl Into<String>, wording: impl Into<Wording>) -> Failure {
        Failure { kind: ErrorKind::Invalid, causes: vec![Cause::of_field(reason, field, wording)] }
    }

    /// Says that a rule forbids it, with the rule's own sentence.
    pub fn refused(reason: Reason) -> Failure {
        Failure { kind: ErrorKind::Refused, causes: vec![reason.into()] }
    }

    /// Says that there is no such thing, or that the caller may not see it: the same answer.
    pub fn not_found() -> Failure {
        Failure { kind: ErrorKind::NotFound, causes: vec![Reason::NotFound.into()] }
    }

    /// Says that the node is stopping. What it has answered is durable; the rest is to be handed over again.
    pub fn stopping() -> Failure {
        let message = "the node is stopping: what it has answered is durable, hand the rest over again in a moment";
        Failure::new(ErrorKind::Unavailable, Reason::Unavailable, message)
    }

    /// Says that something that was handed over before is stored and cannot be read.
    pub fn unreadable() -> Failure {
        let message = "this was handed over before, and the node cannot read it: its database is to be restored";
        Failure::new(ErrorKind::Unavailable, Reason::Unavailable, message)
    }

    /// Says the same with the reasons' own sentences, which name nobody: a peer is not told whom else this node knows.
    #[must_use]
    pub fn without_names(self) -> Failure {
        Failure { kind: self.kind, causes: self.causes.into_iter().map(|cause| cause.reason.into()).collect() }
    }

    /// Returns the most important reason.
    pub fn reason(&self) -> Reason {
        self.causes.first().map_or(Reason::Unavailable, |cause| cause.reason)
    }

    /// Tells whether the same request may pass later without a change.
    pub fn is_retryable(&self) -> bool {
        self.causes.iter().all(|cause| cause.reason.is_retryable())
    }

    /// Returns the sentences, with the statutory hint where a consent is wanting.
    pub fn message(&self) -> String {
        let mut sentences: Vec<&str> = self.causes.iter().map(|cause| cause.message.as_str()).collect();
        if self.causes.iter().any(|cause| wants_consent(cause.reason)) {
            sentences.push(STATUTORY_HINT);
        }
        sentences.join("; ")
    }
}

/// Tells whether a refusal is one for want of consent.
pub fn wants_consent(reason: Reason) -> bool {
    reason != Reason::ConsentIdReused && matches!(reason.number(), 20..=31 | 40..=42 | 46..=47)
}

impl From<Vec<Refusal>> for Failure {
    fn from(refusals: Vec<Refusal>) -> Failure {
        Failure { kind: ErrorKind::Refused, causes: refusals.into_iter().map(Cause::from).collect() }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        // A full disk is logged once, where it was found.
        if !error.is_disk_full() {
            tracing::error!(%error, "the database did not do what was asked");
        }
        let message = if error.is_disk_full() {
            "the disk of the node's database is full: nothing was stored; hand it over again when its administrator has made room"
        } else {
            "the node cannot reach its database; try again later"
        };
        Failure::new(ErrorKind::Unavailable, Reason::Unavailable, message)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message())
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statutory_duties_are_spoken_of_where_a_consent_is_wanting_and_nowhere_else() {
        assert!(Failure::refused(Reason::NoConsent).message().contains(STATUTORY_HINT));
        assert!(Failure::refused(Reason::ConsentExpired).message().contains(STATUTORY_HINT));
        let reused = Failure::refused(Reason::ConsentIdReused).message();
        assert!(reused.ends_with("give the changed one a new id"), "{reused}");
        assert!(!Failure::refused(Reason::PeerUnknown).message().contains(STATUTORY_HINT));
    }
}
