//! Reasons: why something was refused. Stable codes with one sentence each in English and German; the wire's enum and the
//! catalogue in `proto/README.md` follow this table.

use std::fmt;

/// Whether the same request may pass later without a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finality {
    /// The same request will be refused again.
    Final,
    /// It may pass later without a change.
    Retryable,
}

/// The scope of a reason for `again`: the record alone, its agreement, or the whole peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// This record alone.
    Record,
    /// Everything under the same agreement.
    Agreement,
    /// Everything that goes to the same peer.
    Peer,
}

macro_rules! reasons {
    ($($number:literal $name:ident $code:literal $finality:ident level $level:literal $sentence:literal $german:literal)+) => {
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

            /// Returns what the reason means, in one German sentence without a full stop.
            pub const fn german(self) -> &'static str {
                match self { $(Reason::$name => $german),+ }
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
    1 NoAgreement "NO_AGREEMENT" Final level 1 "no agreement in force has both agencies as parties, or the named one is not known here"
        "keine geltende Vereinbarung hat beide Stellen als Parteien, oder die genannte ist hier nicht bekannt"
    2 AgreementSuspended "AGREEMENT_SUSPENDED" Retryable level 1 "the agreement is suspended at one of the parties"
        "die Vereinbarung ist bei einer der Parteien ausgesetzt"
    3 NoClause "NO_CLAUSE" Final level 1 "no clause of the agreement allows this purpose and record kind between these kinds of agencies"
        "keine Klausel der Vereinbarung erlaubt diesen Zweck und diese Art von Datensatz zwischen diesen Arten von Stellen"
    4 AgreementUnknown "AGREEMENT_UNKNOWN" Retryable level 1 "the recipient does not know this version of the agreement yet"
        "die empfangende Stelle kennt diese Fassung der Vereinbarung noch nicht"
    5 AgreementSuperseded "AGREEMENT_SUPERSEDED" Retryable level 1 "the recipient has a newer version of the agreement in force"
        "bei der empfangenden Stelle gilt eine neuere Fassung der Vereinbarung"
    6 AgreementNotInForce "AGREEMENT_NOT_IN_FORCE" Final level 1 "the named agreement is not in force: a seal is missing, or its term has not begun or has ended"
        "die genannte Vereinbarung gilt nicht: ein Siegel fehlt, oder ihre Zeit hat nicht begonnen oder ist vorbei"
    7 AgreementSealInvalid "AGREEMENT_SEAL_INVALID" Final level 1 "a seal of the agreement does not verify with a key of that party's card"
        "ein Siegel der Vereinbarung lässt sich mit keinem Schlüssel aus der Karte der Partei bestätigen"
    8 AgreementPartyUnknown "AGREEMENT_PARTY_UNKNOWN" Final level 1 "a party of the agreement has no accepted card here, or another root key than the agreement names"
        "von einer Partei der Vereinbarung ist hier keine Karte angenommen, oder sie hat einen anderen Wurzelschlüssel"
    9 AgreementConflict "AGREEMENT_CONFLICT" Final level 1 "another text of the same version of this agreement is already here"
        "zu dieser Fassung der Vereinbarung liegt hier schon ein anderer Text"
    10 AgreementTooSoon "AGREEMENT_TOO_SOON" Final level 1 "a new version of an agreement must begin at least 24 hours after it is signed"
        "eine neue Fassung einer Vereinbarung beginnt frühestens 24 Stunden, nachdem sie besiegelt wurde"
    11 AgreementInvalid "AGREEMENT_INVALID" Final level 1 "the agreement breaks a rule of its form"
        "die Vereinbarung verletzt eine Regel ihrer Form"
    20 NoConsent "NO_CONSENT" Final level 1 "no consent in force covers this recipient, purpose and record kind"
        "keine geltende Einwilligung deckt Empfänger, Zweck und Art des Datensatzes"
    21 ConsentUnknown "CONSENT_UNKNOWN" Final level 1 "no consent with this id is recorded"
        "eine Einwilligung mit dieser Kennung ist nicht erfasst"
    22 ConsentExpired "CONSENT_EXPIRED" Final level 1 "the consent has expired"
        "die Einwilligung ist abgelaufen"
    23 ConsentWithdrawn "CONSENT_WITHDRAWN" Final level 1 "the consent was withdrawn"
        "die Einwilligung wurde widerrufen"
    24 ConsentRefused "CONSENT_REFUSED" Final level 1 "the person refused the consent"
        "die Person hat die Einwilligung verweigert"
    25 ConsentSuperseded "CONSENT_SUPERSEDED" Final level 1 "the consent was replaced by another one"
        "die Einwilligung wurde durch eine andere ersetzt"
    26 ConsentOtherRecipient "CONSENT_OTHER_RECIPIENT" Final level 1 "the consent does not name this recipient"
        "die Einwilligung nennt diesen Empfänger nicht"
    27 ConsentOtherPurpose "CONSENT_OTHER_PURPOSE" Final level 1 "the consent does not name this purpose"
        "die Einwilligung nennt diesen Zweck nicht"
    28 ConsentOtherRecordKind "CONSENT_OTHER_RECORD_KIND" Final level 1 "the consent does not name this kind of record"
        "die Einwilligung nennt diese Art von Datensatz nicht"
    29 ConsentOtherSubject "CONSENT_OTHER_SUBJECT" Final level 1 "the consent is about another subject"
        "die Einwilligung betrifft eine andere Person"
    30 ConsentIdReused "CONSENT_ID_REUSED" Final level 1 "a consent with this id and other content is already recorded: give the changed one a new id"
        "eine Einwilligung mit dieser Kennung und anderem Inhalt ist schon erfasst: die geänderte braucht eine neue Kennung"
    31 ConsentNotExplicit "CONSENT_NOT_EXPLICIT" Final level 1 "the clause needs a consent that names the special categories explicitly and was not given orally"
        "die Klausel braucht eine Einwilligung, die die besonderen Kategorien ausdrücklich nennt und nicht mündlich ist"
    32 ConsentUnconfirmedAfterRestore "CONSENT_UNCONFIRMED_AFTER_RESTORE" Retryable level 2 "the node was restored and this consent has not been confirmed since"
        "der Knoten wurde wiederhergestellt, und diese Einwilligung wurde seither nicht bestätigt"
    40 CategoryNotInClause "CATEGORY_NOT_IN_CLAUSE" Final level 1 "the agreement's clause does not name this category"
        "die Klausel der Vereinbarung nennt diese Datenkategorie nicht"
    41 CategoryNotInConsent "CATEGORY_NOT_IN_CONSENT" Final level 1 "the consent does not cover this category"
        "die Einwilligung deckt diese Datenkategorie nicht"
    42 CategoryNotExplicit "CATEGORY_NOT_EXPLICIT" Final level 1 "the consent does not name this special category explicitly, or was given orally"
        "die Einwilligung nennt diese besondere Kategorie nicht ausdrücklich, oder sie wurde mündlich gegeben"
    43 SectionRequired "SECTION_REQUIRED" Final level 1 "a section that this type of referral needs is missing or not covered: give it, and let clause and consent cover it"
        "ein Teil, den diese Art von Zuweisung braucht, fehlt oder ist nicht gedeckt: ihn angeben, Klausel und Einwilligung müssen ihn decken"
    44 NothingLeft "NOTHING_LEFT" Final level 1 "nothing of the record is covered"
        "vom Datensatz ist nichts gedeckt"
    45 FeedbackNotAllowed "FEEDBACK_NOT_ALLOWED" Final level 1 "the feedback level of the consent or the clause does not allow this answer"
        "die Rückmeldestufe der Einwilligung oder der Klausel erlaubt diese Rückmeldung nicht"
    46 SecrecyNotReleased "SECRECY_NOT_RELEASED" Final level 1 "the health data are under professional secrecy and the consent releases nobody from it"
        "die Gesundheitsdaten stehen unter beruflicher Schweigepflicht, und die Einwilligung entbindet niemanden davon"
    47 EntrustedData "ENTRUSTED_DATA" Final level 1 "the data were entrusted (SGB VIII § 65) and the consent is not the entrusting person's"
        "die Daten sind anvertraut (§ 65 SGB VIII), und die Einwilligung ist nicht die der anvertrauenden Person"
    48 PartyEnded "PARTY_ENDED" Final level 1 "a party of the agreement has ended: after the last day that the agreement names it neither sends nor receives"
        "eine Partei der Vereinbarung hat geendet: nach dem letzten Tag, den die Vereinbarung nennt, sendet und empfängt sie nichts"
    60 PeerUnknown "PEER_UNKNOWN" Final level 1 "no card of this agency is accepted here: check its spelling (`lotse peer list`), or accept its card (`lotse peer accept`)"
        "von dieser Stelle ist hier keine Karte angenommen: Schreibweise prüfen (`lotse peer list`) oder ihre Karte annehmen (`lotse peer accept`)"
    61 PeerSuspended "PEER_SUSPENDED" Retryable level 1 "the exchange with this agency is suspended"
        "der Austausch mit dieser Stelle ist ausgesetzt"
    62 PeerCardExpired "PEER_CARD_EXPIRED" Retryable level 1 "the card of the recipient has expired"
        "die Karte der empfangenden Stelle ist abgelaufen"
    63 PeerTooOld "PEER_TOO_OLD" Retryable level 2 "the other agency's node does not understand a part of this record or agreement yet"
        "der Knoten der anderen Stelle versteht einen Teil dieses Datensatzes oder dieser Vereinbarung noch nicht"
    64 ClockSkew "CLOCK_SKEW" Retryable level 1 "the clocks of the two nodes are more than 120 seconds apart"
        "die Uhren der beiden Knoten gehen mehr als 120 Sekunden auseinander"
    65 ClockSteppedBack "CLOCK_STEPPED_BACK" Retryable level 1 "this node's clock stepped back by more than 120 seconds"
        "die Uhr dieses Knotens ist um mehr als 120 Sekunden zurückgesprungen"
    66 LogHold "LOG_HOLD" Retryable level 1 "the log of this node is on hold because its integrity is in doubt"
        "das Protokoll dieses Knotens ist gesperrt, weil seine Unversehrtheit in Zweifel steht"
    67 OwnCardExpired "OWN_CARD_EXPIRED" Retryable level 1 "this agency's own card has expired or is not installed"
        "die eigene Karte ist abgelaufen oder nicht eingesetzt"
    68 ClockJumpedAhead "CLOCK_JUMPED_AHEAD" Retryable level 1 "this node's clock jumped ahead, or after a long stop nothing has confirmed it yet"
        "die Uhr dieses Knotens ist vorgesprungen, oder nach langem Stillstand hat sie noch nichts bestätigt"
    69 NodeStateInDoubt "NODE_STATE_IN_DOUBT" Retryable level 1 "one of the two nodes knows less than the other has seen of it, or runs twice: it may be a backup, a snapshot or a copy"
        "einer der beiden Knoten weiß weniger, als der andere von ihm gesehen hat, oder läuft doppelt: vielleicht eine Sicherung, ein Schnappschuss oder eine Kopie"
    80 SealInvalid "SEAL_INVALID" Final level 1 "the seal does not verify with a sealing key of the sender's card"
        "das Siegel lässt sich mit keinem Siegelschlüssel aus der Karte des Absenders bestätigen"
    81 BatchReused "BATCH_REUSED" Final level 1 "a batch with this id and another root was already received"
        "ein Stapel mit dieser Kennung und anderer Wurzel ist schon eingegangen"
    82 IdReused "ID_REUSED" Final level 1 "an envelope with this id and another digest was already received"
        "ein Umschlag mit dieser Kennung und anderer Prüfsumme ist schon eingegangen"
    83 EnvelopeInvalid "ENVELOPE_INVALID" Final level 1 "the envelope is malformed"
        "der Umschlag ist fehlerhaft"
    84 SenderMismatch "SENDER_MISMATCH" Final level 1 "the sender of the envelope or batch is not the agency of the connection"
        "der Absender von Umschlag oder Stapel ist nicht die Stelle, die verbunden ist"
    85 RecipientMismatch "RECIPIENT_MISMATCH" Final level 1 "the envelope or batch is for another agency"
        "Umschlag oder Stapel sind für eine andere Stelle"
    86 BatchInvalid "BATCH_INVALID" Final level 1 "count or root of the batch differ from its envelopes"
        "Anzahl oder Wurzel des Stapels stimmen nicht mit seinen Umschlägen überein"
    87 CreatedInFuture "CREATED_IN_FUTURE" Retryable level 1 "the envelope was made more than 120 seconds in the future"
        "der Umschlag wurde mehr als 120 Sekunden in der Zukunft erstellt"
    88 LifeTooLong "LIFE_TOO_LONG" Final level 1 "the envelope lives longer than 35 days"
        "der Umschlag gilt länger als 35 Tage"
    89 EnvelopeExpired "ENVELOPE_EXPIRED" Final level 1 "the envelope has expired"
        "der Umschlag ist abgelaufen"
    90 ThreadUnknown "THREAD_UNKNOWN" Final level 1 "the answer belongs to no referral that was sent to this agency"
        "die Rückmeldung gehört zu keiner Zuweisung, die an diese Stelle ging"
    91 BasisMismatch "BASIS_MISMATCH" Final level 1 "the basis of the envelope does not agree with the agreement as known here"
        "die Grundlage des Umschlags passt nicht zur Vereinbarung, wie sie hier bekannt ist"
    92 EpochStale "EPOCH_STALE" Retryable level 2 "the consent changed since the envelope was made"
        "die Einwilligung hat sich geändert, seit der Umschlag erstellt wurde"
    93 RevisionStale "REVISION_STALE" Final level 1 "a revision that is not lower is already held"
        "eine gleiche oder höhere Fassung wird schon gehalten"
    94 SchemaTooNew "SCHEMA_TOO_NEW" Retryable level 1 "the document has a part that this node does not understand yet"
        "das Dokument hat einen Teil, den dieser Knoten noch nicht versteht"
    95 GenerationMismatch "GENERATION_MISMATCH" Retryable level 1 "the envelope is for another generation of this node"
        "der Umschlag ist für eine andere Generation dieses Knotens"
    96 CatchingUp "CATCHING_UP" Retryable level 2 "the node was restored and is not caught up yet"
        "der Knoten wurde wiederhergestellt und hat noch nicht aufgeholt"
    97 ReceiptInvalid "RECEIPT_INVALID" Final level 1 "the receipt breaks a rule of its form, or does not fit the batch that was sent"
        "die Empfangsbestätigung verletzt eine Regel ihrer Form oder passt nicht zum Stapel, der gesendet wurde"
    100 FieldInvalid "FIELD_INVALID" Final level 1 "a field has a value that is not allowed"
        "ein Feld hat einen Wert, der nicht erlaubt ist"
    101 FieldMissing "FIELD_MISSING" Final level 1 "a required field is missing"
        "ein Pflichtfeld fehlt"
    102 IdempotencyKeyReused "IDEMPOTENCY_KEY_REUSED" Final level 1 "the idempotency key was used before with other content"
        "der Wiederholungsschlüssel wurde schon mit anderem Inhalt benutzt"
    103 TransitionNotAllowed "TRANSITION_NOT_ALLOWED" Final level 1 "the referral's state does not allow this"
        "der Stand der Zuweisung erlaubt das nicht"
    104 NotFound "NOT_FOUND" Final level 1 "there is no such thing, or the caller may not see it"
        "das gibt es nicht, oder der Aufrufer darf es nicht sehen"
    105 TooLarge "TOO_LARGE" Final level 1 "the message or a field is larger than the limit"
        "die Nachricht oder ein Feld ist größer als erlaubt"
    106 Overloaded "OVERLOADED" Retryable level 1 "a limit of concurrent work, or of a day, is reached"
        "eine Grenze gleichzeitiger Arbeit oder eines Tages ist erreicht"
    107 RoleNotAllowed "ROLE_NOT_ALLOWED" Final level 1 "the caller's certificate does not allow this call"
        "das Zertifikat des Aufrufers erlaubt diesen Aufruf nicht"
    108 Unavailable "UNAVAILABLE" Retryable level 1 "the node cannot reach its database or read what is in it, or is stopping"
        "der Knoten erreicht seine Datenbank nicht, kann sie nicht lesen oder wird gerade beendet"
    109 NotGranted "NOT_GRANTED" Final level 1 "the node's configuration does not grant this to the calling system"
        "die Konfiguration des Knotens gewährt das dem aufrufenden Fachverfahren nicht"
    120 CardSealInvalid "CARD_SEAL_INVALID" Final level 1 "the card is not signed by the root key that it or its predecessor names"
        "die Karte ist nicht mit dem Wurzelschlüssel besiegelt, den sie oder ihre Vorgängerin nennt"
    121 CardVersionLower "CARD_VERSION_LOWER" Final level 1 "a card with a higher version is already known"
        "eine Karte mit höherer Version ist schon bekannt"
    122 CardRootChanged "CARD_ROOT_CHANGED" Final level 1 "the card has another root key than the one accepted"
        "die Karte hat einen anderen Wurzelschlüssel als den angenommenen"
    123 CardConflict "CARD_CONFLICT" Final level 1 "another card with the same version is already known"
        "eine andere Karte mit derselben Version ist schon bekannt"
    124 CardExpired "CARD_EXPIRED" Final level 1 "the card is not valid at this time"
        "die Karte gilt zu dieser Zeit nicht"
    125 CardInvalid "CARD_INVALID" Final level 1 "the card breaks a rule of its form"
        "die Karte verletzt eine Regel ihrer Form"
    126 FingerprintMismatch "FINGERPRINT_MISMATCH" Final level 1 "the card's root key does not have the fingerprint that was given"
        "der Wurzelschlüssel der Karte hat nicht den angegebenen Fingerabdruck"
    140 ItemCancelled "ITEM_CANCELLED" Final level 1 "the sending system cancelled the item while it was due"
        "das sendende Fachverfahren hat den Posten abgebrochen, als er noch anstand"
    141 ItemExpired "ITEM_EXPIRED" Final level 1 "the item expired before it could be sent"
        "der Posten ist abgelaufen, bevor er gesendet werden konnte"
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

    /// Returns what a recipient that answers `again` with this reason does not take for now.
    pub const fn reach(self) -> Reach {
        match self {
            Reason::AgreementSuspended | Reason::AgreementUnknown | Reason::AgreementSuperseded => Reach::Agreement,
            Reason::PeerSuspended
            | Reason::PeerCardExpired
            | Reason::PeerTooOld
            | Reason::ClockSkew
            | Reason::ClockSteppedBack
            | Reason::ClockJumpedAhead
            | Reason::LogHold
            | Reason::OwnCardExpired
            | Reason::CreatedInFuture
            | Reason::SchemaTooNew
            | Reason::GenerationMismatch
            | Reason::CatchingUp
            | Reason::Overloaded => Reach::Peer,
            // UNAVAILABLE too: a receipt says it of an envelope whose own row cannot be read.
            _ => Reach::Record,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_reason_has_a_sentence_of_its_own_in_both_languages() {
        for language in [Reason::sentence, Reason::german] {
            let sentences: BTreeSet<_> = Reason::ALL.iter().map(|&reason| language(reason)).collect();
            assert_eq!(sentences.len(), Reason::ALL.len());
            assert!(sentences.iter().all(|text| text.len() > 15 && !text.ends_with('.')), "{sentences:?}");
        }
    }

    #[test]
    fn a_reason_that_stops_more_than_its_record_may_pass_later() {
        let wide: Vec<_> = Reason::ALL.iter().filter(|reason| reason.reach() != Reach::Record).collect();
        assert!(wide.iter().all(|reason| reason.is_retryable()), "{wide:?}");
        assert_eq!(Reason::PeerSuspended.reach(), Reach::Peer);
        assert_eq!(Reason::AgreementUnknown.reach(), Reach::Agreement);
        assert_eq!(Reason::EpochStale.reach(), Reach::Record);
    }
}
