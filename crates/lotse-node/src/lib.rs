//! lotse-node
