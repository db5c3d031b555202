//! lotse-store
