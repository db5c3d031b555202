//! Configuration.

/// Configuration of a node.
pub struct Config {}
