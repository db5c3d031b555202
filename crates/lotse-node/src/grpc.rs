//! The edge to gRPC: who is calling, may they, and how an answer or a failure is written.

pub mod consent;
pub mod exchange;
//pub mod inbox;
//pub mod referral;
pub mod status;
