//! The wire of Lotse: types, clients and servers generated from `proto/`, and what is derived from it.
//!
//! Each package is a module of the same name with messages, enums, gRPC clients and servers, and canonical proto JSON
//! through serde. What the fields mean is written in `proto/` and repeated here as documentation.
//!
//! [`codec`] is how they are read off a call. [`schema`] is here too, because only this crate has the descriptors: it finds out,
//! before a sealed document is parsed, whether everything in it is known.

pub mod codec;
pub mod schema;

/// Declares the module of one package: what prost and tonic generated, and its proto JSON.
macro_rules! package {
    ($name:literal) => {
        #[doc = concat!("Package `", $name, "`.")]
        #[allow(
            missing_docs,
            unreachable_pub,
            rustdoc::all,
            clippy::all,
            clippy::unwrap_used,
            clippy::large_futures,
            reason = "generated code; which of these it breaks differs by package"
        )]
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/", $name, ".rs"));
            include!(concat!(env!("OUT_DIR"), "/", $name, ".serde.rs"));
        }
    };
}

/// Contents of records: referrals, sections of a person's data, consents, code lists.
pub mod record {
    package!("lotse.record.v1");
}

/// What nodes sign: cards, agreements, envelopes, batches, receipts, log entries.
pub mod exchange {
    package!("lotse.exchange.v1");
}

/// The service between nodes.
pub mod peer {
    package!("lotse.peer.v1");
}

/// The services for an agency's own IT systems.
pub mod agency {
    package!("lotse.agency.v1");
}

/// The service for officers.
pub mod audit {
    package!("lotse.audit.v1");
}

/// The service for administrators.
pub mod admin {
    package!("lotse.admin.v1");
}

/// Descriptors of every file in `proto/` and what they import, comments included: an encoded
/// `google.protobuf.FileDescriptorSet`.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
