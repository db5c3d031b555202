//! The ends of connections: ports that accept them, and channels that open them, both over `tls`.

mod accept;
mod allowance;
mod calls;
mod connect;
mod connection;
mod counts;
mod dial;
mod failed_call;
mod grpc;
mod line;
mod newcomers;
mod pages;
mod share;
mod status;
mod unfinished;
mod unread;
mod window;

#[cfg(test)]
pub(crate) mod tests;

pub use accept::{Accepted, Limits, Port, network};
pub use connect::{Addresses, ConnectError, Connector, Unreachable, never_sent};
pub use connection::{ConnectInfo, Connection};
pub use counts::{Counts, Limit, OverLimit, PortCounts};
pub use failed_call::{CallFault, broken_stream, refused_peer};
pub use grpc::{Caller, MAX_MESSAGE_BYTES, caller, serve};
pub use line::Line;
pub use pages::serve_pages;
pub use share::{Share, Shares};
