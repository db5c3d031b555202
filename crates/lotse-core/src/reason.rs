//! Reasons: why something was refused. Stable codes with one sentence each; the wire's enum and the catalogue in
//! `proto/README.md` follow this table.

use std::fmt;

/// Whether the same request may pass later without a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finality {
    /// The same request will be refused again.
    Final,
    /// It may pass later without a change.
    Retryable,
}

macro_rules! reasons {
    ($($number:literal $name:ident $code:literal $finality:ident level $level:literal $sentence:literal)+) => {
        /// A stable reason code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum Reason {
            $(#[doc = $sentence] $name = $number,)+
        }

        impl Reason {
            /// Every reason, in the order of the wire's numbers.
            pub const ALL: &'static [Reason] = &[$(Reason::$name),+];

            /// Returns the stable code, for instance `NO_CONSENT`.
            pub const fn code(self) -> &'static str {
                match self { $(Reason::$name => $code),+ }
            }

            /// Returns what the reason means, in one English sentence without a full stop.
            pub const fn sentence(self) -> &'static str {
                match self { $(Reason::$name => $sentence),+ }
            }

            /// Returns whether the same request may pass later without a change.
            pub const fn finality(self) -> Finality {
                match self { $(Reason::$name => Finality::$finality),+ }
            }

            /// Returns the schema level since which the reason is used.
            pub const fn level(self) -> u32 {
                match self { $(Reason::$name => $level),+ }
            }
        }
    };
}

