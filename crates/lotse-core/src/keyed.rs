//! What only the node itself recognises again: values derived with its id key. Without the key nobody can check a guess against
//! them, and what is derived for one kind is never that of another.

use aws_lc_rs::hmac;

/// What a value is derived for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The id of a subject, from the agency's reference.
    Subject,
    /// The trace of what goes to one agency, from the caller's trace and that agency.
    Trace,
    /// The idempotency key of a line that has none, from the handover.
    Line,
    /// The digest of a record's content, from the record's id and the content's digest.
    Record,
    /// The digest of a consent as it was given.
    Consent,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 5] = [Kind::Subject, Kind::Trace, Kind::Line, Kind::Record, Kind::Consent];

    /// What begins the bytes that are authenticated. The id of a record is derived from bytes that begin with the length of a system's
    /// name, which is never 65,535.
    const fn label(self) -> &'static [u8] {
        match self {
            Kind::Subject => b"\xff\xffsubject",
            Kind::Trace => b"\xff\xfftrace",
            Kind::Line => b"\xff\xffline",
            Kind::Record => b"\xff\xffrecord",
            Kind::Consent => b"\xff\xffconsent",
        }
    }
}

/// Derives 32 bytes: HMAC-SHA-256(id key; label of the kind, parts). Callers delimit the parts.
pub fn derive(id_key: &hmac::Key, kind: Kind, parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(id_key);
    context.update(kind.label());
    parts.iter().for_each(|part| context.update(part));
    let mut derived = [0; 32];
    derived.copy_from_slice(context.sign().as_ref());
    derived
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_label_begins_with_another() {
        for (place, kind) in Kind::ALL.iter().enumerate() {
            let others = Kind::ALL.iter().enumerate().filter(|(other, _)| *other != place);
            assert!(others.map(|(_, other)| other).all(|other| !other.label().starts_with(kind.label())), "{kind:?}");
        }
    }

    #[test]
    fn what_is_derived_depends_on_key_kind_and_parts_and_on_nothing_else() {
        let [key, other] = [7, 8].map(|byte| hmac::Key::new(hmac::HMAC_SHA256, &[byte; 32]));
        let derived = derive(&key, Kind::Record, &[b"a", b"b"]);
        assert_eq!(derived, derive(&key, Kind::Record, &[b"ab"]));
        assert_ne!(derived, derive(&other, Kind::Record, &[b"ab"]));
        assert_ne!(derived, derive(&key, Kind::Consent, &[b"ab"]));
        assert_ne!(derived, derive(&key, Kind::Record, &[b"abc"]));
    }
}
