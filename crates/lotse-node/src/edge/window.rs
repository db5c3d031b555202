//! How much a caller may send that nobody has read yet: the windows of HTTP/2 (RFC 9113, section 5.2). What may be under way in a
//! connection can wait in memory, so it is charged to the caller as long as the connection lasts.

use std::sync::Arc;

use super::allowance::{Allowance, Charge};

/// What may be under way in one stream: a whole message, so that a batch needs no window update.
pub(super) const STREAM_WINDOW_BYTES: u32 = 4 * 1024 * 1024;

/// What may be under way in one connection.
pub(super) const CONNECTION_WINDOW_BYTES: u32 = 8 * 1024 * 1024;

/// What may be under way in one stream of a connection for which its caller has nothing left.
const SMALL_STREAM_WINDOW_BYTES: u32 = 64 * 1024;

/// What may be under way in such a connection: enough for some calls side by side.
pub(super) const SMALL_CONNECTION_WINDOW_BYTES: u32 = 256 * 1024;

/// The windows of one connection.
pub(super) struct Window {
    pub(super) stream: u32,
    pub(super) connection: u32,
    /// What is charged until the connection ends; nothing for small ones.
    _charge: Option<Charge>,
}

impl Window {
    /// Opens whole windows as long as the caller has something left, and small ones then.
    pub(super) fn open(allowance: &Arc<Allowance>) -> Window {
        let charge = allowance.charge(CONNECTION_WINDOW_BYTES as usize);
        let (stream, connection) = match charge {
            Some(_) => (STREAM_WINDOW_BYTES, CONNECTION_WINDOW_BYTES),
            None => (SMALL_STREAM_WINDOW_BYTES, SMALL_CONNECTION_WINDOW_BYTES),
        };
        Window { stream, connection, _charge: charge }
    }
}
