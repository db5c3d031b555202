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
    /// The mark of a node's database, from its agency.
    Database,
    /// The id of an answer, from its system, idempotency key and recipient.
    Answer,
}

impl Kind {
    /// What begins the bytes that are authenticated. The id of a record is derived from bytes that begin with the length of a system's
    /// name, which is never 65,535.
    const fn label(self) -> &'static [u8] {
        match self {
            Kind::Subject => b"\xff\xffsubject",
            Kind::Trace => b"\xff\xfftrace",
            Kind::Line => b"\xff\xffline",
            Kind::Record => b"\xff\xffrecord",
            Kind::Consent => b"\xff\xffconsent",
            Kind::Database => b"\xff\xffdatabase",
            Kind::Answer => b"\xff\xffanswer",
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

    /// What each kind derives from `a` and `b` with a key of 32 octets 7. Ids, keys and digests are stored: these never change.
    const DERIVED: [(Kind, &str); 7] = [
        (Kind::Subject, "a4db6336bfe60f582afc468bcd46caf43ae8ab3f7494d57ec1f5473594923c57"),
        (Kind::Trace, "78d5fac4361295b0fb8924df13e86af6252545a6bcfd6adf7ff3ec4399ebb95d"),
        (Kind::Line, "b41a6fdc6420977a5beb768e206aaf229f1ab74be0bebe3d494028cc28e65368"),
        (Kind::Record, "009c887939477370f2ac5756862735ece7c4ed70a2d83f0848d0b869d95c5d0f"),
        (Kind::Consent, "b0059eef604ba2690a4538195967b18340c19e9724f10a479f911c57f3ef2470"),
        (Kind::Database, "2e01ad3489488529862f28df3fa1cacf9d5b80d04d0399ea8ebcda0c753b5ac6"),
        (Kind::Answer, "3c177cc5b277d8c55194ecf055a9c0e2d3555b24ea5550f1fb188c695d376242"),
    ];

    fn key(octet: u8) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &[octet; 32])
    }

    #[test]
    fn no_label_begins_with_another() {
        for (kind, _) in DERIVED {
            let mut others = DERIVED.iter().filter(|(other, _)| *other != kind);
            assert!(others.all(|(other, _)| !other.label().starts_with(kind.label())), "{kind:?}");
        }
    }

    #[test]
    fn what_is_derived_is_the_same_for_ever() {
        for (kind, derived) in DERIVED {
            assert_eq!(hex::encode(derive(&key(7), kind, &[b"a", b"b"])), derived, "{kind:?}");
        }
    }

    #[test]
    fn what_is_derived_depends_on_key_and_parts() {
        let derived = derive(&key(7), Kind::Record, &[b"ab"]);
        assert_ne!(derived, derive(&key(8), Kind::Record, &[b"ab"]));
        assert_ne!(derived, derive(&key(7), Kind::Record, &[b"abc"]));
    }
}
