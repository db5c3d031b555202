//! Between protobuf and core: parses messages into types that cannot be wrong, and refuses what is missing, unknown or too
//! large. Generated types do not leave this module and the gRPC edge.

pub mod agreement;
pub mod batch;
pub mod card;
pub mod category;
pub mod consent;
pub mod decision;
pub mod disclosure;
pub mod envelope;
pub mod field;
pub mod partial_date;
pub mod person;
pub mod plausible;
pub mod referral;
pub mod request;
pub mod seal;
pub mod text;
pub mod time;