reasons! {
    1 NoAgreement "NO_AGREEMENT" Final level 1 "no agreement in force has both agencies as parties"
    2 AgreementSuspended "AGREEMENT_SUSPENDED" Retryable level 1 "the agreement is suspended at one of the parties"
    3 NoClause "NO_CLAUSE" Final level 1 "no clause of the agreement allows this purpose and record kind between these kinds of agencies"
    4 AgreementUnknown "AGREEMENT_UNKNOWN" Retryable level 1 "the recipient does not know this version of the agreement yet"
    5 AgreementSuperseded "AGREEMENT_SUPERSEDED" Retryable level 1 "the recipient has a newer version of the agreement in force"
    6 AgreementNotInForce "AGREEMENT_NOT_IN_FORCE" Final level 1 "the named agreement is not in force: a seal is missing, or its term has not begun or has ended"
    7 AgreementSealInvalid "AGREEMENT_SEAL_INVALID" Final level 1 "a seal of the agreement does not verify with a key of that party's card"
    8 AgreementPartyUnknown "AGREEMENT_PARTY_UNKNOWN" Final level 1 "a party of the agreement has no accepted card here, or another root key than the agreement names"
    9 AgreementConflict "AGREEMENT_CONFLICT" Final level 1 "another text of the same version of this agreement is already here"
    10 AgreementTooSoon "AGREEMENT_TOO_SOON" Final level 1 "a new version of an agreement must begin at least 24 hours after it is signed"
    11 AgreementInvalid "AGREEMENT_INVALID" Final level 1 "the agreement breaks a rule of its form"
    20 NoConsent "NO_CONSENT" Final level 1 "no consent in force covers this recipient, purpose and record kind"
    21 ConsentUnknown "CONSENT_UNKNOWN" Final level 1 "no consent with this id is recorded"
    22 ConsentExpired "CONSENT_EXPIRED" Final level 1 "the consent has expired"
    23 ConsentWithdrawn "CONSENT_WITHDRAWN" Final level 1 "the consent was withdrawn"
    24 ConsentRefused "CONSENT_REFUSED" Final level 1 "the person refused the consent"
    25 ConsentSuperseded "CONSENT_SUPERSEDED" Final level 1 "the consent was replaced by another one"
    26 ConsentOtherRecipient "CONSENT_OTHER_RECIPIENT" Final level 1 "the consent does not name this recipient"
    27 ConsentOtherPurpose "CONSENT_OTHER_PURPOSE" Final level 1 "the consent does not name this purpose"
    28 ConsentOtherRecordKind "CONSENT_OTHER_RECORD_KIND" Final level 1 "the consent does not name this kind of record"
    29 ConsentOtherSubject "CONSENT_OTHER_SUBJECT" Final level 1 "the consent is about another subject"
    30 ConsentIdReused "CONSENT_ID_REUSED" Final level 1 "a consent with this id and other content is already recorded"
    31 ConsentNotExplicit "CONSENT_NOT_EXPLICIT" Final level 1 "the clause needs a consent that names the special categories explicitly and was not given orally"
    32 ConsentUnconfirmedAfterRestore "CONSENT_UNCONFIRMED_AFTER_RESTORE" Retryable level 2 "the node was restored and this consent has not been confirmed since"
    40 CategoryNotInClause "CATEGORY_NOT_IN_CLAUSE" Final level 1 "the agreement's clause does not name this category"
    41 CategoryNotInConsent "CATEGORY_NOT_IN_CONSENT" Final level 1 "the consent does not cover this category"
    42 CategoryNotExplicit "CATEGORY_NOT_EXPLICIT" Final level 1 "the consent does not name this special category explicitly, or was given orally"
    43 SectionRequired "SECTION_REQUIRED" Final level 1 "a section that this type of referral needs is missing or not covered"
    44 NothingLeft "NOTHING_LEFT" Final level 1 "nothing of the record is covered"
    45 FeedbackNotAllowed "FEEDBACK_NOT_ALLOWED" Final level 1 "the feedback level of the consent or the clause does not allow this answer"
    46 SecrecyNotReleased "SECRECY_NOT_RELEASED" Final level 1 "the health data are under professional secrecy and the consent releases nobody from it"
    47 EntrustedData "ENTRUSTED_DATA" Final level 1 "the data were entrusted (SGB VIII § 65) and the consent is not the entrusting person's"
    60 PeerUnknown "PEER_UNKNOWN" Final level 1 "no card of this agency is accepted here"
    61 PeerSuspended "PEER_SUSPENDED" Retryable level 1 "the exchange with this agency is suspended"
    62 PeerCardExpired "PEER_CARD_EXPIRED" Retryable level 1 "the card of the recipient has expired"
    63 PeerTooOld "PEER_TOO_OLD" Final level 2 "the recipient's node does not understand a part of this record yet"
    64 ClockSkew "CLOCK_SKEW" Retryable level 1 "the clocks of the two nodes are more than 120 seconds apart"
    65 ClockSteppedBack "CLOCK_STEPPED_BACK" Retryable level 1 "this node's clock stepped back by more than 120 seconds"
    66 LogHold "LOG_HOLD" Retryable level 1 "the log of this node is on hold because its integrity is in doubt"
    67 OwnCardExpired "OWN_CARD_EXPIRED" Retryable level 1 "this agency's own card has expired or is not installed"
    80 SealInvalid "SEAL_INVALID" Final level 1 "the seal does not verify with a sealing key of the sender's card"
    81 BatchReused "BATCH_REUSED" Final level 1 "a batch with this id and another root was already received"
    82 IdReused "ID_REUSED" Final level 1 "an envelope with this id and another digest was already received"
    83 EnvelopeInvalid "ENVELOPE_INVALID" Final level 1 "the envelope is malformed"
    84 SenderMismatch "SENDER_MISMATCH" Final level 1 "the sender of the envelope or batch is not the agency of the connection"
    85 RecipientMismatch "RECIPIENT_MISMATCH" Final level 1 "the envelope or batch is for another agency"
    86 BatchInvalid "BATCH_INVALID" Final level 1 "count or root of the batch differ from its envelopes"
    87 CreatedInFuture "CREATED_IN_FUTURE" Retryable level 1 "the envelope was made more than 120 seconds in the future"
    88 LifeTooLong "LIFE_TOO_LONG" Final level 1 "the envelope lives longer than 35 days"
    89 EnvelopeExpired "ENVELOPE_EXPIRED" Final level 1 "the envelope has expired"
    90 ThreadUnknown "THREAD_UNKNOWN" Final level 1 "the answer belongs to no referral that was sent to this agency"
    91 BasisMismatch "BASIS_MISMATCH" Final level 1 "the basis of the envelope does not agree with the agreement as known here"
    92 EpochStale "EPOCH_STALE" Retryable level 2 "the consent changed since the envelope was made"
    93 RevisionStale "REVISION_STALE" Final level 1 "a revision that is not lower is already held"
    94 SchemaTooNew "SCHEMA_TOO_NEW" Retryable level 1 "the document has a part that this node does not understand yet"
    95 GenerationMismatch "GENERATION_MISMATCH" Retryable level 1 "the envelope is for another generation of this node"
    96 CatchingUp "CATCHING_UP" Retryable level 2 "the node was restored and is not caught up yet"
    100 FieldInvalid "FIELD_INVALID" Final level 1 "a field has a value that is not allowed"
    101 FieldMissing "FIELD_MISSING" Final level 1 "a required field is missing"
    102 IdempotencyKeyReused "IDEMPOTENCY_KEY_REUSED" Final level 1 "the idempotency key was used before with other content"
    103 TransitionNotAllowed "TRANSITION_NOT_ALLOWED" Final level 1 "the referral's state does not allow this"
    104 NotFound "NOT_FOUND" Final level 1 "there is no such thing, or the caller may not see it"
    105 TooLarge "TOO_LARGE" Final level 1 "the message or a field is larger than the limit"
    106 Overloaded "OVERLOADED" Retryable level 1 "a limit of concurrent work is reached"
    107 RoleNotAllowed "ROLE_NOT_ALLOWED" Final level 1 "the caller's certificate does not allow this call"
    108 Unavailable "UNAVAILABLE" Retryable level 1 "the node cannot reach its database or is stopping"
    109 NotGranted "NOT_GRANTED" Final level 1 "the node's configuration does not grant this to the calling system"
    120 CardSealInvalid "CARD_SEAL_INVALID" Final level 1 "the card is not signed by the root key that it or its predecessor names"
    121 CardVersionLower "CARD_VERSION_LOWER" Final level 1 "a card with a higher version is already known"
    122 CardRootChanged "CARD_ROOT_CHANGED" Final level 1 "the card has another root key than the one accepted"
    123 CardConflict "CARD_CONFLICT" Final level 1 "another card with the same version is already known"
    124 CardExpired "CARD_EXPIRED" Final level 1 "the card is not valid at this time"
    125 CardInvalid "CARD_INVALID" Final level 1 "the card breaks a rule of its form"
    126 FingerprintMismatch "FINGERPRINT_MISMATCH" Final level 1 "the card's root key does not have the fingerprint that was given"
    140 ItemCancelled "ITEM_CANCELLED" Final level 1 "the sending system cancelled the item while it was due"
    141 ItemExpired "ITEM_EXPIRED" Final level 1 "the item expired before it could be sent"
}

impl Reason {
    /// Returns the number on the wire and in the database.
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// Finds the reason with this number.
    pub fn from_number(number: i32) -> Option<Reason> {
        Reason::ALL.iter().copied().find(|reason| reason.number() == number)
    }

    /// Tells whether the same request may pass later without a change.
    pub fn is_retryable(self) -> bool {
        self.finality() == Finality::Retryable
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
