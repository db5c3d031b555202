//! Between protobuf and core: parses messages into types that cannot be wrong, and refuses what is missing, unknown or too
//! large. Generated types do not leave this module and the gRPC edge.

pub mod agreement;
pub mod card;
pub mod seal;
pub mod time;
